#pragma once
// Softmax over rows of 16-lane vectors: one look for the maximum, one for exp and the sum, one to scale.
#include "ops/softmax/softmax_kernels.h"
#include "simd/isa.h"

namespace maas {
namespace {

using simd::V;

// Maximum of a row. A NaN may be left out: its exp is NaN, so the sum and the whole row are. Four chains hide the
// latency of a step; order does not matter to a maximum.
MAAS_INLINE float lanes_max(V m) {
  return simd::fold_lanes(m, [](V a, V b) __attribute__((always_inline)) { return max(a, b); });
}
MAAS_INLINE float row_max(const float* x, int64_t n) {
  V m[4] = {V(-simd::kInf), V(-simd::kInf), V(-simd::kInf), V(-simd::kInf)};
  int64_t i = 0;
  for (; i + 4 * simd::kLanes <= n; i += 4 * simd::kLanes)
    MAAS_UNROLL for (int k = 0; k < 4; k++) m[k] = max(V::load(x + i + k * simd::kLanes), m[k]);
  for (; i < n; i += simd::kLanes) m[0] = max(simd::load_some<V>(x + i, n - i, -simd::kInf), m[0]);
  return lanes_max(max(max(m[0], m[1]), max(m[2], m[3])));
}

// A row of N vectors, the last of `tail` elements, stays in registers.
template <int N>
void softmax_short_row(const float* x, float* y, int64_t tail) {
  constexpr int64_t kLast = (N - 1) * simd::kLanes;
  simd::Block<V, N> e;
  MAAS_UNROLL for (int k = 0; k < N - 1; k++) e[k] = V::load(x + k * simd::kLanes);
  e[N - 1] = simd::load_some<V>(x + kLast, tail, -simd::kInf);
  V m(-simd::kInf), sum(0.f);
  MAAS_UNROLL for (int k = 0; k < N; k++) m = max(e[k], m);
  const V top(lanes_max(m));
  MAAS_UNROLL for (int k = 0; k < N; k++) e[k] = exp(e[k] - top);
  MAAS_UNROLL for (int k = 0; k < N; k++) sum = sum + e[k];
  const V scale(1.f / simd::sum_lanes(sum));
  MAAS_UNROLL for (int k = 0; k < N - 1; k++)(e[k] * scale).store(y + k * simd::kLanes);
  simd::store_some(e[N - 1] * scale, y + kLast, tail);
}

MAAS_INLINE void softmax_row(const float* x, float* y, int64_t n) {
  if constexpr (V::kRegisters >= 32) {
    const int64_t vectors = (n + simd::kLanes - 1) / simd::kLanes, tail = n - (vectors - 1) * simd::kLanes;
    switch (vectors) {
      case 1:
        return softmax_short_row<1>(x, y, tail);
      case 2:
        return softmax_short_row<2>(x, y, tail);
      case 3:
        return softmax_short_row<3>(x, y, tail);
      case 4:
        return softmax_short_row<4>(x, y, tail);
      case 5:
        return softmax_short_row<5>(x, y, tail);
      case 6:
        return softmax_short_row<6>(x, y, tail);
      case 7:
        return softmax_short_row<7>(x, y, tail);
      case 8:
        return softmax_short_row<8>(x, y, tail);
      default:
        break;
    }
  }
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
