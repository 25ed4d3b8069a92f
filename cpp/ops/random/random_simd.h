#pragma once
// See random_kernels.h.
#include "ops/random/random_kernels.h"
#include "simd/isa.h"
#include "simd/philox.h"

namespace maas {
namespace {

// fn(offset, words, count) for every 32 elements of the units.
template <class F>
MAAS_INLINE void for_words(const RandomArgs& a, int64_t begin, int64_t end, F&& fn) {
  const RandomKey key = random_key(a);
  const int64_t last = end * RandomArgs::unit < a.size ? end * RandomArgs::unit : a.size;
  for (int64_t i = begin * RandomArgs::unit; i < last; i += 32)
    fn(i, simd::philox_words(key.key, key.step, static_cast<uint64_t>(i) / 4), last - i < 32 ? last - i : 32);
}

MAAS_INLINE void uniform_numbers(const RandomArgs& a, int64_t begin, int64_t end) {
  const float low = static_cast<float>(a.low), span = static_cast<float>(a.high) - low;
  const __m256 vlow = _mm256_set1_ps(low), vspan = _mm256_set1_ps(span), vlast = _mm256_set1_ps(a.last);
  float* y = static_cast<float*>(a.y);
  for_words(a, begin, end, [&](int64_t i, const simd::Words& words, int64_t count) __attribute__((always_inline)) {
    alignas(32) float buffer[32];
    for (int j = 0; j < 4; ++j) {
      const __m256 u = _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_srli_epi32(words.w[j], 8)), _mm256_set1_ps(0x1p-24f));
      const __m256 v = _mm256_min_ps(vlast, _mm256_add_ps(vlow, _mm256_mul_ps(u, vspan)));
      if (count == 32)
        _mm256_storeu_ps(y + i + 8 * j, v);
      else
        _mm256_store_ps(buffer + 8 * j, v);
    }
    if (count < 32)
      for (int64_t j = 0; j < count; ++j) y[i + j] = buffer[j];
  });
}

MAAS_INLINE void drop(const RandomArgs& a, int64_t begin, int64_t end) {
  const __m256 keep = _mm256_set1_ps(static_cast<float>(a.keep));
  const __m256i below = _mm256_set1_epi32(static_cast<int>(a.threshold) - 1);  // at most 2^24
  const float* x = static_cast<const float*>(a.x);
  float* y = static_cast<float*>(a.y);
  for_words(a, begin, end, [&](int64_t i, const simd::Words& words, int64_t count) __attribute__((always_inline)) {
    alignas(32) float buffer[32] = {};
    if (count < 32)
      for (int64_t j = 0; j < count; ++j) buffer[j] = x[i + j];
    const float* from = count < 32 ? buffer : x + i;
    float* to = count < 32 ? buffer : y + i;
    for (int j = 0; j < 4; ++j) {
      const __m256i kept = _mm256_cmpgt_epi32(_mm256_srli_epi32(words.w[j], 8), below);
      const __m256 v = _mm256_div_ps(_mm256_loadu_ps(from + 8 * j), keep);
      _mm256_storeu_ps(to + 8 * j, _mm256_and_ps(v, _mm256_castsi256_ps(kept)));
    }
    if (count < 32)
      for (int64_t j = 0; j < count; ++j) y[i + j] = buffer[j];
  });
}

}  // namespace
}  // namespace maas
