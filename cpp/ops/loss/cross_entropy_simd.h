#pragma once
// See cross_entropy_kernels.h. A row is read three times while it is in L1 or L2.
#include "ops/loss/cross_entropy_kernels.h"
#include "simd/isa.h"

namespace maas {

template <class V>
static float row_total(const float* x, int64_t n, float top) {
  // Missing lanes read -inf, whose exp is 0.
  return simd::sum_lanes(simd::accumulate<V>(
      x, n, 0.f, -simd::kInf, [top](V acc, V v) __attribute__((always_inline)) { return acc + exp(v - V(top)); }));
}

template <class V>
static void row_statistics(const CrossEntropyArgs& a, int64_t r, const float* x, float& top, float& log_total) {
  top = simd::max_all<V>(x, a.classes);
  const float total = row_total<V>(x, a.classes, top);
  log_total = first(log(V(total)));
  if (a.top) static_cast<float*>(a.top)[r] = top;
  if (a.total) static_cast<float*>(a.total)[r] = total;
}

template <class V>
static void cross_entropy_labels(const CrossEntropyArgs& a, int64_t begin, int64_t end, const Exec& exec) {
  for (int64_t r = begin; r < end; ++r) {
    const float* x = static_cast<const float*>(a.x) + r * a.classes;
    float top, log_total;
    row_statistics<V>(a, r, x, top, log_total);
    const int64_t label = read_label(a, r);
    const bool good = label >= 0 && label < a.classes;
    if (!good && exec.status) exec.status->report(r, label);
    static_cast<float*>(a.loss)[r] = good ? log_total - (x[label] - top) : 0.f;
  }
}

template <class V>
static void cross_entropy_targets(const CrossEntropyArgs& a, int64_t begin, int64_t end) {
  for (int64_t r = begin; r < end; ++r) {
    const float* x = static_cast<const float*>(a.x) + r * a.classes;
    const float* t = static_cast<const float*>(a.targets) + r * a.classes;
    float top, log_total;
    row_statistics<V>(a, r, x, top, log_total);
    V sum(0.f);
    for (int64_t c = 0; c < a.classes; c += simd::kLanes) {
      const int64_t left = a.classes - c;
      // Missing lanes: 0 * (log(total) - 0) adds 0 or, in a row that is NaN already, NaN.
      const V score = simd::load_some<V>(x + c, left, top) - V(top);
      sum = fma(simd::load_some<V>(t + c, left, 0.f), V(log_total) - score, sum);
    }
    static_cast<float*>(a.loss)[r] = simd::sum_lanes(sum);
  }
}

// dx = (exp(x - top) * mass / total - target) * dloss; of labels the target is subtracted at one place afterwards.
template <class V>
static void cross_entropy_gradient(const CrossEntropyArgs& a, int64_t begin, int64_t end, bool sparse,
                                   const Exec& exec) {
  for (int64_t r = begin; r < end; ++r) {
    const float* x = static_cast<const float*>(a.x) + r * a.classes;
    const float* t = static_cast<const float*>(a.targets) + r * a.classes;
    float* dx = static_cast<float*>(a.dx) + r * a.classes;
    const float top = static_cast<const float*>(a.top_in)[r], total = static_cast<const float*>(a.total_in)[r];
    const float dloss = static_cast<const float*>(a.dloss)[r];
    if (sparse) {
      const int64_t label = read_label(a, r);
      const bool good = label >= 0 && label < a.classes;
      if (!good && exec.status) exec.status->report(r, label);
      const V scale(1.f / total), weight(good ? dloss : 0.f);
      simd::map<V>(x, dx, a.classes, top,
                   [&](V v) __attribute__((always_inline)) { return exp(v - V(top)) * scale * weight; });
      if (good) dx[label] = (first(exp(V(x[label] - top)) * scale) - 1.f) * dloss;
    } else {
      const V scale(simd::sum_all<V>(t, a.classes) / total), weight(dloss);
      simd::map2<V>(x, t, dx, a.classes, 0.f, [&](V v, V target) __attribute__((always_inline)) {
        return (exp(v - V(top)) * scale - target) * weight;
      });
    }
  }
}

}  // namespace maas
