// Argument reduction for sin, cos, tan: x = q pi/2 + r, |r| <= pi/4.
#pragma once
#include "simd/vec.h"

namespace maas::simd {

template <Vector V>
struct Reduced {
  V r;
  typename V::I32 q;  // only q mod 4 is meant
};

// Payne and Hanek, 1983: for |x| > 1e5 the product x 2/pi mod 4 needs the bits of 2/pi that x reaches. Integers only
// (and one product in double), so every ISA gives the same bits.
MAAS_INLINE float reduce_large(float x, int32_t* q) {
  // 2/pi after 32 zero bits.
  static constexpr uint32_t kTwoOverPi[8] = {0x00000000, 0xa2f9836e, 0x4e441529, 0xfc2757d1,
                                             0xf534ddc0, 0xdb629599, 0x3c439041, 0xfe5163ab};
  uint32_t bits;
  memcpy(&bits, &x, sizeof(bits));
  const uint32_t mantissa = (bits & 0x7fffff) | 0x800000;
  const int exponent = static_cast<int>((bits >> 23) & 0xff) - 150;  // |x| = mantissa 2^exponent, -7 <= exponent <= 104
  // 96 bits of frac(2^(exponent - 2) 2/pi): quarters of a turn times the mantissa below.
  const int start = 32 + exponent - 2, word = start / 32, shift = start % 32;
  unsigned __int128 window = 0;
  for (int i = 0; i < 4; i++) window = window << 32 | kTwoOverPi[word + i];
  window = window << shift >> 32;
  const unsigned __int128 turn = window * mantissa << 32;  // frac(x / 2 pi) in 128 bits
  const uint64_t high = static_cast<uint64_t>(turn >> 64);
  const uint32_t quadrant = static_cast<uint32_t>((high + (uint64_t{1} << 61)) >> 62) & 3;
  const __int128 rest = static_cast<__int128>(turn << 2);  // the fraction of a quadrant, now signed: -1/2 .. 1/2
  const double r = static_cast<double>(static_cast<int64_t>(rest >> 64)) * 0x1.921fb54442d18p-64;  // pi/2 2^-64
  *q = static_cast<int32_t>(x < 0 ? 4 - quadrant : quadrant);
  return static_cast<float>(x < 0 ? -r : r);
}

template <Vector V>
static __attribute__((noinline, cold)) void reduce_large_lanes(const float* x, float* r, int32_t* q) noexcept {
  for (int i = 0; i < kLanes; i++) {
    const float a = x[i] < 0 ? -x[i] : x[i];
    if (a > 1e5f && a < kInf) r[i] = reduce_large(x[i], &q[i]);
  }
}

template <Vector V>
MAAS_INLINE Reduced<V> reduce_half_pi(V x) {
  // Cody and Waite: pi/2 in three floats. For k < 2^17 the first difference is exact and the others lose only the last
  // bit.
  const V k = round(x * V(0x1.45f306p-1f));
  V r = fnma(k, V(0x1.921fb6p+0f), x);
  r = fnma(k, V(-0x1.777a5cp-25f), r);
  r = fnma(k, V(-0x1.ee59dap-50f), r);
  typename V::I32 q = round_to_int(k);
  if (__builtin_expect(any(abs(x) > V(1e5f)), 0)) {
    float x_lanes[kLanes], r_lanes[kLanes];
    int32_t q_lanes[kLanes];
    x.store(x_lanes);
    r.store(r_lanes);
    q.store(q_lanes);
    reduce_large_lanes<V>(x_lanes, r_lanes, q_lanes);
    r = V::load(r_lanes);
    q = V::I32::load(q_lanes);
  }
  return {r, q};
}

}  // namespace maas::simd
