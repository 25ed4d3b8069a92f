#pragma once
// Rows sit in L1, so three looks at one cost little: mean, deviations about it, result. Sums run in four chains of 16
// lanes (vector k in chain k mod 4), which hides the latency of an add and depends on cols alone.
#include "ops/norm/layer_norm_kernels.h"
#include "simd/isa.h"

namespace maas {
namespace {

using simd::V;

struct Chains {
  V v[4] = {V(0.f), V(0.f), V(0.f), V(0.f)};
  MAAS_MEMBER float total() const { return simd::sum_lanes((v[0] + v[1]) + (v[2] + v[3])); }
};

// fn(chain, offset, left): `left` elements remain from offset on, at least one.
template <class F>
MAAS_INLINE void for_chains(int64_t n, F&& fn) {
  int64_t i = 0;
  for (; i + 64 <= n; i += 64) MAAS_UNROLL for (int k = 0; k < 4; k++) fn(k, i + 16 * k, int64_t{16});
  if (i < n) fn(0, i, n - i);
  if (i + 16 < n) fn(1, i + 16, n - i - 16);
  if (i + 32 < n) fn(2, i + 32, n - i - 32);
  if (i + 48 < n) fn(3, i + 48, n - i - 48);
}

MAAS_INLINE float reciprocal_deviation(float squares, float n, float epsilon) {
  return first(V(1.f) / sqrt(V(squares) / V(n) + V(epsilon)));
}

MAAS_INLINE void layer_norm_row(const LayerNormArgs& a, int64_t r) {
  const int64_t n = a.cols;
  const float *x = static_cast<const float*>(a.x) + r * n, *gamma = static_cast<const float*>(a.gamma);
  const float* beta = static_cast<const float*>(a.beta);
  float* y = static_cast<float*>(a.y) + r * n;
  const float count = static_cast<float>(n);
  Chains sum, squares;
  if (a.subtract_mean)
    for_chains(n, [&](int k, int64_t i, int64_t left)
                      __attribute__((always_inline)) { sum.v[k] = sum.v[k] + simd::load_some<V>(x + i, left, -0.f); });
  const float mean = a.subtract_mean ? sum.total() / count : 0.f;
  for_chains(n, [&](int k, int64_t i, int64_t left) __attribute__((always_inline)) {
    const V d = simd::load_some<V>(x + i, left, mean) - V(mean);
    squares.v[k] = fma(d, d, squares.v[k]);
  });
  const float rstd = reciprocal_deviation(squares.total(), count, static_cast<float>(a.epsilon));
  for (int64_t i = 0; i < n; i += simd::kLanes) {
    V v = (simd::load_some<V>(x + i, n - i, mean) - V(mean)) * V(rstd);
    if (gamma && beta)
      v = fma(v, simd::load_some<V>(gamma + i, n - i, 0.f), simd::load_some<V>(beta + i, n - i, 0.f));
    else if (gamma)
      v = v * simd::load_some<V>(gamma + i, n - i, 0.f);
    else if (beta)
      v = v + simd::load_some<V>(beta + i, n - i, 0.f);
    simd::store_some(v, y + i, n - i);
  }
  if (a.mean) static_cast<float*>(a.mean)[r] = mean;
  if (a.rstd) static_cast<float*>(a.rstd)[r] = rstd;
}

void layer_norm_rows(const LayerNormArgs& a, int64_t begin, int64_t end) {
  for (int64_t r = begin; r < end; ++r) layer_norm_row(a, r);
}

MAAS_INLINE void layer_norm_grad_row(const LayerNormGradArgs& a, int64_t r, float* dgamma, float* dbeta) {
  const int64_t n = a.cols;
  const float *x = static_cast<const float*>(a.x) + r * n, *dy = static_cast<const float*>(a.dy) + r * n;
  const float* gamma = static_cast<const float*>(a.gamma);
  const float mean = static_cast<const float*>(a.mean)[r], count = static_cast<float>(n);
  const V rstd(static_cast<const float*>(a.rstd)[r]);
  float* dx = static_cast<float*>(a.dx) + r * n;
  auto weighted = [&](V d, int64_t i, int64_t left) __attribute__((always_inline)) {
    return gamma ? d * simd::load_some<V>(gamma + i, left, 0.f) : d;
  };
  Chains sum_g, sum_gh;
  for_chains(n, [&](int k, int64_t i, int64_t left) __attribute__((always_inline)) {
    const V h = (simd::load_some<V>(x + i, left, mean) - V(mean)) * rstd;
    const V g = weighted(simd::load_some<V>(dy + i, left, 0.f), i, left);
    sum_g.v[k] = sum_g.v[k] + g;
    sum_gh.v[k] = fma(g, h, sum_gh.v[k]);
  });
  const V mean_g(a.subtract_mean ? sum_g.total() / count : 0.f), mean_gh(sum_gh.total() / count);
  for (int64_t i = 0; i < n; i += simd::kLanes) {
    const int64_t left = n - i;
    const V d = simd::load_some<V>(dy + i, left, 0.f), h = (simd::load_some<V>(x + i, left, mean) - V(mean)) * rstd;
    if (dgamma) {
      simd::store_some(fma(d, h, simd::load_some<V>(dgamma + i, left, 0.f)), dgamma + i, left);
      simd::store_some(simd::load_some<V>(dbeta + i, left, 0.f) + d, dbeta + i, left);
    }
    simd::store_some(rstd * fnma(h, mean_gh, weighted(d, i, left) - mean_g), dx + i, left);
  }
}

// y = sum of the chunks' shares, which lie 2 * cols apart: groups in order inside, then group after group.
MAAS_INLINE void sum_chunks(const float* partial, float* y, int64_t chunks, int64_t group, int64_t stride, int64_t n) {
  for (int64_t c = 0; c < n; c += simd::kLanes) {
    V total(0.f);
    for (int64_t k = 0; k < chunks; k += group) {
      V part(0.f);
      for (int64_t j = k; j < chunks && j < k + group; ++j)
        part = part + simd::load_some<V>(partial + j * stride + c, n - c, 0.f);
      total = total + part;
    }
    simd::store_some(total, y + c, n - c);
  }
}

void layer_norm_grad_units(const LayerNormGradArgs& a, int64_t begin, int64_t end, int64_t phase) {
  const int64_t n = a.cols;
  float* partial = static_cast<float*>(a.partial);
  if (phase == 0) {
    const bool parameters = a.dgamma || a.dbeta;
    for (int64_t chunk = begin; chunk < end; ++chunk) {
      const int64_t first = chunk * a.chunk, last = first + a.chunk < a.rows ? first + a.chunk : a.rows;
      float* own = parameters ? partial + chunk * 2 * n : nullptr;
      for (int64_t c = 0; parameters && c < 2 * n; ++c) own[c] = 0.f;
      for (int64_t r = first; r < last; ++r) layer_norm_grad_row(a, r, own, own ? own + n : nullptr);
    }
    return;
  }
  const int64_t chunks = (a.rows + a.chunk - 1) / a.chunk, from = begin * a.columns;
  const int64_t to = end * a.columns < n ? end * a.columns : n;
  if (a.dgamma) sum_chunks(partial + from, static_cast<float*>(a.dgamma) + from, chunks, a.group, 2 * n, to - from);
  if (a.dbeta) sum_chunks(partial + n + from, static_cast<float*>(a.dbeta) + from, chunks, a.group, 2 * n, to - from);
}

}  // namespace
}  // namespace maas
