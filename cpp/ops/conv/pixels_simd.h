#pragma once
// Copies of pixels with the zeros around an image, for tiles that look over an edge.
#include "ops/conv/conv_kernels.h"
#include "simd/isa.h"

namespace maas {
namespace {

using simd::Block;
using simd::kLanes;
using simd::Tail;
using simd::V;

MAAS_INLINE void copy_floats(const float* x, float* y, int64_t n) {
  simd::map<V>(x, y, n, 0.f, [](V v) __attribute__((always_inline)) { return v; });
}
MAAS_INLINE void zero_floats(float* y, int64_t n) {
  for (int64_t i = 0; i < n; i += kLanes) simd::store_some(V(0.f), y + i, n - i);
}

// Pixels [column, column + count) of a row of x into y, zeros where the row has none. k of k_all channels each.
MAAS_INLINE void copy_pixels(const float* row, int64_t width, int64_t k_all, int64_t k, int64_t column, int64_t count,
                             float* y) {
  const int64_t left = column < 0 ? (-column < count ? -column : count) : 0;
  const int64_t inside = width - column < count ? width - column : count;  // end of the part inside
  zero_floats(y, left * k);
  if (inside > left) {
    if (k == k_all) {
      copy_floats(row + (column + left) * k, y + left * k, (inside - left) * k);
    } else {
      for (int64_t i = left; i < inside; ++i) copy_floats(row + (column + i) * k_all, y + i * k, k);
    }
  }
  const int64_t end = inside > left ? inside : left;
  zero_floats(y + end * k, (count - end) * k);
}

}  // namespace
}  // namespace maas
