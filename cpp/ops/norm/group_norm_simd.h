#pragma once
// A unit's channels are taken in strips of 64, four vectors beside each other, down all rows: each lane is one channel,
// so groups of any size cost the same. Its sums are put together in parts of 64 rows, which keeps them exact.
#include "ops/norm/group_norm_kernels.h"
#include "simd/isa.h"

namespace maas {
namespace {

using simd::V;

constexpr int64_t strip = 64, part = 64;

// out[i] = sum over rows of x - center, or of its square, for n <= 64 channels.
template <bool squares>
MAAS_INLINE void sum_columns(const float* x, int64_t rows, int64_t stride, int64_t n, const float* center, float* out) {
  V total[4] = {V(0.f), V(0.f), V(0.f), V(0.f)}, mean[4];
  MAAS_UNROLL for (int k = 0; k < 4; k++) mean[k] = V::load(center + 16 * k);
  for (int64_t r = 0; r < rows; r += part) {
    V sum[4] = {V(0.f), V(0.f), V(0.f), V(0.f)};
    const int64_t last = r + part < rows ? r + part : rows;
    for (int64_t i = r; i < last; ++i) MAAS_UNROLL for (int k = 0; k < 4; k++) if (16 * k < n) {
        const V v = simd::load_some<V>(x + i * stride + 16 * k, n - 16 * k, 0.f);
        if (squares) {
          const V d = v - mean[k];
          sum[k] = fma(d, d, sum[k]);
        } else {
          sum[k] = sum[k] + v;
        }
      }
    MAAS_UNROLL for (int k = 0; k < 4; k++) total[k] = total[k] + sum[k];
  }
  MAAS_UNROLL for (int k = 0; k < 4; k++) total[k].store(out + 16 * k);
}

MAAS_INLINE void apply_columns(const float* x, float* y, int64_t rows, int64_t stride, int64_t n, const float* center,
                               const float* factor, const float* shift) {
  V c[4], f[4], s[4];
  MAAS_UNROLL for (int k = 0; k < 4; k++) {
    c[k] = V::load(center + 16 * k);
    f[k] = V::load(factor + 16 * k);
    s[k] = V::load(shift + 16 * k);
  }
  for (int64_t r = 0; r < rows; ++r) MAAS_UNROLL for (int k = 0; k < 4; k++) if (16 * k < n) {
      const int64_t at = r * stride + 16 * k, left = n - 16 * k;
      simd::store_some(fma(simd::load_some<V>(x + at, left, 0.f) - c[k], f[k], s[k]), y + at, left);
    }
}

MAAS_INLINE void group_norm_unit(const GroupNormArgs& a, int64_t u) {
  const int64_t size = a.channels / a.groups, blocks = (a.groups + a.per_unit - 1) / a.per_unit;
  const int64_t g = u % blocks * a.per_unit, groups = g + a.per_unit < a.groups ? a.per_unit : a.groups - g;
  const int64_t from_channel = g * size, n = groups * size, from = u / blocks * a.rows * a.channels + from_channel;
  const float *x = static_cast<const float*>(a.x) + from, *gamma = static_cast<const float*>(a.gamma);
  const float* beta = static_cast<const float*>(a.beta);
  float* y = static_cast<float*>(a.y) + from;
  const double count = static_cast<double>(a.rows * size);
  double sums[64] = {}, squares[64] = {};
  float mean[64], rstd[64], center[strip] = {}, factor[strip] = {}, shift[strip] = {}, out[strip];
  for (int64_t c = 0; c < n; c += strip) {
    const int64_t left = n - c < strip ? n - c : strip;
    sum_columns<false>(x + c, a.rows, a.channels, left, center, out);
    for (int64_t i = 0; i < left; ++i) sums[(c + i) / size] += static_cast<double>(out[i]);
  }
  for (int64_t k = 0; k < groups; ++k) mean[k] = static_cast<float>(sums[k] / count);
  for (int64_t c = 0; c < n; c += strip) {
    const int64_t left = n - c < strip ? n - c : strip;
    for (int64_t i = 0; i < left; ++i) center[i] = mean[(c + i) / size];
    sum_columns<true>(x + c, a.rows, a.channels, left, center, out);
    for (int64_t i = 0; i < left; ++i) squares[(c + i) / size] += static_cast<double>(out[i]);
  }
  for (int64_t k = 0; k < groups; ++k)
    rstd[k] = first(V(1.f) / sqrt(V(static_cast<float>(squares[k] / count + a.epsilon))));
  for (int64_t c = 0; c < n; c += strip) {
    const int64_t left = n - c < strip ? n - c : strip;
    for (int64_t i = 0; i < left; ++i) {
      const int64_t k = (c + i) / size;
      center[i] = mean[k];
      factor[i] = gamma ? rstd[k] * gamma[from_channel + c + i] : rstd[k];
      shift[i] = beta ? beta[from_channel + c + i] : 0.f;
    }
    apply_columns(x + c, y + c, a.rows, a.channels, left, center, factor, shift);
  }
}

void group_norm_units(const GroupNormArgs& a, int64_t begin, int64_t end) {
  for (int64_t u = begin; u < end; ++u) group_norm_unit(a, u);
}

}  // namespace
}  // namespace maas
