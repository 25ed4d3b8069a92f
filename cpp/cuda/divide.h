#pragma once
// Splits flat positions into coordinates: by multiplications where positions fit 31 bits, else plainly.
#include "core/fast_divisor.h"
#include "cuda/platform.h"

namespace maas::cuda {

template <class Index>
struct Divisor;
template <>
struct Divisor<uint32_t> {
  FastDivisor by;
  Divisor() = default;
  explicit Divisor(int64_t n) : by(fast_divisor(static_cast<uint32_t>(n))) {}
  __device__ __forceinline__ uint32_t size() const { return by.divisor; }
  __device__ __forceinline__ uint32_t quotient(uint32_t n) const {
    return (static_cast<uint32_t>(static_cast<uint64_t>(n) * by.multiplier >> 32) + n) >> by.shift;
  }
};
template <>
struct Divisor<int64_t> {
  int64_t by = 1;
  Divisor() = default;
  explicit Divisor(int64_t n) : by(n) {}
  __device__ __forceinline__ int64_t size() const { return by; }
  __device__ __forceinline__ int64_t quotient(int64_t n) const { return n / by; }
};

// rest = rest / by; returns what was left over.
template <class Index>
__device__ __forceinline__ Index split(Index& rest, const Divisor<Index>& by) {
  const Index q = by.quotient(rest), left = rest - q * by.size();
  rest = q;
  return left;
}

}  // namespace maas::cuda
