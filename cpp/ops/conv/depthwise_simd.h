#pragma once
// Depthwise convolution, 16 channels a vector: a tile of R neighbouring outputs stays in registers while all taps pass;
// a weight serves R products. Tiles go along a row with all channels of each, so that x is read in its order.
#include "ops/conv/dot_simd.h"
#include "ops/elementwise/epilogue_rows.h"
#include "simd/isa.h"

namespace maas {
namespace {

// Sources of a tile (channel 0) in the rows of x, and the weights of those rows' taps.
struct DepthwiseTile {
  const Span* rows;
  int64_t row_count;
  int64_t first, taps;          // of the class's taps in a row, those that count
  int64_t x, step_x, step_tap;  // output 0's first tap from the row's start; to the next output, to the next tap
  int64_t w, step_w;            // the first tap's weights from the row's, to the next tap's
  float* y;
  int64_t step_y;
  const float* bias;
  bool relu;
  float top;
};

template <int R>
MAAS_INLINE void depthwise_store(const DepthwiseTile& t, const Block<V, R>& acc, int64_t c, int64_t left) {
  const bool biased = t.bias;
  const V bias = biased ? simd::load_some<V>(t.bias + c, left, 0.f) : V(0.f);
  MAAS_UNROLL for (int i = 0; i < R; ++i) {
    V v = acc[i];
    if (biased) v = v + bias;
    if (t.relu) v = min(V(t.top), max(V(0.f), v) + V(0.f));  // keeps NaN; -0 becomes 0
    simd::store_some(v, t.y + i * t.step_y + c, left);
  }
}

template <int R, class T>
MAAS_INLINE void depthwise_sum(const DepthwiseTile& t, int64_t c, T tail, Block<V, R>& acc) {
  const int64_t step_x = t.step_x, step_tap = t.step_tap, step_w = t.step_w;
  for (int64_t r = 0; r < t.row_count; ++r) {
    const float* x = t.rows[r].a + t.x + c + t.first * step_tap;
    const float* w = t.rows[r].b + t.w + c + t.first * step_w;
    for (int64_t u = 0; u < t.taps; ++u, x += step_tap, w += step_w) {
      const V weight = V::load(w, tail, 0.f);
      MAAS_UNROLL for (int i = 0; i < R; ++i) acc[i] = fma(V::load(x + i * step_x, tail, 0.f), weight, acc[i]);
    }
  }
}

// Taps one pixel apart, outputs S pixels: a vector of x serves every product that it is in.
template <int R, int K, int S>
MAAS_INLINE void depthwise_slide(const DepthwiseTile& t, int64_t c, Block<V, R>& acc) {
  const int64_t step = t.step_tap;
  for (int64_t r = 0; r < t.row_count; ++r) {
    const float* x = t.rows[r].a + t.x + c;
    const float* w = t.rows[r].b + t.w + c;
    Block<V, K> weights;
    MAAS_UNROLL for (int u = 0; u < K; ++u) weights[u] = V::load(w + u * t.step_w);
    MAAS_UNROLL for (int p = 0; p < (R - 1) * S + K; ++p) {
      const V v = V::load(x + p * step);
      __builtin_prefetch(x + p * step + kLanes);
      // Pixel p is tap u of output (p - u) / S: every output meets its taps in their order.
      MAAS_UNROLL for (int u = 0; u < K; ++u) if (p >= u && (p - u) % S == 0 && (p - u) / S < R) acc[(p - u) / S] =
          fma(v, weights[u], acc[(p - u) / S]);
    }
  }
}

// One output, some vectors of channels at a time: sums that do not wait for each other.
constexpr int kEdgeVectors = 4;
MAAS_INLINE int64_t depthwise_edge(const DepthwiseTile& t, int64_t channels) {
  int64_t c = 0;
  for (; c + kEdgeVectors * kLanes <= channels; c += kEdgeVectors * kLanes) {
    Block<V, kEdgeVectors> acc;
    acc.fill(V(0.f));
    for (int64_t r = 0; r < t.row_count; ++r) {
      const float* x = t.rows[r].a + t.x + c + t.first * t.step_tap;
      const float* w = t.rows[r].b + t.w + c + t.first * t.step_w;
      for (int64_t u = 0; u < t.taps; ++u, x += t.step_tap, w += t.step_w)
        MAAS_UNROLL for (int j = 0; j < kEdgeVectors; ++j) acc[j] =
            fma(V::load(x + j * kLanes), V::load(w + j * kLanes), acc[j]);
    }
    MAAS_UNROLL for (int j = 0; j < kEdgeVectors; ++j) {
      Block<V, 1> one;
      one[0] = acc[j];
      depthwise_store<1>(t, one, c + j * kLanes, kLanes);
    }
  }
  return c;
}

template <int R>
void depthwise_tile(const DepthwiseTile& t, int64_t channels) {
  const bool three = R > 1 && t.taps == 3, slide = three && t.step_x == t.step_tap,
             leap = three && t.step_x == 2 * t.step_tap;
  for (int64_t c = R == 1 ? depthwise_edge(t, channels) : 0; c < channels; c += kLanes) {
    Block<V, R> acc;
    acc.fill(V(0.f));
    const int64_t left = channels - c;
    if (left < kLanes)
      depthwise_sum<R>(t, c, Tail(left), acc);
    else if (slide)
      depthwise_slide<R, 3, 1>(t, c, acc);
    else if (leap)
      depthwise_slide<R, 3, 2>(t, c, acc);
    else
      depthwise_sum<R>(t, c, simd::Full{}, acc);
    depthwise_store<R>(t, acc, c, left);
  }
}

// Outputs of a tile: AVX-512 keeps 8 sums, 3 weights and what is on its way in 32 registers; AVX2 has 8.
constexpr int64_t kDepthwiseOutputs = V::kRegisters == 32 ? 8 : 4;
using DepthwiseKernel = void (*)(const DepthwiseTile&, int64_t);
#if defined(__AVX512F__)
const DepthwiseKernel kDepthwise[] = {nullptr,           depthwise_tile<1>, depthwise_tile<2>,
                                      depthwise_tile<3>, depthwise_tile<4>, depthwise_tile<5>,
                                      depthwise_tile<6>, depthwise_tile<7>, depthwise_tile<8>};
#else
const DepthwiseKernel kDepthwise[] = {nullptr, depthwise_tile<1>, depthwise_tile<2>, depthwise_tile<3>,
                                      depthwise_tile<4>};
#endif

// The kernel rows whose source row is inside, in packed order.
MAAS_INLINE int64_t depthwise_rows(const DepthwiseArgs& a, int64_t image, int64_t od, int64_t oh, Span* rows) {
  const ConvAxis &d = a.axes.d, &h = a.axes.h, &w = a.axes.w;
  const ConvTaps td = conv_taps(d, od % d.classes), th = conv_taps(h, oh % h.classes);
  int64_t count = 0;
  for (int64_t t = 0; t < td.count; ++t) {
    const int64_t id = td.source + od / d.classes * d.step + t * d.source_step;
    if (id < 0 || id >= d.in) continue;
    for (int64_t u = 0; u < th.count; ++u) {
      const int64_t ih = th.source + oh / h.classes * h.step + u * h.source_step;
      if (ih < 0 || ih >= h.in) continue;
      int64_t kd = td.first + t * d.tap_step, kh = th.first + u * h.tap_step;
      if (d.gradient) kd = d.kernel - 1 - kd;
      if (h.gradient) kh = h.kernel - 1 - kh;
      rows[count++] = {static_cast<const float*>(a.x) + ((image * d.in + id) * h.in + ih) * w.in * a.channels,
                       static_cast<const float*>(a.w) + (kd * h.kernel + kh) * w.kernel * a.channels};
    }
  }
  return count;
}

// Outputs of class cw of a row.
MAAS_INLINE void depthwise_row(const DepthwiseArgs& a, DepthwiseTile t, int64_t cw, int64_t row, float* scratch) {
  const ConvAxis& w = a.axes.w;
  const EpilogueArgs& e = a.epilogue;
  const ConvTaps tw = conv_taps(w, cw);
  const int64_t c = a.channels, count = (w.out - cw + w.classes - 1) / w.classes;
  t.step_x = w.step * c;
  t.step_tap = w.source_step * c;
  t.step_y = w.classes * c;
  // A gradient's packed taps go through the window backwards.
  t.step_w = (w.gradient ? -w.tap_step : w.tap_step) * c;
  const int64_t first_tap = w.gradient ? w.kernel - 1 - tw.first : tw.first;
  const int64_t reach = (tw.count - 1) * w.source_step;
  float* y = t.y + cw * c;
  for (int64_t i = 0; i < count;) {
    const int64_t source = tw.source + i * w.step;
    t.first = 0;
    t.taps = tw.count;
    // The taps inside of an output at an edge, alone; of a tile between the edges all.
    while (t.taps > 0 && source + t.first * w.source_step < 0) ++t.first, --t.taps;
    while (t.taps > 0 && source + (t.first + t.taps - 1) * w.source_step >= w.in) --t.taps;
    int64_t outputs = 1;
    if (t.taps == tw.count && tw.count > 0) {
      const int64_t inside = (w.in - 1 - source - reach) / w.step + 1;
      outputs = count - i < inside ? count - i : inside;
      // The last two tiles share what is left.
      if (outputs > kDepthwiseOutputs)
        outputs = outputs < 2 * kDepthwiseOutputs ? (outputs + 1) / 2 : kDepthwiseOutputs;
    }
    t.x = source * c;
    t.w = first_tap * c;
    t.y = y + i * t.step_y;
    kDepthwise[outputs](t, c);
    if (e.kind == EpilogueArgs::chain)
      apply_chain_rows(e, t.y, t.step_y, row + cw + i * w.classes, outputs, 0, c, scratch, w.classes);
    i += outputs;
  }
}

MAAS_INLINE DepthwiseTile depthwise_tile_of(const DepthwiseArgs& a, const Span* rows) {
  const EpilogueArgs& e = a.epilogue;
  DepthwiseTile t;
  t.rows = rows;
  t.bias = e.kind != EpilogueArgs::chain && e.bias_row ? e.bias_row : nullptr;
  t.relu = e.kind == EpilogueArgs::relu || e.kind == EpilogueArgs::bias_relu;
  t.top = e.top;
  return t;
}

void run_depthwise(const DepthwiseArgs& a, int64_t begin, int64_t end, const Exec& exec) {
  const ConvAxis &d = a.axes.d, &h = a.axes.h, &w = a.axes.w;
  char* scratch = static_cast<char*>(exec.scratch);
  Span* rows = reinterpret_cast<Span*>(scratch + a.epilogue_bytes);
  DepthwiseTile t = depthwise_tile_of(a, rows);
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t oh = unit % h.out, od = unit / h.out % d.out, image = unit / h.out / d.out;
    t.row_count = depthwise_rows(a, image, od, oh, rows);
    for (int64_t cw = 0; cw < w.classes && cw < w.out; ++cw) {
      t.y = static_cast<float*>(a.y) + unit * w.out * a.channels;
      depthwise_row(a, t, cw, unit * w.out, reinterpret_cast<float*>(scratch));
    }
  }
}

}  // namespace
}  // namespace maas
