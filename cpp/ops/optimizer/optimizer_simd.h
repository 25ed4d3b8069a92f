#pragma once
// See optimizer_kernels.h. Memory-bound: each array is read and written once.
#include "ops/optimizer/optimizer_kernels.h"
#include "simd/isa.h"

namespace maas {
namespace {

MAAS_INLINE int64_t last_element(const OptimizerArgs& a, int64_t end) {
  return end * OptimizerArgs::unit < a.size ? end * OptimizerArgs::unit : a.size;
}

template <class V>
MAAS_INLINE void update_sgd(const OptimizerArgs& a, int64_t begin, int64_t end) {
  const float *w = static_cast<const float*>(a.w), *g = static_cast<const float*>(a.g),
              *m = static_cast<const float*>(a.m);
  float *w_out = static_cast<float*>(a.w_out), *m_out = static_cast<float*>(a.m_out);
  const V lr(*static_cast<const float*>(a.rate)), momentum(static_cast<float>(a.momentum));
  const int64_t last = last_element(a, end);
  for (int64_t i = begin * OptimizerArgs::unit; i < last; i += simd::kLanes) {
    const int64_t left = last - i;
    const V step = lr * simd::load_some<V>(g + i, left, 0.f), old = simd::load_some<V>(w + i, left, 0.f);
    if (!m) {
      simd::store_some(old - step, w_out + i, left);
      continue;
    }
    const V next = momentum * simd::load_some<V>(m + i, left, 0.f) - step;
    const V moved = a.nesterov ? momentum * next - step : next;
    simd::store_some(old + moved, w_out + i, left);
    simd::store_some(next, m_out + i, left);
  }
}

template <class V>
MAAS_INLINE void update_adam(const OptimizerArgs& a, int64_t begin, int64_t end) {
  const float *w = static_cast<const float*>(a.w), *g = static_cast<const float*>(a.g),
              *m = static_cast<const float*>(a.m);
  const float *v = static_cast<const float*>(a.v), *h = static_cast<const float*>(a.h);
  float *w_out = static_cast<float*>(a.w_out), *m_out = static_cast<float*>(a.m_out),
        *v_out = static_cast<float*>(a.v_out);
  float* h_out = static_cast<float*>(a.h_out);
  const V alpha(*static_cast<const float*>(a.rate)), epsilon(static_cast<float>(a.epsilon));
  const V new_m(static_cast<float>(1 - a.beta_1)), new_v(static_cast<float>(1 - a.beta_2));
  const int64_t last = last_element(a, end);
  for (int64_t i = begin * OptimizerArgs::unit; i < last; i += simd::kLanes) {
    const int64_t left = last - i;
    const V gi = simd::load_some<V>(g + i, left, 0.f), mi = simd::load_some<V>(m + i, left, 0.f);
    const V vi = simd::load_some<V>(v + i, left, 0.f), old = simd::load_some<V>(w + i, left, 0.f);
    const V m2 = mi + (gi - mi) * new_m, v2 = vi + (gi * gi - vi) * new_v;
    V root = v2;
    if (h) {
      root = simd::max_nan(simd::load_some<V>(h + i, left, 0.f), v2);
      simd::store_some(root, h_out + i, left);
    }
    simd::store_some(old - m2 * alpha / (sqrt(root) + epsilon), w_out + i, left);
    simd::store_some(m2, m_out + i, left);
    simd::store_some(v2, v_out + i, left);
  }
}

}  // namespace
}  // namespace maas
