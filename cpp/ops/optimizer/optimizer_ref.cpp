#include <cmath>

#include "ops/optimizer/optimizer_kernels.h"

namespace maas {
namespace {

int64_t last_element(const OptimizerArgs& a, int64_t end) {
  return end * OptimizerArgs::unit < a.size ? end * OptimizerArgs::unit : a.size;
}

template <class T>
void sgd(const OptimizerArgs& a, int64_t begin, int64_t end) {
  const T *w = static_cast<const T*>(a.w), *g = static_cast<const T*>(a.g), *m = static_cast<const T*>(a.m);
  T *w_out = static_cast<T*>(a.w_out), *m_out = static_cast<T*>(a.m_out);
  const double lr = static_cast<double>(*static_cast<const T*>(a.rate));
  for (int64_t i = begin * OptimizerArgs::unit; i < last_element(a, end); ++i) {
    const double step = lr * static_cast<double>(g[i]), old = static_cast<double>(w[i]);
    if (!m) {
      w_out[i] = static_cast<T>(old - step);
      continue;
    }
    const double momentum = a.momentum * static_cast<double>(m[i]) - step;
    w_out[i] = static_cast<T>(old + (a.nesterov ? a.momentum * momentum - step : momentum));
    m_out[i] = static_cast<T>(momentum);
  }
}

template <class T>
void adam(const OptimizerArgs& a, int64_t begin, int64_t end) {
  const T *w = static_cast<const T*>(a.w), *g = static_cast<const T*>(a.g), *m = static_cast<const T*>(a.m);
  const T *v = static_cast<const T*>(a.v), *h = static_cast<const T*>(a.h);
  const double alpha = static_cast<double>(*static_cast<const T*>(a.rate));
  for (int64_t i = begin * OptimizerArgs::unit; i < last_element(a, end); ++i) {
    const double gi = static_cast<double>(g[i]), mi = static_cast<double>(m[i]), vi = static_cast<double>(v[i]);
    const double m2 = mi + (gi - mi) * (1 - a.beta_1), v2 = vi + (gi * gi - vi) * (1 - a.beta_2);
    double root = v2;
    if (h) {
      const double hi = static_cast<double>(h[i]);
      root = hi > v2 ? hi : v2;
      static_cast<T*>(a.h_out)[i] = static_cast<T>(root);
    }
    static_cast<T*>(a.w_out)[i] =
        static_cast<T>(static_cast<double>(w[i]) - m2 * alpha / (std::sqrt(root) + a.epsilon));
    static_cast<T*>(a.m_out)[i] = static_cast<T>(m2);
    static_cast<T*>(a.v_out)[i] = static_cast<T>(v2);
  }
}

}  // namespace

void sgd_f32_ref(const OptimizerArgs& a, int64_t begin, int64_t end, const Exec&) { sgd<float>(a, begin, end); }
void sgd_f64_ref(const OptimizerArgs& a, int64_t begin, int64_t end, const Exec&) { sgd<double>(a, begin, end); }
void adam_f32_ref(const OptimizerArgs& a, int64_t begin, int64_t end, const Exec&) { adam<float>(a, begin, end); }
void adam_f64_ref(const OptimizerArgs& a, int64_t begin, int64_t end, const Exec&) { adam<double>(a, begin, end); }

}  // namespace maas
