#pragma once
// The depthwise kernel gradient, 16 channels a vector: the sums of a kernel row's taps, for some vectors of channels,
// stay in registers while the outputs of a row pass.
#include "ops/conv/conv_kernels.h"
#include "ops/conv/pixels_simd.h"

namespace maas {
namespace {

struct DepthwiseGradientRow {
  const float* x;   // source 0 of the row
  const float* dy;  // output 0
  float* dw;        // the kernel row's first tap
  int64_t channels, tap0;
};

// K taps from tap0 on, C vectors of channels from c on; of the last vector `tail` lanes.
template <int K, int C, class T>
MAAS_INLINE void depthwise_gradient_taps(const ConvAxis& w, const DepthwiseGradientRow& row, int64_t c, T tail) {
  Block<V, K * C> acc;
  acc.fill(V(0.f));
  const int64_t stride = row.channels, step_x = w.step * stride, step_tap = w.dilation * stride;
  const int64_t from = row.tap0 * w.dilation - w.begin;  // tap 0's source of output 0
  auto at = [&](int64_t o) __attribute__((always_inline)) { return row.x + (o * w.step + from) * stride + c; };
  // Outputs between the edges have all taps inside; at an edge each tap is looked at.
  int64_t lo = 0, hi = w.out;
  while (lo < hi && lo * w.step + from < 0) ++lo;
  while (hi > lo && (hi - 1) * w.step + from + (K - 1) * w.dilation >= w.in) --hi;
  auto edge = [&](int64_t begin, int64_t end) __attribute__((always_inline)) {
    for (int64_t o = begin; o < end; ++o) MAAS_UNROLL for (int u = 0; u < K; ++u) {
        const int64_t source = o * w.step + from + u * w.dilation;
        if (source < 0 || source >= w.in) continue;
        MAAS_UNROLL for (int j = 0; j < C; ++j) acc[u * C + j] =
            fma(V::load(at(o) + u * step_tap + j * kLanes, tail, 0.f),
                V::load(row.dy + o * stride + c + j * kLanes, tail, 0.f), acc[u * C + j]);
      }
  };
  edge(0, lo);
  const float* x = at(lo);
  const float* dy = row.dy + lo * stride + c;
  for (int64_t o = lo; o < hi; ++o, x += step_x, dy += stride) {
    Block<V, C> d;
    MAAS_UNROLL for (int j = 0; j < C; ++j) d[j] = V::load(dy + j * kLanes, tail, 0.f);
    MAAS_UNROLL for (int u = 0; u < K; ++u) MAAS_UNROLL for (int j = 0; j < C; ++j) acc[u * C + j] =
        fma(V::load(x + u * step_tap + j * kLanes, tail, 0.f), d[j], acc[u * C + j]);
  }
  edge(hi, w.out);
  MAAS_UNROLL for (int u = 0; u < K; ++u) MAAS_UNROLL for (int j = 0; j < C; ++j) {
    float* dw = row.dw + (row.tap0 + u) * stride + c + j * kLanes;
    (V::load(dw, tail, 0.f) + acc[u * C + j]).store(dw, tail);
  }
}

template <int C, class T>
MAAS_INLINE void depthwise_gradient_vectors(const ConvAxis& w, DepthwiseGradientRow row, int64_t c, T tail) {
  row.tap0 = 0;
  for (; row.tap0 + 3 <= w.kernel; row.tap0 += 3) depthwise_gradient_taps<3, C>(w, row, c, tail);
  for (; row.tap0 < w.kernel; ++row.tap0) depthwise_gradient_taps<1, C>(w, row, c, tail);
}

void depthwise_gradient_row(const ConvAxis& w, const DepthwiseGradientRow& row, int64_t c, int64_t c_end) {
  if constexpr (V::kRegisters == 32)  // 12 sums: enough to hide their latency
    for (; c + 4 * kLanes <= c_end; c += 4 * kLanes) depthwise_gradient_vectors<4>(w, row, c, simd::Full{});
  for (; c + kLanes <= c_end; c += kLanes) depthwise_gradient_vectors<1>(w, row, c, simd::Full{});
  if (c < c_end) depthwise_gradient_vectors<1>(w, row, c, Tail(c_end - c));
}

void run_depthwise_gradient(const DepthwiseKernelGradientArgs& a, int64_t begin, int64_t end, const Exec& exec) {
  const ConvAxis &d = a.axes.d, &h = a.axes.h, &w = a.axes.w;
  const int64_t taps = d.kernel * h.kernel * w.kernel, size = taps * a.channels;
  if (exec.phase == 1) {
    for (int64_t unit = begin; unit < end; ++unit) {
      const float* part = static_cast<const float*>(a.partial) + unit * a.channels;
      float* y = static_cast<float*>(a.dw) + unit * a.channels;
      for (int64_t c = 0; c < a.channels; c += kLanes) {
        V sum = simd::load_some<V>(part + c, a.channels - c, 0.f);
        for (int64_t p = 1; p < a.parts; ++p) sum = sum + simd::load_some<V>(part + p * size + c, a.channels - c, 0.f);
        simd::store_some(sum, y + c, a.channels - c);
      }
    }
    return;
  }
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t c0 = unit % a.column_units * kDepthwiseColumns, part = unit / a.column_units;
    const int64_t c1 = c0 + kDepthwiseColumns < a.channels ? c0 + kDepthwiseColumns : a.channels;
    const int64_t image0 = part * a.part_images, image1 = image0 + a.part_images < a.n ? image0 + a.part_images : a.n;
    float* dw = static_cast<float*>(a.partial ? a.partial : a.dw) + (a.partial ? part * size : 0);
    for (int64_t tap = 0; tap < taps; ++tap) zero_floats(dw + tap * a.channels + c0, c1 - c0);
    DepthwiseGradientRow row;
    row.channels = a.channels;
    for (int64_t n = image0; n < image1; ++n)
      for (int64_t od = 0; od < d.out; ++od)
        for (int64_t oh = 0; oh < h.out; ++oh) {
          row.dy = static_cast<const float*>(a.dy) + ((n * d.out + od) * h.out + oh) * w.out * a.channels;
          for (int64_t k = 0; k < d.kernel * h.kernel; ++k) {
            const int64_t id = od * d.step - d.begin + k / h.kernel * d.dilation;
            const int64_t ih = oh * h.step - h.begin + k % h.kernel * h.dilation;
            if (id < 0 || id >= d.in || ih < 0 || ih >= h.in) continue;
            row.x = static_cast<const float*>(a.x) + ((n * d.in + id) * h.in + ih) * w.in * a.channels;
            row.dw = dw + k * w.kernel * a.channels;
            depthwise_gradient_row(w, row, c0, c1);
          }
        }
  }
}

}  // namespace
}  // namespace maas
