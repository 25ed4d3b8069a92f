#pragma once
// The tile of a convolution, and its kernel for few columns: a tile of R outputs x C columns is R * C dot products,
// each over 16 lanes. Panels of 16 columns would multiply zeros most of the time.
#include "ops/gemm/micro_simd.h"

namespace maas {
namespace {

// The sources of a tile in one row of x, and where the panel has that row's taps.
struct Span {
  const float* a;
  const float* b;
};

// For dot products ldb is the distance of two columns.
struct ConvTile : MicroTile {
  const Span* spans;
  int64_t span_count;
  int64_t segments, segment_a, segment_b, length;  // runs in a span, what lies between their starts, rows in one
  static constexpr int kAhead = V::kRegisters >= 32 ? 4 : 0;
  template <class F>
  MAAS_MEMBER void each_run(F&& fn) const {
    for (int64_t s = 0; s < span_count; ++s)
      for (int64_t g = 0; g < segments; ++g) fn(spans[s].a + g * segment_a, 1, spans[s].b + g * segment_b, length);
  }
};

template <int R, int C, class T>
MAAS_INLINE void dot_step(Block<V, R * C>& acc, const float* a, int64_t rsa, const float* b, int64_t ldb, T tail) {
  Block<V, C> column;
  MAAS_UNROLL for (int j = 0; j < C; ++j) column[j] = V::load(b + j * ldb, tail, 0.f);
  MAAS_UNROLL for (int i = 0; i < R; ++i) {
    const V x = V::load(a + i * rsa, tail, 0.f);
    MAAS_UNROLL for (int j = 0; j < C; ++j) acc[i * C + j] = fma(x, column[j], acc[i * C + j]);
  }
}

// Outputs from number `row`, columns from `column` on.
template <int R, int C>
void dot_micro(const ConvTile& t, int64_t row, int64_t column) {
  Block<V, R * C> acc;
  acc.fill(V(0.f));
  const int64_t rsa = t.rsa, ldb = t.ldb;
  t.each_run([&](const float* a, int64_t, const float* b, int64_t length) __attribute__((always_inline)) {
    a += row * rsa;
    b += column * ldb;
    int64_t l = 0;
    for (; l + kLanes <= length; l += kLanes) dot_step<R, C>(acc, a + l, rsa, b + l, ldb, simd::Full{});
    if (l < length) dot_step<R, C>(acc, a + l, rsa, b + l, ldb, Tail(length - l));
  });
  MAAS_UNROLL for (int i = 0; i < R; ++i) MAAS_UNROLL for (int j = 0; j < C; ++j) {
    float v = sum_lanes(acc[i * C + j]) + (t.bias ? t.bias[column + j] : 0.f);
    if (t.relu) v = v > t.top ? t.top : v > 0.f || v != v ? v : 0.f;
    t.c[(row + i) * t.ldc + column + j] = v;
  }
}

// Two columns at a time where registers hold the sums: a vector of x then serves two products.
template <int R>
MAAS_INLINE void dot_rows(const ConvTile& t, int64_t row) {
  int64_t j = 0;
  if constexpr (R * 2 <= V::kRegisters / 2)
    for (; j + 2 <= t.columns; j += 2) dot_micro<R, 2>(t, row, j);
  for (; j < t.columns; ++j) dot_micro<R, 1>(t, row, j);
}

MAAS_INLINE void dot_tile(const ConvTile& t, int64_t outputs) {
  int64_t i = 0;
  if constexpr (V::kRegisters == 32)
    for (; i + 8 <= outputs; i += 8) dot_rows<8>(t, i);
  for (; i + 4 <= outputs; i += 4) dot_rows<4>(t, i);
  if (i + 2 <= outputs) dot_rows<2>(t, i), i += 2;
  if (i < outputs) dot_rows<1>(t, i);
}

}  // namespace
}  // namespace maas
