#pragma once
// See reduce_kernels.h for the order of sums. Phase 0 folds chunks, phase 1 joins the chunks of one result.
#include "ops/reduce/reduce_kernels.h"
#include "simd/isa.h"

namespace maas {
namespace {

struct FoldSum {
  static constexpr float neutral = 0.f, fill = -0.f;
  template <class V>
  static MAAS_MEMBER V join(V a, V b) {
    return a + b;
  }
  static MAAS_MEMBER float lanes(simd::V v) { return simd::sum_lanes(v); }
};
struct FoldProd {
  static constexpr float neutral = 1.f, fill = 1.f;
  template <class V>
  static MAAS_MEMBER V join(V a, V b) {
    return a * b;
  }
  static MAAS_MEMBER float lanes(simd::V v) { return simd::prod_lanes(v); }
};
struct FoldMax {
  static constexpr float neutral = -simd::kInf, fill = -simd::kInf;
  template <class V>
  static MAAS_MEMBER V join(V a, V b) {
    return simd::max_nan(a, b);
  }
  static MAAS_MEMBER float lanes(simd::V v) { return simd::max_lanes(v); }
};
struct FoldMin {
  static constexpr float neutral = simd::kInf, fill = simd::kInf;
  template <class V>
  static MAAS_MEMBER V join(V a, V b) {
    return simd::min_nan(a, b);
  }
  static MAAS_MEMBER float lanes(simd::V v) { return simd::min_lanes(v); }
};

// n contiguous elements in 64 lanes: four vectors hide the latency of an addition.
template <class F, class V>
MAAS_INLINE float fold_span(const float* x, int64_t n) {
  V a0(F::neutral), a1(F::neutral), a2(F::neutral), a3(F::neutral);
  int64_t i = 0;
  for (; i + 64 <= n; i += 64) {
    a0 = F::join(a0, V::load(x + i));
    a1 = F::join(a1, V::load(x + i + 16));
    a2 = F::join(a2, V::load(x + i + 32));
    a3 = F::join(a3, V::load(x + i + 48));
  }
  if (i < n) a0 = F::join(a0, simd::load_some<V>(x + i, n - i, F::fill));
  if (i + 16 < n) a1 = F::join(a1, simd::load_some<V>(x + i + 16, n - i - 16, F::fill));
  if (i + 32 < n) a2 = F::join(a2, simd::load_some<V>(x + i + 32, n - i - 32, F::fill));
  if (i + 48 < n) a3 = F::join(a3, simd::load_some<V>(x + i + 48, n - i - 48, F::fill));
  return F::lanes(F::join(F::join(a0, a1), F::join(a2, a3)));
}

// y[c] = fold of rows x[r][c] in the order of r. Eight rows at a time: y stays in L1 and x streams.
template <class F, class V>
MAAS_INLINE void fold_rows(const float* x, int64_t rows, int64_t ld, int64_t columns, float* y) {
  for (int64_t c = 0; c < columns; c += simd::kLanes) simd::store_some(V(F::neutral), y + c, columns - c);
  int64_t r = 0;
  for (; r + 8 <= rows; r += 8, x += 8 * ld)
    for (int64_t c = 0; c < columns; c += simd::kLanes) {
      const int64_t left = columns - c;
      V acc = simd::load_some<V>(y + c, left, 0.f);
      MAAS_UNROLL for (int k = 0; k < 8; ++k) acc = F::join(acc, simd::load_some<V>(x + k * ld + c, left, 0.f));
      simd::store_some(acc, y + c, left);
    }
  for (; r < rows; ++r, x += ld)
    for (int64_t c = 0; c < columns; c += simd::kLanes) {
      const int64_t left = columns - c;
      simd::store_some(F::join(simd::load_some<V>(y + c, left, 0.f), simd::load_some<V>(x + c, left, 0.f)), y + c,
                       left);
    }
}

// Joins `count` rows of `left` columns pairwise: a stack holds the sums of 2^k rows, as the binary digits of the count
// say.
template <class F, class V>
MAAS_INLINE V fold_tree(const float* x, int64_t count, int64_t ld, int64_t left) {
  alignas(64) float stack[48 * simd::kLanes];
  int top = 0;
  for (int64_t i = 0; i < count; ++i) {
    V v = simd::load_some<V>(x + i * ld, left, F::fill);
    for (int64_t k = i + 1; (k & 1) == 0; k >>= 1) v = F::join(V::load(stack + --top * simd::kLanes), v);
    v.store(stack + top++ * simd::kLanes);
  }
  V v = V::load(stack + --top * simd::kLanes);
  while (top > 0) v = F::join(V::load(stack + --top * simd::kLanes), v);
  return v;
}

template <class F, class V>
MAAS_INLINE void fold_chunks(const ReduceArgs& a, int64_t begin, int64_t end) {
  float* out = a.chunks > 1 ? a.partial : static_cast<float*>(a.y);
  const float* x = static_cast<const float*>(a.x);
  const int64_t blocks = a.lanes ? 1 : (a.inner + ReduceArgs::column_block - 1) / ReduceArgs::column_block;
  for (int64_t u = begin; u < end; ++u) {
    const int64_t block = u % blocks, chunk = u / blocks % a.chunks, o = u / blocks / a.chunks;
    const int64_t first = chunk * a.chunk, rows = a.reduced - first < a.chunk ? a.reduced - first : a.chunk;
    const float* from = x + (o * a.reduced + first) * a.inner;
    float* to = out + (o * a.chunks + chunk) * a.inner;
    if (a.lanes) {
      *to = fold_span<F, V>(from, rows);
    } else {
      const int64_t c = block * ReduceArgs::column_block, left = a.inner - c;
      fold_rows<F, V>(from + c, rows, a.inner, left < ReduceArgs::column_block ? left : ReduceArgs::column_block,
                      to + c);
    }
    if (a.fold == Fold::mean && a.chunks == 1) {
      const int64_t c = block * ReduceArgs::column_block, left = a.lanes ? 1 : a.inner - c;
      const int64_t n = left < ReduceArgs::column_block ? left : ReduceArgs::column_block;
      simd::map<V>(to + c, to + c, n, 0.f,
                   [&](V v) __attribute__((always_inline)) { return v / V(static_cast<float>(a.reduced)); });
    }
  }
}

template <class F, class V>
MAAS_INLINE void join_chunks(const ReduceArgs& a, int64_t begin, int64_t end) {
  float* y = static_cast<float*>(a.y);
  const int64_t strips = a.lanes ? 1 : (a.inner + simd::kLanes - 1) / simd::kLanes;
  for (int64_t u = begin; u < end; ++u) {
    const int64_t strip = u % strips, o = u / strips, c = strip * simd::kLanes;
    const float* from = a.partial + o * a.chunks * a.inner + c;
    V v = a.lanes ? V(fold_span<F, V>(from, a.chunks)) : fold_tree<F, V>(from, a.chunks, a.inner, a.inner - c);
    if (a.fold == Fold::mean) v = v / V(static_cast<float>(a.reduced));
    simd::store_some(v, y + o * a.inner + c, a.lanes ? 1 : a.inner - c);
  }
}

template <class F>
MAAS_INLINE void fold_phase(const ReduceArgs& a, int64_t begin, int64_t end, int64_t phase) {
  if (phase == 0)
    fold_chunks<F, simd::V>(a, begin, end);
  else
    join_chunks<F, simd::V>(a, begin, end);
}

MAAS_INLINE void reduce_f32(const ReduceArgs& a, int64_t begin, int64_t end, int64_t phase) {
  switch (a.fold) {
    case Fold::prod:
      return fold_phase<FoldProd>(a, begin, end, phase);
    case Fold::max:
      return fold_phase<FoldMax>(a, begin, end, phase);
    case Fold::min:
      return fold_phase<FoldMin>(a, begin, end, phase);
    default:
      return fold_phase<FoldSum>(a, begin, end, phase);
  }
}

}  // namespace
}  // namespace maas
