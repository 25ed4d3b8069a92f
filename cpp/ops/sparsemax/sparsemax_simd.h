#pragma once
// Sparsemax over rows of 16-lane vectors: one look for the maximum, some for the threshold, one to write.
#include "ops/sparsemax/sparsemax_kernels.h"
#include "simd/isa.h"

namespace maas {
namespace {

using simd::V;

void sparsemax_rows(const SparsemaxArgs& args, int64_t begin, int64_t end, const Exec& exec) {
  const int64_t n = args.cols;
  for (int64_t r = begin; r < end; ++r) {
    const float* x = static_cast<const float*>(args.x) + r * n;
    float* y = static_cast<float*>(args.y) + r * n;
    const V top(simd::max_all<V>(x, n));
    // A NaN or +inf leaves nothing above -1, so t = -1 / 0, and every z - t is NaN. Missing lanes read -inf: never
    // above.
    float t = -1.f, before = simd::kInf;
    for (int step = 0;; ++step) {
      if (step > 8 && exec.stopped()) return;
      const V least(t);
      V sum(0.f), count(0.f);
      for (int64_t i = 0; i < n; i += simd::kLanes) {
        const V z = simd::load_some<V>(x + i, n - i, -simd::kInf) - top;
        const V::Mask above = z > least;
        sum = sum + select(above, z, V(0.f));
        count = count + select(above, V(1.f), V(0.f));
      }
      const float now = simd::sum_lanes(count);
      t = (simd::sum_lanes(sum) - 1.f) / now;
      if (!(now < before)) break;
      before = now;
    }
    // max gives its second operand where either is NaN.
    simd::map<V>(x, y, n, 0.f, [&](V v) __attribute__((always_inline)) { return max(V(0.f), (v - top) - V(t)); });
  }
}

}  // namespace
}  // namespace maas
