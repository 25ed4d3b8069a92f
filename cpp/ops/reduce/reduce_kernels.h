#pragma once
// y[o][i] = fold over r of x[o][r][i]: sum, mean, prod, max, min, any (x != 0 somewhere), all (x != 0 everywhere), and
// argmax, argmin (the first r that holds the extreme value; a NaN is extreme, the first one wins).
// x is dense, outer x reduced x inner; y is dense, outer x inner. Max, min and arg* have reduced >= 1; else the fold of
// nothing is the neutral element, and its mean is NaN. Max and min of a NaN are NaN.
// Order of a float32 fold, the same on every ISA and for every cut; `chunk` is fixed, so bits depend on `reduced`
// alone:
//   lanes  (the last axis of x is reduced, inner == 1): chunks of 4096 elements; in a chunk element r goes to lane r
//   mod 64,
//          the four vectors of 16 lanes are joined as (0 + 1) + (2 + 3), then simd's tree over lanes; the chunks'
//          results are folded in the same way;
//   columns (the last axis of x is kept): chunks of 128 rows; in a chunk row by row, then the chunks pairwise.
// Order of a float64 sum or mean over the last axis in vectors: element r goes to lane r mod 32, the four vectors of 8
// lanes are joined as (0 + 1) + (2 + 3), then lanes l and l + 4, l + 2, l + 1.
#include <cstdint>

#include "core/dtype.h"
#include "core/exec.h"

namespace maas {

enum class Fold : uint8_t { sum, mean, prod, max, min, any, all, argmax, argmin };

struct ReduceArgs {
  static constexpr int64_t lane_chunk = 4096;    // elements
  static constexpr int64_t column_chunk = 128;   // rows
  static constexpr int64_t column_block = 1024;  // columns of one unit: 4 KiB of sums stay in L1
  const void* x;
  void* y;
  float* partial;  // [outer][chunks][inner], or null if there is one chunk
  DType dtype, result;
  Fold fold;
  bool lanes;   // the last axis is reduced
  bool vector;  // a vector row runs
  int64_t outer, reduced, inner;
  int64_t chunk, chunks;
};
// Units. Reference: one element of y. Vector rows, phase 0: a chunk of one o (lanes), or of 1024 columns of it
// (columns); phase 1, if there are several chunks: one o, or 16 columns of it.

}  // namespace maas
