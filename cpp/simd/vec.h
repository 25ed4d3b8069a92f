// Loops and reductions over V, the same on every ISA: 16 virtual lanes, one fixed tree.
#pragma once
#include "simd/base.h"

namespace maas::simd {

// NaN-propagating min and max (a NaN in either operand gives a NaN); of two zeros the second is returned.
template <Vector V>
MAAS_INLINE V max_nan(V a, V b) {
  return select(isnan(a), a, max(a, b));
}
template <Vector V>
MAAS_INLINE V min_nan(V a, V b) {
  return select(isnan(a), a, min(a, b));
}
template <Vector V>
MAAS_INLINE V copysign(V magnitude, V sign) {
  return abs(magnitude) | (sign & V(-0.f));
}
// c0 + c1 x + c2 x^2 + ..., by Horner with one fma a step.
template <Vector V>
MAAS_INLINE V poly(V, float c0) {
  return V(c0);
}
template <Vector V, class... Rest>
MAAS_INLINE V poly(V x, float c0, Rest... rest) {
  return fma(x, poly(x, rest...), V(c0));
}

// The tree over lanes: i with i+8, then i+4, i+2, i+1; fn takes and returns V and is applied lane by lane.
template <Vector V, class F>
MAAS_INLINE float fold_lanes(V v, F&& fn) {
  const __m256 zero = _mm256_setzero_ps();
  const __m256 eight = fn(V(v.low(), zero), V(v.high(), zero)).low();
  const __m256 swapped = _mm256_permute2f128_ps(eight, eight, 0x01);
  const __m256 four = fn(V(eight, zero), V(swapped, zero)).low();
  const __m256 two = fn(V(four, zero), V(_mm256_permute_ps(four, 0x4e), zero)).low();
  return _mm256_cvtss_f32(fn(V(two, zero), V(_mm256_permute_ps(two, 0xb1), zero)).low());
}
template <Vector V>
MAAS_INLINE float sum_lanes(V v) {
  return fold_lanes(v, [](V a, V b) __attribute__((always_inline)) { return a + b; });
}
template <Vector V>
MAAS_INLINE float prod_lanes(V v) {
  return fold_lanes(v, [](V a, V b) __attribute__((always_inline)) { return a * b; });
}
template <Vector V>
MAAS_INLINE float max_lanes(V v) {
  return fold_lanes(v, [](V a, V b) __attribute__((always_inline)) { return max_nan(a, b); });
}
template <Vector V>
MAAS_INLINE float min_lanes(V v) {
  return fold_lanes(v, [](V a, V b) __attribute__((always_inline)) { return min_nan(a, b); });
}

// fn(offset, Full) for every whole vector, then fn(offset, Tail) once if n is no multiple of 16. Take the second
// parameter as `auto` and hand it to V::load(p, tail, fill) and store(p, tail).
template <Vector V, class F>
MAAS_INLINE void for_each_vector(int64_t n, F&& fn) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) fn(i, Full{});
  if (i < n) fn(i, typename V::Tail(n - i));
}

// One call of fn in one loop, so that it is inlined however long it is: two calls would leave V in memory on AVX2.
template <Vector V, class T>
MAAS_INLINE V load_some(const T* p, int64_t left, float fill) {
  if (__builtin_expect(left >= kLanes, 1)) return V::load(p);
  return V::load(p, typename V::Tail(left), fill);
}
template <Vector V, class U>
MAAS_INLINE void store_some(V v, U* p, int64_t left) {
  if (__builtin_expect(left >= kLanes, 1)) {
    v.store(p);
  } else {
    v.store(p, typename V::Tail(left));
  }
}

// y[i] = fn(x[i]), 16 at a time; missing lanes of the last vector read `fill`. T and U: any storage type. y may be x.
template <Vector V, class T, class U, class F>
MAAS_INLINE void map(const T* x, U* y, int64_t n, float fill, F&& fn) {
  for (int64_t i = 0; i < n; i += kLanes) store_some(fn(load_some<V>(x + i, n - i, fill)), y + i, n - i);
}
// y[i] = fn(a[i], b[i]).
template <Vector V, class T, class S, class U, class F>
MAAS_INLINE void map2(const T* a, const S* b, U* y, int64_t n, float fill, F&& fn) {
  for (int64_t i = 0; i < n; i += kLanes) {
    store_some(fn(load_some<V>(a + i, n - i, fill), load_some<V>(b + i, n - i, fill)), y + i, n - i);
  }
}

// acc = fn(acc, x[i..i+16)) from acc = start; missing lanes read `fill`, which must be neutral for fn.
template <Vector V, class T, class F>
MAAS_INLINE V accumulate(const T* x, int64_t n, float start, float fill, F&& fn) {
  V acc(start);
  for (int64_t i = 0; i < n; i += kLanes) acc = fn(acc, load_some<V>(x + i, n - i, fill));
  return acc;
}
template <Vector V, class T>
MAAS_INLINE float sum_all(const T* x, int64_t n) {  // lane j sums x[j], x[j + 16], ...; missing lanes add -0, no change
  return sum_lanes(accumulate<V>(x, n, 0.f, -0.f, [](V a, V v) __attribute__((always_inline)) { return a + v; }));
}
template <Vector V, class T>
MAAS_INLINE float max_all(const T* x, int64_t n) {  // NaN if any is NaN; -inf for n = 0
  return max_lanes(
      accumulate<V>(x, n, -kInf, -kInf, [](V a, V v) __attribute__((always_inline)) { return max_nan(a, v); }));
}
template <Vector V, class T>
MAAS_INLINE float min_all(const T* x, int64_t n) {  // NaN if any is NaN; inf for n = 0
  return min_lanes(
      accumulate<V>(x, n, kInf, kInf, [](V a, V v) __attribute__((always_inline)) { return min_nan(a, v); }));
}

// N vectors that stay in registers, as long as every index is a constant: loop under MAAS_UNROLL. GEMM's accumulators
// are Block<V, MR * NR>; keep N + NR + 1 <= V::kRegisters.
template <Vector V, int N>
struct Block {
  V v[N];
  MAAS_MEMBER V& operator[](int i) { return v[i]; }
  MAAS_MEMBER const V& operator[](int i) const { return v[i]; }
  MAAS_MEMBER void fill(V x) { MAAS_UNROLL for (int i = 0; i < N; i++) v[i] = x; }
  MAAS_MEMBER void load(const float* p) { MAAS_UNROLL for (int i = 0; i < N; i++) v[i] = V::load(p + i * kLanes); }
  MAAS_MEMBER void store(float* p) const { MAAS_UNROLL for (int i = 0; i < N; i++) v[i].store(p + i * kLanes); }
};

}  // namespace maas::simd
