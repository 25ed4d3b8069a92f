#include "core/random.h"

#include <bit>
#include <cmath>

namespace maas {
namespace {

// Horner, highest power first. Compiled without contraction, so the rounding is the same everywhere.
template <size_t n>
double polynomial(const double (&c)[n], double x) {
  double y = c[0];
  for (size_t i = 1; i < n; ++i) y = y * x + c[i];
  return y;
}

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

double normal_quantile(double p) noexcept {
  const double q = p - 0.5;
  if (std::fabs(q) <= 0.425) {  // the middle 85 %
    constexpr double kTop[] = {2509.0809287301226727, 33430.575583588128105, 67265.770927008700853,
                               45921.953931549871457, 13731.693765509461125, 1971.5909503065514427,
                               133.14166789178437745, 3.3871328727963666080};
    constexpr double kBottom[] = {
        5226.4952788528545610, 28729.085735721942674, 39307.895800092710610, 21213.794301586595867,
        5394.1960214247511077, 687.18700749205790830, 42.313330701600911252, 1.0};
    const double r = 0.180625 - q * q;
    return q * polynomial(kTop, r) / polynomial(kBottom, r);
  }
  const double r = std::sqrt(-plain_log(q < 0 ? p : 1 - p));
  double z;
  if (r <= 5) {
    constexpr double kTop[] = {7.7454501427834140764e-4, 0.0227238449892691845833, 0.241780725177450611770,
                               1.27045825245236838258,   3.64784832476320460504,   5.76949722146069140550,
                               4.63033784615654529590,   1.42343711074968357734};
    constexpr double kBottom[] = {
        1.05075007164441684324e-9, 5.475938084995344946e-4, 0.0151986665636164571966, 0.148103976427480074590,
        0.689767334985100004550,   1.67638483018380384940,  2.05319162663775882187,   1.0};
    z = polynomial(kTop, r - 1.6) / polynomial(kBottom, r - 1.6);
  } else {
    constexpr double kTop[] = {2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.24266094738807843860e-3,
                               0.0265321895265761230930,  0.296560571828504891230,   1.78482653991729133580,
                               5.46378491116411436990,    6.65790464350110377720};
    constexpr double kBottom[] = {
        2.04426310338993978564e-15, 1.42151175831644588870e-7, 1.84631831751005468180e-5, 7.86869131145613259100e-4,
        0.0148753612908506148525,   0.136929880922735805310,   0.599832206555887937690,   1.0};
    z = polynomial(kTop, r - 5) / polynomial(kBottom, r - 5);
  }
  return q < 0 ? -z : z;
}

}  // namespace maas
