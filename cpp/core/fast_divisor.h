#pragma once
// Quotients by a number that a whole kernel shares, by a multiplication.
#include <cstdint>

namespace maas {

// n / divisor = (high 32 bits of n * multiplier + n) >> shift, for n < 2^31, 1 <= divisor < 2^31.
// Granlund and Montgomery, 1994, "Division by invariant integers using multiplication", PLDI'94.
struct FastDivisor {
  uint32_t divisor = 1, multiplier = 1, shift = 0;
};

inline FastDivisor fast_divisor(uint32_t divisor) {
  FastDivisor f{divisor, 1, 0};
  while (f.shift < 31 && (uint32_t{1} << f.shift) < divisor) ++f.shift;
  f.multiplier = static_cast<uint32_t>((((uint64_t{1} << f.shift) - divisor) << 32) / divisor + 1);
  return f;
}

}  // namespace maas
