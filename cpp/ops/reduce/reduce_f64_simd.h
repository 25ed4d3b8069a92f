#pragma once
// Sums and means of float64 over the last axis; see reduce_kernels.h for their order. One unit is one result.
#include "ops/reduce/reduce_kernels.h"
#include "simd/f64.h"

namespace maas {
namespace {

MAAS_INLINE double sum_span_f64(const double* x, int64_t n) {
  using simd::F64;
  constexpr int64_t lanes = F64::lanes, step = 4 * lanes;
  alignas(64) double last[step] = {};
  F64 s[4] = {F64(0.0), F64(0.0), F64(0.0), F64(0.0)};
  int64_t i = 0;
  for (; i + step <= n; i += step)
    MAAS_UNROLL for (int k = 0; k < 4; ++k) s[k] = simd::add(s[k], F64::load(x + i + k * lanes));
  if (i < n) {
    // Lanes that are left add nothing.
    for (int64_t k = 0; k < step; ++k) last[k] = i + k < n ? x[i + k] : 0.0;
    MAAS_UNROLL for (int k = 0; k < 4; ++k) s[k] = simd::add(s[k], F64::load(last + k * lanes));
  }
  simd::add(simd::add(s[0], s[1]), simd::add(s[2], s[3])).store(last);
  MAAS_UNROLL for (int half = 4; half > 0; half /= 2) for (int k = 0; k < half; ++k) last[k] += last[k + half];
  return last[0];
}

MAAS_INLINE void sum_f64(const ReduceArgs& a, int64_t begin, int64_t end) {
  const double* x = static_cast<const double*>(a.x);
  double* y = static_cast<double*>(a.y);
  for (int64_t u = begin; u < end; ++u) {
    y[u] = sum_span_f64(x + u * a.reduced, a.reduced);
    if (a.fold == Fold::mean) y[u] /= static_cast<double>(a.reduced);
  }
}

}  // namespace
}  // namespace maas
