#pragma once
// Panels, as gemm and conv read their second operand.
#include <cstdint>

#include "simd/isa.h"

namespace maas {
namespace {

using simd::kLanes;
using simd::Tail;
using simd::V;

// k rows of a panel, from any strides, into rows of `width` floats, zeros after `columns`.
MAAS_INLINE void pack_panel(const float* b, int64_t rs, int64_t cs, int64_t k, int64_t columns, int64_t width,
                            float* y) {
  if (cs == 1) {
    for (int64_t r = 0; r < k; ++r, b += rs, y += width)
      for (int64_t j = 0; j < width; j += kLanes)
        V::load(b + j, Tail(columns - j > kLanes ? kLanes : columns - j), 0.f).store(y + j);
    return;
  }
  // Transposed: 16 columns of b are 16 runs along k.
  for (int64_t j = 0; j < width; j += kLanes) {
    int64_t r = 0;
    if (rs == 1) {
      for (; r + kLanes <= k; r += kLanes) {
        V block[kLanes];
        for (int i = 0; i < kLanes; ++i) block[i] = j + i < columns ? V::load(b + (j + i) * cs + r) : V(0.f);
        transpose(block);
        for (int i = 0; i < kLanes; ++i) block[i].store(y + (r + i) * width + j);
      }
    }
    for (; r < k; ++r)
      for (int i = 0; i < kLanes; ++i) y[r * width + j + i] = j + i < columns ? b[r * rs + (j + i) * cs] : 0.f;
  }
}

}  // namespace
}  // namespace maas
