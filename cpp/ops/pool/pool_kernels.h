#pragma once
// Pooling of (n, d, h, w, c) images over windows of pixels (fewer spatial axes: leading ones of size 1); positions
// outside the image do not take part.
//   max:     y = the largest x of the window; index = which of its positions, row by row, the first among equals. A NaN
//            wins.
//   average: y = sum of x over the window / number of positions inside the image, sums row by row.
// Gradients, by input pixel: dx = sum, over the windows that hold the pixel in their order, of dy where index names the
// pixel (max), or of dy / count (average).
// Outputs o of an axis read inputs o * stride - begin + k, k = 0 .. kernel - 1. Nothing overlaps.
// One unit = one row (image, depth, height) of what is written. n is a run-time size. A window with no position inside
// gives -inf (max) or 0 / 0 (average).
#include <cstdint>

#include "core/exec.h"

namespace maas {

struct PoolAxis {
  int64_t in, out, kernel, stride, begin;
};

struct PoolArgs {
  const void* x;     // images; of a gradient: dy
  void* y;           // of a gradient: dx
  void* index;       // of max: written, null if nobody reads it; of its gradient: read
  PoolAxis d, h, w;  // of the forward pass
  int64_t n, channels;
  bool wide;  // index is int32, else uint8
};

}  // namespace maas
