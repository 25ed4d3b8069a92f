// Hopper's rows. What their kernels do not take goes on to the rows for every GPU.
#include "ops/attention/attention_grad_sm90.h"

#ifndef MAAS_CUDA_EMULATE
namespace maas {
void attention_grad_bf16_cuda(const AttentionGradArgs& args, const Launch& l);
void attention_grad_f16_cuda(const AttentionGradArgs& args, const Launch& l);

namespace attention_cuda {
namespace {

template <class T>
bool takes(const AttentionGradArgs& a) {
  const AttentionShape& s = a.s;
  return s.queries > 64 && s.head_dim <= 128 && s.value_dim <= 128 && s.heads > 0 && s.batch > 0 && !s.lengths &&
         !a.dscores && is_plain(problem_of(a).p) && every_row_sees_a_key(s) &&
         can_map<T>(a.q, s.batch, s.heads, s.queries, s.head_dim) &&
         can_map<T>(a.k, s.batch, s.kv_heads, s.keys, s.head_dim) &&
         can_map<T>(a.v, s.batch, s.kv_heads, s.keys, s.value_dim) &&
         can_map<T>(a.dy, s.batch, s.heads, s.queries, s.value_dim) && by_vectors<T>(a.dq, s.head_dim) &&
         by_vectors<T>(a.dk, s.head_dim) && by_vectors<T>(a.dv, s.value_dim);
}

template <class T>
void attention_grad_sm90(const AttentionGradArgs& a, const Launch& l,
                         void (*other)(const AttentionGradArgs&, const Launch&)) {
  if (!takes<T>(a)) return other(a, l);
  run_delta<T>(problem_of(a), l);
  if (a.s.head_dim <= 64 && a.s.value_dim <= 64) return run_grad_sm90<T, Sm90GradConfig<64, 80, 128, true>>(a, l);
  run_grad_sm90<T, Sm90GradConfig<128, 64, 96, false>>(a, l);
}

}  // namespace
}  // namespace attention_cuda

void attention_grad_bf16_sm90(const AttentionGradArgs& args, const Launch& l) {
  attention_cuda::attention_grad_sm90<__nv_bfloat16>(args, l, attention_grad_bf16_cuda);
}
void attention_grad_f16_sm90(const AttentionGradArgs& args, const Launch& l) {
  attention_cuda::attention_grad_sm90<__half>(args, l, attention_grad_f16_cuda);
}

}  // namespace maas
#endif
