#pragma once
// y[o][i] = fold over r of x[o][r][i]: sum, mean, prod, max, min, any (x != 0 somewhere), all (x != 0 everywhere), and
// argmax, argmin (the first r that holds the extreme value; a NaN is extreme, the first one wins).
// x is dense, outer x reduced x inner; y is dense, outer x inner. Max, min and arg* have reduced >= 1; else the fold of
// nothing is the neutral element, and its mean is NaN. Max and min of a NaN are NaN.
// Order of a float32 sum, the same on every ISA and for every cut:
//   lanes  (the last axis of x is reduced, inner == 1): element r goes to lane r mod 16 of chunk r / chunk;
//   columns (the last axis of x is kept): row r goes to chunk r / chunk, one sum a column;
// then the chunks of one result are added in a fixed tree. `chunk` is fixed, so bits depend on `reduced` alone.
#include <cstdint>

#include "core/dtype.h"
#include "core/exec.h"

namespace maas {

enum class Fold : uint8_t { sum, mean, prod, max, min, any, all, argmax, argmin };

struct ReduceArgs {
  static constexpr int64_t lane_chunk = 4096;   // elements
  static constexpr int64_t column_chunk = 128;  // rows
  static constexpr int64_t column_block = 256;  // columns of one unit
  const void* x;
  void* y;
  float* partial;  // [outer][chunks][inner], or null if there is one chunk
  DType dtype, result;
  Fold fold;
  bool lanes;  // the last axis is reduced
  int64_t outer, reduced, inner;
  int64_t chunk, chunks;
};
// Reference: one unit = one element of y. Vector rows: phase 0 makes the chunks, phase 1 joins them; see reduce.cpp.

}  // namespace maas
