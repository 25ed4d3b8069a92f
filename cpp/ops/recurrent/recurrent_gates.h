#pragma once
// tanh and sigmoid of the cells as one ratio each, so that products of gates share a division, which costs as much as
// the rest of a gate. Errors are absolute: 3e-7 and 2e-7; the state's own rounding is of that size.
#include "simd/isa.h"

namespace maas {
namespace {

struct Ratio {
  simd::V p, q;  // q in [1, 290]
  MAAS_MEMBER simd::V value() const { return p / q; }
  // (1 + p / q) / 2 = up / down.
  MAAS_MEMBER simd::V up() const { return q + p; }
  MAAS_MEMBER simd::V down() const { return q + q; }
  MAAS_MEMBER simd::V sigmoid() const { return up() / down(); }
};

// tanh(x), minimax of degrees 9 and 8, 1 from 8.3 on. Constants come first in min and max, so that a NaN goes through.
MAAS_INLINE Ratio tanh_ratio(simd::V x) {
  using simd::V;
  const V y = min(V(8.3f), max(V(-8.3f), x)), u = y * y;
  return {y * simd::poly(u, 1.f, 0.13425869f, 0.0035491663f, 2.1508451e-05f, 1.46482e-08f),
          simd::poly(u, 1.f, 0.46759194f, 0.02607994f, 0.0003373946f, 8.295084e-07f)};
}
// Of sigmoid(x) = (1 + tanh(x / 2)) / 2.
MAAS_INLINE Ratio sigmoid_ratio(simd::V x) { return tanh_ratio(x * simd::V(0.5f)); }

}  // namespace
}  // namespace maas
