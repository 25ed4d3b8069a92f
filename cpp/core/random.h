// Counter-based random numbers: element i is a pure function of (seed, stream, step, i), whoever computes it and in
// what order. Philox4x32-10: Salmon, Moraes, Dror, Shaw, 2011, "Parallel random numbers: as easy as 1, 2, 3", SC'11.
#pragma once

#include <array>
#include <cstdint>

namespace maas {

using PhiloxBlock = std::array<uint32_t, 4>;

// The bare cipher: counter and key as in the paper, 10 rounds.
PhiloxBlock philox4x32(PhiloxBlock counter, std::array<uint32_t, 2> key) noexcept;

// Random numbers of one stream at one step. Make one per kernel call (one cipher call), then ask for elements.
class Philox {
 public:
  // (seed, stream) are hashed to the 64-bit key by one cipher call; step and block number make up the counter.
  Philox(uint64_t seed, uint64_t stream, uint64_t step) noexcept;

  // Block b holds 32-bit words 4b .. 4b+3 and 64-bit words 2b, 2b+1 (low half first).
  PhiloxBlock block(uint64_t b) const noexcept;
  uint32_t bits32(uint64_t i) const noexcept { return block(i / 4)[i % 4]; }
  uint64_t bits64(uint64_t i) const noexcept {
    const PhiloxBlock w = block(i / 2);
    return w[2 * (i % 2)] | uint64_t(w[2 * (i % 2) + 1]) << 32;
  }

  static uint32_t bits(uint64_t seed, uint64_t stream, uint64_t step, uint64_t i) noexcept {
    return Philox(seed, stream, step).bits32(i);
  }

  // y[j] = element begin + j; each block is computed once.
  void fill_uniform(float* y, uint64_t begin, uint64_t count) const noexcept;  // [0, 1)
  void fill_normal(float* y, uint64_t begin, uint64_t count) const noexcept;   // mean 0, deviation 1

 private:
  std::array<uint32_t, 2> key_;
  uint64_t step_;
};

// Words to numbers. Plain arithmetic in a fixed order, no libm: the same bits on every ISA.
constexpr float uniform_f32(uint32_t w) { return float(w >> 8) * 0x1p-24f; }                // [0, 1), 24 bits
constexpr float uniform_f32_above_0(uint32_t w) { return float((w >> 8) + 1) * 0x1p-24f; }  // (0, 1]
constexpr double uniform_f64(uint64_t w) { return double(w >> 11) * 0x1p-53; }              // [0, 1), 53 bits
// Inverse of the normal distribution function at (w + 1/2) / 2^32, in double; |z| < 6.34. Monotone in w, so one word a
// number.
double normal_f64(uint32_t w) noexcept;
inline float normal_f32(uint32_t w) noexcept { return float(normal_f64(w)); }
// floor(w * range / 2^64): in [0, range); a value's probability is off by less than range / 2^64 of itself. range >= 1.
constexpr uint64_t bounded(uint64_t w, uint64_t range) { return uint64_t((unsigned __int128)w * range >> 64); }

// Inverse of the standard normal distribution function, 0 < p < 1, relative error about 1e-15.
// Wichura, 1988, "Algorithm AS 241: The percentage points of the normal distribution", Applied Statistics 37(3).
double normal_quantile(double p) noexcept;

}  // namespace maas
