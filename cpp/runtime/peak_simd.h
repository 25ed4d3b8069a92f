#pragma once
#include "runtime/peak.h"
#include "simd/isa.h"

namespace maas {
namespace {

using simd::V;

// Latency 4 times two ports asks for 8 chains of registers; AVX2 has 16 registers, two a V.
constexpr int kChains = V::kRegisters >= 32 ? 16 : 6;

MAAS_INLINE int64_t peak_fma(const float* x, float* y, int64_t rounds) {
  simd::Block<V, kChains> sums;
  const V a = V::load(x), b = V::load(x + 16);
  MAAS_UNROLL
  for (int i = 0; i < kChains; ++i) sums[i] = V(static_cast<float>(i));
  for (int64_t r = 0; r < rounds; ++r) {
    MAAS_UNROLL
    for (int i = 0; i < kChains; ++i) sums[i] = fma(sums[i], a, b);
  }
  V total(0.f);
  MAAS_UNROLL
  for (int i = 0; i < kChains; ++i) total = total + sums[i];
  total.store(y);
  return rounds * kChains * 32;
}

MAAS_INLINE void peak_triad(const float* x, float* y, int64_t n) {
  simd::map2<V>(x, y, y, n, 0.f, [](V a, V b) { return fma(a, V(0.5f), b); });
}

}  // namespace
}  // namespace maas
