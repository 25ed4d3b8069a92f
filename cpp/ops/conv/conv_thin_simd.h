#pragma once
// Convolution of one channel into few: lanes are neighbouring outputs, for a vector of channels would stay half empty.
// A vector of x serves all channels; rows of x are copied once, with the zeros around them.
#include "ops/conv/conv_simd.h"

namespace maas {
namespace {

constexpr int kThinVectors = V::kRegisters == 32 ? 2 : 1;

// Sources and weights of the kernel rows inside; `taps` of each row.
struct ThinRow {
  const Span* rows;
  int64_t row_count, taps;
  const float* bias;
  bool relu;
  float top;
};

// Outputs of P vectors from number `from` on, M channels each, to y; `left` outputs are there.
template <int M, int P>
MAAS_INLINE void thin_outputs(const ThinRow& t, int64_t from, int64_t left, float* y) {
  Block<V, M * P> acc;
  acc.fill(V(0.f));
  for (int64_t r = 0; r < t.row_count; ++r) {
    const float *x = t.rows[r].a + from, *w = t.rows[r].b;
    for (int64_t u = 0; u < t.taps; ++u, ++x, w += kLanes) {
      Block<V, P> pixels;
      pixels.load(x);
      MAAS_UNROLL for (int m = 0; m < M; ++m) {
        const V weight(w[m]);
        MAAS_UNROLL for (int p = 0; p < P; ++p) acc[m * P + p] = fma(pixels[p], weight, acc[m * P + p]);
      }
    }
  }
  MAAS_UNROLL for (int m = 0; m < M; ++m) MAAS_UNROLL for (int p = 0; p < P; ++p) {
    V& v = acc[m * P + p];
    if (t.bias) v = v + V(t.bias[m]);
    if (t.relu) v = min(V(t.top), max(V(0.f), v) + V(0.f));  // keeps NaN; -0 becomes 0
  }
  MAAS_UNROLL for (int p = 0; p < P; ++p) {
    V square[kLanes];
    MAAS_UNROLL for (int i = 0; i < kLanes; ++i) square[i] = i < M ? acc[(i < M ? i : 0) * P + p] : V(0.f);
    transpose(square);
    for (int i = 0; i < kLanes && p * kLanes + i < left; ++i) square[i].store(y + (p * kLanes + i) * M, Tail(M));
  }
}

template <int M>
void thin_row(const ThinRow& t, int64_t outputs, float* y) {
  int64_t i = 0;
  for (; i + (kThinVectors - 1) * kLanes < outputs; i += kThinVectors * kLanes)
    thin_outputs<M, kThinVectors>(t, i, outputs - i, y + i * M);
  if (i < outputs) thin_outputs<M, 1>(t, i, outputs - i, y + i * M);
}

using ThinKernel = void (*)(const ThinRow&, int64_t, float*);
const ThinKernel kThin[kConvThinChannels + 1] = {nullptr,     thin_row<1>, thin_row<2>, thin_row<3>, thin_row<4>,
                                                 thin_row<5>, thin_row<6>, thin_row<7>, thin_row<8>};

void run_conv_thin(const ConvArgs& a, int64_t begin, int64_t end, const Exec& exec) {
  const ConvAxis &h = a.axes.h, &w = a.axes.w;
  const EpilogueArgs& e = a.epilogue;
  char* scratch = static_cast<char*>(exec.scratch);
  Span* rows = reinterpret_cast<Span*>(scratch + a.epilogue_bytes);
  float* ring = reinterpret_cast<float*>(rows + h.kernel);
  const int64_t slots = conv_thin_rows(a), width = conv_thin_width(a);
  ThinRow t;
  t.rows = rows;
  t.taps = w.kernel;
  t.bias = e.kind != EpilogueArgs::chain ? e.bias_row : nullptr;
  t.relu = e.kind == EpilogueArgs::relu || e.kind == EpilogueArgs::bias_relu;
  t.top = e.top;
  int64_t image = -1, made = 0;
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t oh = unit % h.out, source = oh * h.step - h.begin;
    if (unit / h.out != image) {
      image = unit / h.out;
      made = 0;
    }
    const float* x = static_cast<const float*>(a.x) + image * h.in * w.in;
    if (made < source) made = source;
    for (; made < source + slots && made < h.in; ++made)
      copy_pixels(x + made * w.in, w.in, 1, 1, -w.begin, width, ring + made % slots * width);
    t.row_count = 0;
    for (int64_t u = 0; u < h.kernel; ++u) {
      const int64_t ih = source + u * h.dilation;
      if (ih >= 0 && ih < h.in)
        rows[t.row_count++] = {ring + ih % slots * width, static_cast<const float*>(a.w) + u * w.kernel * kLanes};
    }
    float* y = static_cast<float*>(a.y) + unit * w.out * a.m;
    kThin[a.m](t, w.out, y);
    if (e.kind == EpilogueArgs::chain)
      apply_chain_rows(e, y, a.m, unit * w.out, w.out, 0, a.m, reinterpret_cast<float*>(scratch));
  }
}

}  // namespace
}  // namespace maas
