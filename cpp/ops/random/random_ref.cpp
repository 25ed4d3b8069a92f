#include "core/element_io.h"
#include "core/random.h"
#include "ops/random/random_kernels.h"

namespace maas {
namespace {

Philox philox(const RandomArgs& a) {
  return Philox(static_cast<uint64_t>(load_element<int64_t>(a.state, a.state_dtype, 0)),
                static_cast<uint64_t>(a.stream),
                static_cast<uint64_t>(load_element<int64_t>(a.state, a.state_dtype, 1)));
}

double number(const RandomArgs& a, const Philox& random, uint64_t i) {
  // The normal distribution function at -2 and what lies between -2 and 2.
  constexpr double kBelow = 0.022750131948179207, kInside = 0.95449973610364158;
  switch (a.kind) {
    case RandomArgs::uniform: {
      if (a.dtype == DType::f64) {
        const double y = a.low + uniform_f64(random.bits64(i)) * (a.high - a.low);
        return y < a.high || !(a.low < a.high) ? y : a.low;
      }
      const float low = static_cast<float>(a.low), span = static_cast<float>(a.high) - low;
      const float y = low + uniform_f32(random.bits32(i)) * span;
      return y > a.last ? a.last : y;
    }
    case RandomArgs::normal: {
      if (a.dtype == DType::f64) return a.low + normal_f64(random.bits32(i)) * a.high;
      return static_cast<float>(a.low) + normal_f32(random.bits32(i)) * static_cast<float>(a.high);
    }
    default: {
      const double z = normal_quantile(kBelow + (random.bits32(i) + 0.5) * 0x1p-32 * kInside);
      if (a.dtype == DType::f64) return a.low + z * a.high;
      return static_cast<float>(a.low) + static_cast<float>(z) * static_cast<float>(a.high);
    }
  }
}

void permute(const RandomArgs& a, const Philox& random) {
  for (int64_t i = 0; i < a.size; ++i) store_element(a.y, a.dtype, i, i);
  for (int64_t i = a.size - 1; i > 0; --i) {
    const auto j = static_cast<int64_t>(bounded(random.bits64(static_cast<uint64_t>(i)), static_cast<uint64_t>(i) + 1));
    const auto at_i = load_element<int64_t>(a.y, a.dtype, i), at_j = load_element<int64_t>(a.y, a.dtype, j);
    store_element(a.y, a.dtype, i, at_j);
    store_element(a.y, a.dtype, j, at_i);
  }
}

int64_t last_element(const RandomArgs& a, int64_t end) {
  return end * RandomArgs::unit < a.size ? end * RandomArgs::unit : a.size;
}

}  // namespace

PhiloxKey philox_key(const void* state, DType state_dtype, int64_t stream) {
  const auto seed = static_cast<uint64_t>(load_element<int64_t>(state, state_dtype, 0));
  const auto step = static_cast<uint64_t>(load_element<int64_t>(state, state_dtype, 1));
  const auto by = static_cast<uint64_t>(stream);
  const PhiloxBlock mixed = philox4x32({static_cast<uint32_t>(by), static_cast<uint32_t>(by >> 32), 0, 0},
                                       {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)});
  return {{mixed[0], mixed[1]}, {static_cast<uint32_t>(step), static_cast<uint32_t>(step >> 32)}};
}
RandomKey random_key(const RandomArgs& a) { return philox_key(a.state, a.state_dtype, a.stream); }

void random_ref(const RandomArgs& a, int64_t begin, int64_t end, const Exec&) {
  const Philox random = philox(a);
  if (a.kind == RandomArgs::permutation) {
    if (begin < end) permute(a, random);
    return;
  }
  for (int64_t i = begin * RandomArgs::unit; i < last_element(a, end); ++i) {
    if (a.kind == RandomArgs::integer) {
      const uint64_t above = a.range ? bounded(random.bits64(static_cast<uint64_t>(i)), a.range) : 0;
      store_element(a.y, a.dtype, i, static_cast<int64_t>(static_cast<uint64_t>(a.first) + above));
    } else {
      store_element(a.y, a.dtype, i, number(a, random, static_cast<uint64_t>(i)));
    }
  }
}

void dropout_ref(const RandomArgs& a, int64_t begin, int64_t end, const Exec&) {
  const Philox random = philox(a);
  for (int64_t i = begin * RandomArgs::unit; i < last_element(a, end); ++i) {
    const bool keep = random.bits32(static_cast<uint64_t>(i)) >> 8 >= a.threshold;
    if (a.dtype == DType::f64) {
      store_element(a.y, a.dtype, i, keep ? load_element<double>(a.x, a.dtype, i) / a.keep : 0.0);
    } else {
      store_element(a.y, a.dtype, i, keep ? load_element<float>(a.x, a.dtype, i) / static_cast<float>(a.keep) : 0.f);
    }
  }
}

}  // namespace maas
