#pragma once
// Philox on eight counters at a time, in 256-bit integers on every ISA. See random_kernels.h.
#include "ops/random/random_kernels.h"
#include "simd/isa.h"

namespace maas {
namespace {

struct Words {
  __m256i w[4];
};

MAAS_INLINE void multiply_wide(__m256i x, __m256i by, __m256i& high, __m256i& low) {
  const __m256i even = _mm256_mul_epu32(x, by), odd = _mm256_mul_epu32(_mm256_srli_epi64(x, 32), by);
  low = _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa);
  high = _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xaa);
}

// Words 4 * block .. 4 * block + 31, in order. `block` is a multiple of 8, so its low half never overflows.
MAAS_INLINE Words philox_words(const RandomKey& k, uint64_t block) {
  __m256i c0 = _mm256_add_epi32(_mm256_set1_epi32(static_cast<int>(block)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  __m256i c1 = _mm256_set1_epi32(static_cast<int>(block >> 32));
  __m256i c2 = _mm256_set1_epi32(static_cast<int>(k.step[0])), c3 = _mm256_set1_epi32(static_cast<int>(k.step[1]));
  uint32_t k0 = k.key[0], k1 = k.key[1];
  const __m256i m0 = _mm256_set1_epi32(static_cast<int>(0xD2511F53)),
                m1 = _mm256_set1_epi32(static_cast<int>(0xCD9E8D57));
  for (int round = 0; round < 10; ++round) {
    __m256i high0, low0, high1, low1;
    multiply_wide(c0, m0, high0, low0);
    multiply_wide(c2, m1, high1, low1);
    c0 = _mm256_xor_si256(_mm256_xor_si256(high1, c1), _mm256_set1_epi32(static_cast<int>(k0)));
    c2 = _mm256_xor_si256(_mm256_xor_si256(high0, c3), _mm256_set1_epi32(static_cast<int>(k1)));
    c1 = low1;
    c3 = low0;
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
  // From word by block to block by word.
  const __m256i a = _mm256_unpacklo_epi32(c0, c1), b = _mm256_unpacklo_epi32(c2, c3);
  const __m256i c = _mm256_unpackhi_epi32(c0, c1), d = _mm256_unpackhi_epi32(c2, c3);
  const __m256i u0 = _mm256_unpacklo_epi64(a, b), u1 = _mm256_unpackhi_epi64(a, b);
  const __m256i u2 = _mm256_unpacklo_epi64(c, d), u3 = _mm256_unpackhi_epi64(c, d);
  return {{_mm256_permute2x128_si256(u0, u1, 0x20), _mm256_permute2x128_si256(u2, u3, 0x20),
           _mm256_permute2x128_si256(u0, u1, 0x31), _mm256_permute2x128_si256(u2, u3, 0x31)}};
}

// fn(offset, words, count) for every 32 elements of the units.
template <class F>
MAAS_INLINE void for_words(const RandomArgs& a, int64_t begin, int64_t end, F&& fn) {
  const RandomKey key = random_key(a);
  const int64_t last = end * RandomArgs::unit < a.size ? end * RandomArgs::unit : a.size;
  for (int64_t i = begin * RandomArgs::unit; i < last; i += 32)
    fn(i, philox_words(key, static_cast<uint64_t>(i) / 4), last - i < 32 ? last - i : 32);
}

MAAS_INLINE void uniform_numbers(const RandomArgs& a, int64_t begin, int64_t end) {
  const float low = static_cast<float>(a.low), span = static_cast<float>(a.high) - low;
  const __m256 vlow = _mm256_set1_ps(low), vspan = _mm256_set1_ps(span), vlast = _mm256_set1_ps(a.last);
  float* y = static_cast<float*>(a.y);
  for_words(a, begin, end, [&](int64_t i, const Words& words, int64_t count) __attribute__((always_inline)) {
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
  for_words(a, begin, end, [&](int64_t i, const Words& words, int64_t count) __attribute__((always_inline)) {
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
