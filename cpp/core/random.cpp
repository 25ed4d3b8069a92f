#include "core/random.h"

#include <bit>
#include <cmath>

#define MAAS_EVERYWHERE inline
#include "core/normal_quantile.inc"

namespace maas {
namespace {

// log of a normal positive number within 2 ulp. Not libm: its variants differ in the last bit from CPU to CPU.
double plain_log(double x) {
  const uint64_t bits = std::bit_cast<uint64_t>(x);
  int exponent = int(bits >> 52) - 1023;
  double m = std::bit_cast<double>((bits & 0xfffffffffffff) | 0x3ff0000000000000);  // [1, 2)
  if (m > 1.4142135623730951) {
    m *= 0.5;
    ++exponent;
  }
  const double s = (m - 1) / (m + 1), z = s * s;  // log m = 2 atanh s, |s| < 0.172: 12 terms reach 1e-18
  constexpr double kTerms[] = {1. / 23, 1. / 21, 1. / 19, 1. / 17, 1. / 15, 1. / 13,
                               1. / 11, 1. / 9,  1. / 7,  1. / 5,  1. / 3};
  constexpr double kLn2High = 0x1.62e42fee00000p-1, kLn2Low = 0x1.a39ef35793c76p-33;  // exponent * high is exact
  return exponent * kLn2High + (2 * s + (2 * s * (z * polynomial(kTerms, z)) + exponent * kLn2Low));
}

// Calls put(j, word of element begin + j) and computes each block once.
template <class Put>
void for_words(const Philox& random, uint64_t begin, uint64_t count, Put put) {
  for (uint64_t j = 0; j < count;) {
    const PhiloxBlock words = random.block((begin + j) / 4);
    for (uint64_t lane = (begin + j) % 4; lane < 4 && j < count; ++lane, ++j) put(j, words[lane]);
  }
}

}  // namespace

PhiloxBlock philox4x32(PhiloxBlock c, std::array<uint32_t, 2> k) noexcept {
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t(0xD2511F53) * c[0], b = uint64_t(0xCD9E8D57) * c[2];
    c = {uint32_t(b >> 32) ^ c[1] ^ k[0], uint32_t(b), uint32_t(a >> 32) ^ c[3] ^ k[1], uint32_t(a)};
    k = {k[0] + 0x9E3779B9, k[1] + 0xBB67AE85};
  }
  return c;
}

Philox::Philox(uint64_t seed, uint64_t stream, uint64_t step) noexcept : step_(step) {
  const PhiloxBlock mixed =
      philox4x32({uint32_t(stream), uint32_t(stream >> 32), 0, 0}, {uint32_t(seed), uint32_t(seed >> 32)});
  key_ = {mixed[0], mixed[1]};
}

PhiloxBlock Philox::block(uint64_t b) const noexcept {
  return philox4x32({uint32_t(b), uint32_t(b >> 32), uint32_t(step_), uint32_t(step_ >> 32)}, key_);
}

void Philox::fill_uniform(float* y, uint64_t begin, uint64_t count) const noexcept {
  for_words(*this, begin, count, [y](uint64_t j, uint32_t w) { y[j] = uniform_f32(w); });
}

void Philox::fill_normal(float* y, uint64_t begin, uint64_t count) const noexcept {
  for_words(*this, begin, count, [y](uint64_t j, uint32_t w) { y[j] = normal_f32(w); });
}

double normal_f64(uint32_t w) noexcept { return normal_quantile((w + 0.5) * 0x1p-32); }

double normal_quantile(double p) noexcept { return normal_quantile_with(p, plain_log); }

}  // namespace maas
