#pragma once
// From the arguments of an attention row to launches: which tile, split or not. All of it follows from the shapes
// without the batch, so that a row's bits do not depend on what else is in the batch.
#include "ops/attention/attention_cuda.h"

namespace maas::attention_cuda {

inline Problem problem_of(const AttentionArgs& a) { return problem_of(a.s, a.q, a.k, a.v, a.mask, a.bias, a.dropout); }

inline constexpr int kDecodeQueries = 16;  // up to so many, keys are split over blocks
inline constexpr int kChunk = 256;         // keys of one split

inline bool is_decode(const AttentionShape& s) { return s.queries <= kDecodeQueries; }
inline int64_t splits_of(const AttentionShape& s) { return is_decode(s) ? (s.keys + kChunk - 1) / kChunk : 1; }

// Sums, tops and totals of every split.
inline size_t forward_scratch(const AttentionArgs& a) {
  const int64_t splits = splits_of(a.s);
  if (splits <= 1) return 0;
  return static_cast<size_t>(splits * a.s.batch * a.s.heads * a.s.queries * (a.s.value_dim + 2) * 4);
}

inline Output output_of(const AttentionArgs& a, const Tiling& tiling, const Launch& l) {
  Output out{};
  out.y = a.y;
  out.lse = static_cast<float*>(a.lse);
  out.pairs = reinterpret_cast<uintptr_t>(a.y.data) % 4 == 0 && (a.y.batch | a.y.head | a.y.row) % 2 == 0;
  if (tiling.splits > 1) {
    const int64_t rows = tiling.splits * a.s.batch * a.s.heads * a.s.queries;
    out.sums = static_cast<float*>(l.scratch);
    out.tops = out.sums + rows * a.s.value_dim;
    out.totals = out.tops + rows;
  }
  return out;
}

template <class T>
void combine(const Launch& l, const Problem& p, const Output& out, const Tiling& tiling) {
  if (tiling.splits <= 1) return;
  const int64_t rows = static_cast<int64_t>(p.batch) * p.heads * p.queries;
  cuda::launch(l, attention_combine_kernel<T>, dim3(cuda::blocks_for(rows, 4)), dim3(128), 0, p, out, tiling.splits);
}

}  // namespace maas::attention_cuda
