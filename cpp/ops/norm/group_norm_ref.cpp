#include <cmath>

#include "ops/norm/group_norm_kernels.h"

namespace maas {
namespace {

template <class T>
void group(const GroupNormArgs& a, int64_t sample, int64_t g) {
  const int64_t n = a.channels / a.groups, first = g * n, from = sample * a.rows * a.channels + first;
  const T *x = static_cast<const T*>(a.x) + from, *gamma = static_cast<const T*>(a.gamma);
  const T* beta = static_cast<const T*>(a.beta);
  T* y = static_cast<T*>(a.y) + from;
  const double count = static_cast<double>(a.rows * n);
  double sum = 0, squares = 0;
  for (int64_t r = 0; r < a.rows; ++r)
    for (int64_t c = 0; c < n; ++c) sum += static_cast<double>(x[r * a.channels + c]);
  const double mean = sum / count;
  for (int64_t r = 0; r < a.rows; ++r)
    for (int64_t c = 0; c < n; ++c) {
      const double d = static_cast<double>(x[r * a.channels + c]) - mean;
      squares += d * d;
    }
  const double rstd = 1 / std::sqrt(squares / count + a.epsilon);
  for (int64_t r = 0; r < a.rows; ++r)
    for (int64_t c = 0; c < n; ++c) {
      double z = (static_cast<double>(x[r * a.channels + c]) - mean) * rstd;
      if (gamma) z *= static_cast<double>(gamma[first + c]);
      if (beta) z += static_cast<double>(beta[first + c]);
      y[r * a.channels + c] = static_cast<T>(z);
    }
}

template <class T>
void run(const GroupNormArgs& a, int64_t begin, int64_t end) {
  const int64_t blocks = (a.groups + a.per_unit - 1) / a.per_unit;
  for (int64_t u = begin; u < end; ++u) {
    const int64_t g = u % blocks * a.per_unit;
    for (int64_t i = g; i < g + a.per_unit && i < a.groups; ++i) group<T>(a, u / blocks, i);
  }
}

}  // namespace

void group_norm_f32_ref(const GroupNormArgs& a, int64_t begin, int64_t end, const Exec&) { run<float>(a, begin, end); }
void group_norm_f64_ref(const GroupNormArgs& a, int64_t begin, int64_t end, const Exec&) { run<double>(a, begin, end); }

}  // namespace maas
