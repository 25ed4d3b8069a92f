// Hopper's rows. What their kernel does not take goes on to the rows for every GPU.
#include "ops/attention/attention_sm90.h"

#ifndef MAAS_CUDA_EMULATE
namespace maas {
void attention_bf16_cuda(const AttentionArgs& args, const Launch& l);
void attention_f16_cuda(const AttentionArgs& args, const Launch& l);

namespace attention_cuda {
namespace {

template <class T>
bool takes(const AttentionArgs& a) {
  const AttentionShape& s = a.s;
  return s.queries > kDecodeQueries && s.heads > 0 && s.batch > 0 && !s.lengths && is_plain(problem_of(a)) &&
         every_row_sees_a_key(s) && can_map<T>(a.q, s.batch, s.heads, s.queries, s.head_dim) &&
         can_map<T>(a.k, s.batch, s.kv_heads, s.keys, s.head_dim) &&
         can_map<T>(a.v, s.batch, s.kv_heads, s.keys, s.value_dim) && by_vectors<T>(a.y, s.value_dim);
}

template <class T>
void attention_sm90(const AttentionArgs& a, const Launch& l, void (*other)(const AttentionArgs&, const Launch&)) {
  if (!takes<T>(a)) return other(a, l);
  const int64_t dim = a.s.head_dim > a.s.value_dim ? a.s.head_dim : a.s.value_dim;
  if (dim <= 64) return run_sm90<T, Sm90Config<64, 128, 2>>(a, l);
  if (dim <= 128) return run_sm90<T, Sm90Config<128, 128, 2>>(a, l);
  run_sm90<T, Sm90Config<256, 80, 2>>(a, l);
}

}  // namespace
}  // namespace attention_cuda

void attention_bf16_sm90(const AttentionArgs& args, const Launch& l) {
  attention_cuda::attention_sm90<__nv_bfloat16>(args, l, attention_bf16_cuda);
}
void attention_f16_sm90(const AttentionArgs& args, const Launch& l) {
  attention_cuda::attention_sm90<__half>(args, l, attention_f16_cuda);
}
size_t attention_bf16_sm90_scratch(const AttentionArgs& args) { return attention_cuda::forward_scratch(args, true); }
size_t attention_f16_sm90_scratch(const AttentionArgs& args) { return attention_cuda::forward_scratch(args, true); }

}  // namespace maas
#endif
