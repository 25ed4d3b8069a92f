#pragma once
// Philox4x32-10 (core/random.h) on eight counters at a time, in 256-bit integers on every ISA. Included after isa.h.
#include "simd/isa.h"

namespace maas::simd {
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
MAAS_INLINE Words philox_words(const uint32_t* key, const uint32_t* step, uint64_t block) {
  __m256i c0 = _mm256_add_epi32(_mm256_set1_epi32(static_cast<int>(block)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  __m256i c1 = _mm256_set1_epi32(static_cast<int>(block >> 32));
  __m256i c2 = _mm256_set1_epi32(static_cast<int>(step[0])), c3 = _mm256_set1_epi32(static_cast<int>(step[1]));
  uint32_t k0 = key[0], k1 = key[1];
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

}  // namespace
}  // namespace maas::simd
