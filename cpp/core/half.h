#pragma once
#include <bit>
#include <cmath>
#include <cstdint>
#include <type_traits>

namespace maas {

// bfloat16 is the upper half of a float32; rounding is to nearest even and keeps NaN.
inline float bf16_to_f32(uint16_t v) { return std::bit_cast<float>(static_cast<uint32_t>(v) << 16); }
inline uint16_t f32_to_bf16(float f) {
  uint32_t u = std::bit_cast<uint32_t>(f);
  if ((u & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>((u >> 16) | 0x40);
  return static_cast<uint16_t>((u + 0x7fffu + ((u >> 16) & 1)) >> 16);
}

// IEEE binary16 in plain integer arithmetic: no F16C needed.
inline float f16_to_f32(uint16_t h) {
  uint32_t sign = static_cast<uint32_t>(h & 0x8000) << 16, exp = (h >> 10) & 31, man = h & 1023;
  if (exp == 31) return std::bit_cast<float>(sign | 0x7f800000u | (man << 13) | (man ? 0x400000u : 0));
  if (exp == 0) {
    float f = static_cast<float>(man) * 0x1p-24f;
    return sign ? -f : f;
  }
  return std::bit_cast<float>(sign | ((exp + 112) << 23) | (man << 13));
}
inline uint16_t f32_to_f16(float f) {
  uint32_t u = std::bit_cast<uint32_t>(f), sign = (u >> 16) & 0x8000, mag = u & 0x7fffffffu;
  if (mag > 0x7f800000u) return static_cast<uint16_t>(sign | 0x7e00);
  if (mag >= 0x477ff000u) return static_cast<uint16_t>(sign | 0x7c00);  // 65520 and above round to infinity
  if (mag < 0x38800000u) {                                              // below 2^-14: subnormal, in units of 2^-24
    if (mag < 0x33000000u) return static_cast<uint16_t>(sign);
    uint32_t shift = 126 - (mag >> 23), man = (mag & 0x7fffffu) | 0x800000u;
    uint32_t half = man >> shift, rest = man & ((1u << shift) - 1), tie = 1u << (shift - 1);
    return static_cast<uint16_t>(sign | (half + (rest > tie || (rest == tie && (half & 1)))));
  }
  uint32_t r = mag - 0x38000000u;
  return static_cast<uint16_t>(sign | ((r + 0xfffu + ((r >> 13) & 1)) >> 13));
}

// e4m3fn: no infinities, one NaN of each sign; what rounds beyond 448 becomes NaN.
inline float f8_to_f32(uint8_t h) {
  const uint32_t sign = static_cast<uint32_t>(h & 0x80) << 24, exp = (h >> 3) & 15, man = h & 7;
  if (exp == 15 && man == 7) return std::bit_cast<float>(sign | 0x7fc00000u);
  if (exp == 0) {
    const float f = static_cast<float>(man) * 0x1p-9f;
    return sign ? -f : f;
  }
  return std::bit_cast<float>(sign | ((exp + 120) << 23) | (man << 20));
}
inline uint8_t f32_to_f8(float f) {
  const uint32_t u = std::bit_cast<uint32_t>(f), sign = (u >> 24) & 0x80, mag = u & 0x7fffffffu;
  if (mag > 0x43e80000u) return static_cast<uint8_t>(sign | 0x7f);  // above 464, the tie between 448 and 480
  if (mag < 0x3c800000u) {                                          // below 2^-6: subnormal, in units of 2^-9
    if (mag < 0x3a800000u) return static_cast<uint8_t>(sign);       // below 2^-10, half the smallest
    const uint32_t shift = 141 - (mag >> 23), man = (mag & 0x7fffffu) | 0x800000u;
    const uint32_t kept = man >> shift, rest = man & ((1u << shift) - 1), tie = 1u << (shift - 1);
    return static_cast<uint8_t>(sign | (kept + (rest > tie || (rest == tie && (kept & 1)))));
  }
  const uint32_t r = mag - 0x3c000000u;
  return static_cast<uint8_t>(sign | ((r + 0x7ffffu + ((r >> 20) & 1)) >> 20));
}

// e5m2: float16's range, two bits behind the point; what rounds beyond 57344 becomes infinity.
inline float f8e5_to_f32(uint8_t h) { return f16_to_f32(static_cast<uint16_t>(h << 8)); }
inline uint8_t f32_to_f8e5(float f) {
  const uint32_t u = std::bit_cast<uint32_t>(f), sign = (u >> 24) & 0x80, mag = u & 0x7fffffffu;
  if (mag > 0x7f800000u) return static_cast<uint8_t>(sign | 0x7e);
  if (mag >= 0x47700000u) return static_cast<uint8_t>(sign | 0x7c);  // 61440 and above, the tie to even
  if (mag < 0x38800000u) {                                           // below 2^-14: subnormal, in units of 2^-16
    if (mag < 0x37000000u) return static_cast<uint8_t>(sign);        // below 2^-17, half the smallest
    const uint32_t shift = 134 - (mag >> 23), man = (mag & 0x7fffffu) | 0x800000u;
    const uint32_t kept = man >> shift, rest = man & ((1u << shift) - 1), tie = 1u << (shift - 1);
    return static_cast<uint8_t>(sign | (kept + (rest > tie || (rest == tie && (kept & 1)))));
  }
  const uint32_t r = mag - 0x38000000u;
  return static_cast<uint8_t>(sign | ((r + 0xfffffu + ((r >> 21) & 1)) >> 21));
}

// v as a float32 whose last bit says that something was cut off (round to odd): rounding it once more to a narrower
// float gives what rounding v itself would.
inline float odd_f32(double v) {
  const float f = static_cast<float>(v);
  const auto back = static_cast<double>(f);
  if (back == v || v != v || std::isinf(f)) return f;
  const auto bits = std::bit_cast<uint32_t>(f);
  if (bits & 1) return f;
  return std::bit_cast<float>(std::fabs(back) < std::fabs(v) ? bits + 1 : bits - 1);
}
template <class T>
float to_narrow_source(T v) {
  if constexpr (std::is_same_v<T, float>) {
    return v;
  } else if constexpr (std::is_integral_v<T>) {
    constexpr T exact = T{1} << (sizeof(T) == 8 ? 53 : 8 * sizeof(T) - 2);
    if (sizeof(T) < 8 || (v < exact && (std::is_unsigned_v<T> || v > static_cast<T>(0) - exact)))
      return odd_f32(static_cast<double>(v));
    return odd_f32(static_cast<double>((v >> 11) | ((v & 0x7ff) != 0)) * 2048.0);
  } else {
    return odd_f32(static_cast<double>(v));
  }
}

}  // namespace maas
