#pragma once
// Softmax over rows of 16-lane vectors: one look for the maximum, one for exp and the sum, one to scale.
#include "ops/softmax/softmax_kernels.h"
#include "simd/isa.h"

namespace maas {
namespace {

using simd::V;

// Maximum of a row, NaN if any element is: four chains hide max_nan's latency. Order does not matter to a maximum.
MAAS_INLINE float row_max(const float* x, int64_t n) {
  if (n < 4 * simd::kLanes) return simd::max_all<V>(x, n);
  V m[4];
  MAAS_UNROLL for (int k = 0; k < 4; k++) m[k] = V::load(x + k * simd::kLanes);
  int64_t i = 4 * simd::kLanes;
  for (; i + 4 * simd::kLanes <= n; i += 4 * simd::kLanes)
    MAAS_UNROLL for (int k = 0; k < 4; k++) m[k] = max_nan(m[k], V::load(x + i + k * simd::kLanes));
  for (; i < n; i += simd::kLanes) m[0] = max_nan(m[0], simd::load_some<V>(x + i, n - i, -simd::kInf));
  return simd::max_lanes(max_nan(max_nan(m[0], m[1]), max_nan(m[2], m[3])));
}

MAAS_INLINE void softmax_row(const float* x, float* y, int64_t n) {
  const V top(row_max(x, n));
  V sum(0.f);
  // Missing lanes read -inf, so their exp is 0. A row of -inf alone gives inf - inf: NaN, as the formula says.
  simd::map<V>(x, y, n, -simd::kInf, [&](V v) __attribute__((always_inline)) {
    const V e = exp(v - top);
    sum = sum + e;
    return e;
  });
  const V scale(1.f / simd::sum_lanes(sum));  // one exact division: dividing every element would cost as much as exp
  simd::map<V>(y, y, n, 0.f, [&](V v) __attribute__((always_inline)) { return v * scale; });
}

MAAS_INLINE void log_softmax_row(const float* x, float* y, int64_t n) {
  const V top(row_max(x, n));
  const V sum = simd::accumulate<V>(x, n, 0.f, -simd::kInf,
                                    [&](V s, V v) __attribute__((always_inline)) { return s + exp(v - top); });
  const V shift = log(V(simd::sum_lanes(sum)));
  simd::map<V>(x, y, n, 0.f, [&](V v) __attribute__((always_inline)) { return (v - top) - shift; });
}

void softmax_rows(const SoftmaxArgs& args, int64_t begin, int64_t end) {
  const float* x = static_cast<const float*>(args.x);
  float* y = static_cast<float*>(args.y);
  for (int64_t r = begin; r < end; ++r) {
    if (args.log)
      log_softmax_row(x + r * args.ldx, y + r * args.ldy, args.cols);
    else
      softmax_row(x + r * args.ldx, y + r * args.ldy, args.cols);
  }
}

void softmax_gradient_rows(const SoftmaxGradientArgs& args, int64_t begin, int64_t end) {
  const int64_t n = args.cols;
  for (int64_t r = begin; r < end; ++r) {
    const float *y = static_cast<const float*>(args.y) + r * n, *dy = static_cast<const float*>(args.dy) + r * n;
    float* dx = static_cast<float*>(args.dx) + r * n;
    if (args.log) {
      const V sum(simd::sum_all<V>(dy, n));
      simd::map2<V>(y, dy, dx, n, 0.f, [&](V v, V d) __attribute__((always_inline)) { return d - exp(v) * sum; });
      continue;
    }
    V total(0.f);
    for (int64_t i = 0; i < n; i += simd::kLanes)
      total = total + simd::load_some<V>(y + i, n - i, 0.f) * simd::load_some<V>(dy + i, n - i, 0.f);
    const V sum(simd::sum_lanes(total));
    simd::map2<V>(y, dy, dx, n, 0.f, [&](V v, V d) __attribute__((always_inline)) { return v * (d - sum); });
  }
}

}  // namespace
}  // namespace maas
