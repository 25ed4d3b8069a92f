// Eight float64 lanes: one zmm, or two ymm. What kernels of doubles need, no more; see README.md for the rules.
#pragma once
#include "simd/isa.h"

namespace maas::simd {
namespace {

#if defined(__AVX512F__)
struct F64 {
  static constexpr int lanes = 8;
  static constexpr int kRegisters = 32;
  __m512d v;
  MAAS_MEMBER F64() = default;
  MAAS_MEMBER F64(__m512d a) : v(a) {}
  MAAS_MEMBER F64(double a) : v(_mm512_set1_pd(a)) {}
  static MAAS_MEMBER F64 load(const double* p) { return _mm512_loadu_pd(p); }
  MAAS_MEMBER void store(double* p) const { _mm512_storeu_pd(p, v); }
  // The first n lanes, 0 <= n <= 8; memory behind them is not touched.
  MAAS_MEMBER void store(double* p, int64_t n) const {
    _mm512_mask_storeu_pd(p, static_cast<__mmask8>((1u << n) - 1), v);
  }
};
MAAS_INLINE F64 fma(F64 a, F64 b, F64 c) { return _mm512_fmadd_pd(a.v, b.v, c.v); }
MAAS_INLINE F64 add(F64 a, F64 b) { return _mm512_add_pd(a.v, b.v); }
#else
struct F64 {
  static constexpr int lanes = 8;
  static constexpr int kRegisters = 8;
  __m256d low, high;
  MAAS_MEMBER F64() = default;
  MAAS_MEMBER F64(__m256d l, __m256d h) : low(l), high(h) {}
  MAAS_MEMBER F64(double a) : low(_mm256_set1_pd(a)), high(_mm256_set1_pd(a)) {}
  static MAAS_MEMBER F64 load(const double* p) { return {_mm256_loadu_pd(p), _mm256_loadu_pd(p + 4)}; }
  MAAS_MEMBER void store(double* p) const {
    _mm256_storeu_pd(p, low);
    _mm256_storeu_pd(p + 4, high);
  }
  // The first n lanes, 0 <= n <= 8; memory behind them is not touched.
  MAAS_MEMBER void store(double* p, int64_t n) const {
    const __m256i at = _mm256_set_epi64x(3, 2, 1, 0);
    _mm256_maskstore_pd(p, _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), at), low);
    if (n > 4) _mm256_maskstore_pd(p + 4, _mm256_cmpgt_epi64(_mm256_set1_epi64x(n - 4), at), high);
  }
};
MAAS_INLINE F64 fma(F64 a, F64 b, F64 c) {
  return {_mm256_fmadd_pd(a.low, b.low, c.low), _mm256_fmadd_pd(a.high, b.high, c.high)};
}
MAAS_INLINE F64 add(F64 a, F64 b) { return {_mm256_add_pd(a.low, b.low), _mm256_add_pd(a.high, b.high)}; }
#endif

}  // namespace
}  // namespace maas::simd
