#pragma once
// Sixteen sums side by side, one a lane: neighbouring columns as they lie, rows through 16 x 16 transposes.
#include "ops/scan/scan_kernels.h"
#include "simd/isa.h"

namespace maas {
namespace {

using simd::V;

MAAS_INLINE void scan_columns(const float* x, float* y, const ScanArgs& a, int64_t left) {
  V sum(0.f);
  for (int64_t k = 0; k < a.size; ++k) {
    const int64_t at = (a.reverse ? a.size - 1 - k : k) * a.inner;
    sum = sum + simd::load_some<V>(x + at, left, 0.f);
    simd::store_some(sum, y + at, left);
  }
}

// `rows` <= 16 rows of a.size elements.
MAAS_INLINE void scan_rows(const float* x, float* y, const ScanArgs& a, int64_t rows) {
  V sum(0.f), block[16];
  const int64_t blocks = (a.size + 15) / 16;
  for (int64_t k = 0; k < blocks; ++k) {
    const int64_t at = (a.reverse ? blocks - 1 - k : k) * 16, left = a.size - at;
    for (int64_t r = 0; r < 16; ++r) block[r] = r < rows ? simd::load_some<V>(x + r * a.size + at, left, 0.f) : V(0.f);
    transpose(block);
    for (int64_t j = 0; j < 16; ++j) {
      V& v = block[a.reverse ? 15 - j : j];
      sum = sum + v;
      v = sum;
    }
    transpose(block);
    for (int64_t r = 0; r < rows; ++r) simd::store_some(block[r], y + r * a.size + at, left);
  }
}

MAAS_INLINE void cumsum_f32(const ScanArgs& a, int64_t begin, int64_t end) {
  const float* x = static_cast<const float*>(a.x);
  float* y = static_cast<float*>(a.y);
  const int64_t strips = (a.inner + 15) / 16;
  for (int64_t u = begin; u < end; ++u) {
    if (a.inner == 1) {
      const int64_t left = a.outer - u * 16, from = u * 16 * a.size;
      scan_rows(x + from, y + from, a, left < 16 ? left : 16);
    } else {
      const int64_t c = u % strips * 16, from = u / strips * a.size * a.inner + c;
      scan_columns(x + from, y + from, a, a.inner - c);
    }
  }
}

}  // namespace
}  // namespace maas
