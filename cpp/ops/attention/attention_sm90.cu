// Hopper's rows. What their kernel does not take goes on to the rows for every GPU.
#include "ops/attention/attention_sm90.h"

#ifndef MAAS_CUDA_EMULATE
namespace maas {
void attention_bf16_cuda(const AttentionArgs& args, const Launch& l);
void attention_f16_cuda(const AttentionArgs& args, const Launch& l);

namespace attention_cuda {
namespace {

bool has_steps(const AttentionTensor& t, int64_t batch, int64_t heads, int64_t rows) {
  return (batch == 1 || t.batch > 0) && (heads == 1 || t.head > 0) && (rows == 1 || t.row > 0);
}

bool every_row_sees_a_key(const AttentionShape& s) {
  if (s.keys == 0 || (s.causal && s.at_end && s.queries > s.keys)) return false;
  if (s.window == 0) return true;
  return s.at_end ? s.queries < s.keys + s.window : s.queries < s.keys + s.window - 1;
}

template <class T>
bool takes(const AttentionArgs& a) {
  const AttentionShape& s = a.s;
  return s.queries > kDecodeQueries && s.head_dim > 0 && s.value_dim > 0 && s.heads > 0 && s.batch > 0 && !s.lengths &&
         is_plain(problem_of(a)) && every_row_sees_a_key(s) && by_vectors<T>(a.q, s.head_dim) &&
         by_vectors<T>(a.k, s.head_dim) && by_vectors<T>(a.v, s.value_dim) && by_vectors<T>(a.y, s.value_dim) &&
         has_steps(a.q, s.batch, s.heads, s.queries) && has_steps(a.k, s.batch, s.kv_heads, s.keys) &&
         has_steps(a.v, s.batch, s.kv_heads, s.keys);
}

template <class T>
void attention_sm90(const AttentionArgs& a, const Launch& l, void (*other)(const AttentionArgs&, const Launch&)) {
  if (!takes<T>(a)) return other(a, l);
  const int64_t dim = a.s.head_dim > a.s.value_dim ? a.s.head_dim : a.s.value_dim;
  if (dim <= 64) {
    if (a.s.queries <= 256) return run_sm90<T, Sm90Config<64, 128, 2>>(a, l);
    return run_sm90<T, Sm90Config<64, 128, 3>>(a, l);
  }
  if (dim <= 128) {
    if (a.s.causal || a.s.window) return run_sm90<T, Sm90Config<128, 128, 2>>(a, l);
    return run_sm90<T, Sm90Config<128, 176, 2>>(a, l);
  }
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
size_t attention_bf16_sm90_scratch(const AttentionArgs& args) { return attention_cuda::forward_scratch(args); }
size_t attention_f16_sm90_scratch(const AttentionArgs& args) { return attention_cuda::forward_scratch(args); }

}  // namespace maas
#endif
