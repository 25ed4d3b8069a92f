#pragma once
// From the arguments of an attention row to launches: which tile, split or not. In float32 all of it follows from the
// shapes without the batch, so that a row's bits do not depend on what else is in the batch.
#include "ops/attention/attention_cuda.h"

namespace maas::attention_cuda {

inline Problem problem_of(const AttentionArgs& a) { return problem_of(a.s, a.q, a.k, a.v, a.mask, a.bias, a.dropout); }

inline constexpr int kDecodeQueries = 16;  // up to so many, keys are split over blocks
inline constexpr int kDecodeRows = 16;     // of a tile of halves
inline constexpr int kChunk = 256;         // least keys of a split

inline bool is_decode(const AttentionShape& s) { return s.queries > 0 && s.queries <= kDecodeQueries; }

// Keys of one split. Halves: as few splits as fill the GPU. A block takes about as long to start and end as for 200
// keys, and so do the sums of splits.
inline int chunk_of(const AttentionShape& s, bool halves) {
  if (!halves) return kChunk;
  constexpr int64_t kResident = 2 * 132, kStart = 200, kCombine = 100;
  const int64_t heads = s.queries * 2 <= kDecodeRows ? kDecodeRows / s.queries : 1;
  const int64_t tiles = s.batch * s.kv_heads * ((s.groups() + heads - 1) / heads);
  int64_t best = 0, chunk = kChunk;
  for (int64_t splits = 1; splits <= 256 && splits <= (s.keys + kChunk - 1) / kChunk; ++splits) {
    const int64_t keys = ((s.keys + splits - 1) / splits + 63) / 64 * 64, count = (s.keys + keys - 1) / keys;
    const int64_t waves = (tiles * count + kResident - 1) / kResident;
    const int64_t cost = waves * (keys + kStart) + (count > 1 ? kCombine + count * 4 : 0);
    if (best && cost >= best) continue;
    best = cost, chunk = keys;
  }
  return static_cast<int>(chunk);
}

// Sums, tops and totals of every split.
inline size_t forward_scratch(const AttentionArgs& a, bool halves) {
  if (!is_decode(a.s)) return 0;
  const int64_t chunk = chunk_of(a.s, halves), splits = (a.s.keys + chunk - 1) / chunk;
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
