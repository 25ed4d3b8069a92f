#pragma once
// Columns in lanes, rows in the loop: four vectors of columns at a time, or one with four chains over the rows, so that
// four sums are always under way. Which of the two depends on the column and cols alone.
#include "ops/norm/batch_norm_kernels.h"
#include "simd/isa.h"

namespace maas {
namespace {

using simd::V;

// Sums of fn(row, k) over rows [0, rows): Wide sums 4 vectors of columns, Narrow one.
struct Wide {
  static constexpr int kVectors = 4;
  template <class F>
  MAAS_INLINE void sum(int64_t rows, V* out, F&& fn) {
    V acc[4] = {V(0.f), V(0.f), V(0.f), V(0.f)};
    for (int64_t r = 0; r < rows; ++r) MAAS_UNROLL for (int k = 0; k < 4; k++) acc[k] = fn(acc[k], r, k);
    MAAS_UNROLL for (int k = 0; k < 4; k++) out[k] = acc[k];
  }
};
struct Narrow {
  static constexpr int kVectors = 1;
  template <class F>
  MAAS_INLINE void sum(int64_t rows, V* out, F&& fn) {
    V acc[4] = {V(0.f), V(0.f), V(0.f), V(0.f)};
    int64_t r = 0;
    for (; r + 4 <= rows; r += 4) MAAS_UNROLL for (int k = 0; k < 4; k++) acc[k] = fn(acc[k], r + k, 0);
    for (; r < rows; ++r) acc[0] = fn(acc[0], r, 0);
    out[0] = (acc[0] + acc[1]) + (acc[2] + acc[3]);
  }
};

// fn(Wide or Narrow, first column, columns left).
template <class F>
MAAS_INLINE void for_columns(int64_t n, F&& fn) {
  int64_t c = 0;
  for (; c + 64 <= n; c += 64) fn(Wide{}, c, int64_t{64});
  for (; c < n; c += 16) fn(Narrow{}, c, n - c);
}

// Vector k of a row's columns; Narrow may be short.
template <class Width>
MAAS_INLINE V get(const float* p, int k, int64_t left) {
  if constexpr (Width::kVectors == 4)
    return V::load(p + 16 * k);
  else
    return simd::load_some<V>(p, left, 0.f);
}
template <class Width>
MAAS_INLINE void put(V v, float* p, int k, int64_t left) {
  if constexpr (Width::kVectors == 4)
    v.store(p + 16 * k);
  else
    simd::store_some(v, p, left);
}

MAAS_INLINE V reciprocal_deviation(V variance, double epsilon) {
  return V(1.f) / sqrt(variance + V(static_cast<float>(epsilon)));
}

struct ChunkRows {
  int64_t first, count;
};
template <class Args>
MAAS_INLINE ChunkRows chunk_rows(const Args& a, int64_t k) {
  const int64_t first = k * a.chunk;
  return {first, first + a.chunk < a.rows ? a.chunk : a.rows - first};
}

void batch_norm_chunk_statistics(const BatchNormArgs& a, int64_t chunk) {
  const int64_t n = a.cols;
  const ChunkRows rows = chunk_rows(a, chunk);
  const float *x0 = static_cast<const float*>(a.x) + rows.first * n, count = static_cast<float>(rows.count);
  float* means = static_cast<float*>(a.partial) + 2 * chunk * n;
  for_columns(n, [&](auto width, int64_t c, int64_t left) __attribute__((always_inline)) {
    using W = decltype(width);
    const float* x = x0 + c;
    V mean[4], squares[4];
    W::sum(rows.count, mean,
           [&](V s, int64_t r, int k) __attribute__((always_inline)) { return s + get<W>(x + r * n, k, left); });
    MAAS_UNROLL for (int k = 0; k < W::kVectors; k++) mean[k] = mean[k] / V(count);
    W::sum(rows.count, squares, [&](V s, int64_t r, int k) __attribute__((always_inline)) {
      const V d = get<W>(x + r * n, k, left) - mean[W::kVectors == 1 ? 0 : k];
      return fma(d, d, s);
    });
    MAAS_UNROLL for (int k = 0; k < W::kVectors; k++) {
      put<W>(mean[k], means + c, k, left);
      put<W>(squares[k], means + n + c, k, left);
    }
  });
}

// Sum over chunks of fn(chunk), groups in order inside, then group after group.
template <class Args, class F>
MAAS_INLINE V sum_chunks(const Args& a, F&& fn) {
  const int64_t chunks = (a.rows + a.chunk - 1) / a.chunk;
  V total(0.f);
  for (int64_t k = 0; k < chunks; k += a.group) {
    V part(0.f);
    for (int64_t j = k; j < chunks && j < k + a.group; ++j) part = fn(part, j);
    total = total + part;
  }
  return total;
}

void batch_norm_merge(const BatchNormArgs& a, int64_t from, int64_t to) {
  const int64_t n = a.cols;
  const float* partial = static_cast<const float*>(a.partial);
  const V rows(static_cast<float>(a.rows));
  for (int64_t c = from; c < to; c += simd::kLanes) {
    const int64_t left = to - c;
    auto count = [&](int64_t k)
                     __attribute__((always_inline)) { return V(static_cast<float>(chunk_rows(a, k).count)); };
    const V mean = sum_chunks(a,
                              [&](V s, int64_t k) __attribute__((always_inline)) {
                                return fma(simd::load_some<V>(partial + 2 * k * n + c, left, 0.f), count(k), s);
                              }) /
                   rows;
    const V squares = sum_chunks(a, [&](V s, int64_t k) __attribute__((always_inline)) {
      const V d = simd::load_some<V>(partial + 2 * k * n + c, left, 0.f) - mean;
      return fma(d * d, count(k), s + simd::load_some<V>(partial + (2 * k + 1) * n + c, left, 0.f));
    });
    simd::store_some(mean, static_cast<float*>(a.mean) + c, left);
    simd::store_some(squares / rows, static_cast<float*>(a.variance) + c, left);
  }
}

void batch_norm_apply(const BatchNormArgs& a, int64_t chunk) {
  const int64_t n = a.cols;
  const ChunkRows rows = chunk_rows(a, chunk);
  const float *gamma = static_cast<const float*>(a.gamma), *beta = static_cast<const float*>(a.beta);
  const float *means = static_cast<const float*>(a.mean), *variances = static_cast<const float*>(a.variance);
  for_columns(n, [&](auto width, int64_t c, int64_t left) __attribute__((always_inline)) {
    using W = decltype(width);
    const float* x = static_cast<const float*>(a.x) + rows.first * n + c;
    float* y = static_cast<float*>(a.y) + rows.first * n + c;
    V mean[4], scale[4], shift[4];
    MAAS_UNROLL for (int k = 0; k < W::kVectors; k++) {
      mean[k] = get<W>(means + c, k, left);
      scale[k] = reciprocal_deviation(get<W>(variances + c, k, left), a.epsilon);
      if (gamma) scale[k] = scale[k] * get<W>(gamma + c, k, left);
      shift[k] = beta ? get<W>(beta + c, k, left) : V(0.f);
    }
    for (int64_t r = 0; r < rows.count; ++r)
      MAAS_UNROLL for (int k = 0; k < W::kVectors; k++)
          put<W>(fma(get<W>(x + r * n, k, left) - mean[k], scale[k], shift[k]), y + r * n, k, left);
  });
}

void batch_norm_units(const BatchNormArgs& a, int64_t begin, int64_t end, int64_t phase) {
  if (phase == 1) return batch_norm_merge(a, begin * a.columns, end * a.columns < a.cols ? end * a.columns : a.cols);
  for (int64_t k = begin; k < end; ++k) {
    if (phase == 0)
      batch_norm_chunk_statistics(a, k);
    else
      batch_norm_apply(a, k);
  }
}

// ---- backward

void batch_norm_grad_chunk(const BatchNormGradArgs& a, int64_t chunk) {
  const int64_t n = a.cols;
  const ChunkRows rows = chunk_rows(a, chunk);
  const float *means = static_cast<const float*>(a.mean), *variances = static_cast<const float*>(a.variance);
  float* own = static_cast<float*>(a.partial) + 2 * chunk * n;
  for_columns(n, [&](auto width, int64_t c, int64_t left) __attribute__((always_inline)) {
    using W = decltype(width);
    const float* x = static_cast<const float*>(a.x) + rows.first * n + c;
    const float* dy = static_cast<const float*>(a.dy) + rows.first * n + c;
    V mean[4], dgamma[4], dbeta[4];
    MAAS_UNROLL for (int k = 0; k < W::kVectors; k++) mean[k] = get<W>(means + c, k, left);
    W::sum(rows.count, dgamma, [&](V s, int64_t r, int k) __attribute__((always_inline)) {
      return fma(get<W>(dy + r * n, k, left), get<W>(x + r * n, k, left) - mean[W::kVectors == 1 ? 0 : k], s);
    });
    W::sum(rows.count, dbeta,
           [&](V s, int64_t r, int k) __attribute__((always_inline)) { return s + get<W>(dy + r * n, k, left); });
    MAAS_UNROLL for (int k = 0; k < W::kVectors; k++) {
      const V rstd = reciprocal_deviation(get<W>(variances + c, k, left), a.epsilon);
      put<W>(dgamma[k] * rstd, own + c, k, left);
      put<W>(dbeta[k], own + n + c, k, left);
    }
  });
}

void batch_norm_grad_merge(const BatchNormGradArgs& a, int64_t from, int64_t to) {
  const float* partial = static_cast<const float*>(a.partial);
  for (int64_t c = from; c < to; c += simd::kLanes) {
    const int64_t left = to - c;
    for (int64_t which = 0; which < 2; ++which) {
      const V total = sum_chunks(a, [&](V s, int64_t k) __attribute__((always_inline)) {
        return s + simd::load_some<V>(partial + (2 * k + which) * a.cols + c, left, 0.f);
      });
      simd::store_some(total, static_cast<float*>(which ? a.dbeta : a.dgamma) + c, left);
    }
  }
}

// dx = scale dy + (x - mean) slope + shift, the last two from the sums.
void batch_norm_grad_apply(const BatchNormGradArgs& a, int64_t chunk) {
  const int64_t n = a.cols;
  const ChunkRows rows = chunk_rows(a, chunk);
  const V count(static_cast<float>(a.rows));
  for_columns(n, [&](auto width, int64_t c, int64_t left) __attribute__((always_inline)) {
    using W = decltype(width);
    auto channel = [&](const void* p, int k)
                       __attribute__((always_inline)) { return get<W>(static_cast<const float*>(p) + c, k, left); };
    const float* x = static_cast<const float*>(a.x) + rows.first * n + c;
    const float* dy = static_cast<const float*>(a.dy) + rows.first * n + c;
    float* dx = static_cast<float*>(a.dx) + rows.first * n + c;
    V mean[4], scale[4], slope[4], shift[4];
    MAAS_UNROLL for (int k = 0; k < W::kVectors; k++) {
      const V rstd = reciprocal_deviation(channel(a.variance, k), a.epsilon);
      mean[k] = channel(a.mean, k);
      scale[k] = a.gamma ? rstd * channel(a.gamma, k) : rstd;
      slope[k] = -(scale[k] * rstd * (channel(a.dgamma, k) / count));
      shift[k] = -(scale[k] * (channel(a.dbeta, k) / count));
      if (a.dmean) {
        slope[k] = slope[k] + V(2.f) * (channel(a.dvariance, k) / count);
        shift[k] = shift[k] + channel(a.dmean, k) / count;
      }
    }
    for (int64_t r = 0; r < rows.count; ++r) MAAS_UNROLL for (int k = 0; k < W::kVectors; k++) {
        const V centered = get<W>(x + r * n, k, left) - mean[k];
        put<W>(fma(scale[k], get<W>(dy + r * n, k, left), fma(centered, slope[k], shift[k])), dx + r * n, k, left);
      }
  });
}

void batch_norm_grad_units(const BatchNormGradArgs& a, int64_t begin, int64_t end, int64_t phase) {
  if (phase == 1)
    return batch_norm_grad_merge(a, begin * a.columns, end * a.columns < a.cols ? end * a.columns : a.cols);
  for (int64_t k = begin; k < end; ++k) {
    if (phase == 0)
      batch_norm_grad_chunk(a, k);
    else
      batch_norm_grad_apply(a, k);
  }
}

}  // namespace
}  // namespace maas
