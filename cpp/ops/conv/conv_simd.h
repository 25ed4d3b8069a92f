#pragma once
// Implicit GEMM over 16-lane vectors: a tile of R neighbouring outputs x C vectors of channels lives in registers while
// all taps run. x is read in place: along a row, the sources of a tap lie a fixed distance apart, and where taps lie
// side by side in x and in the panel they are one run of kernel * channels. Only tiles that look over an edge copy
// their sources, with the zeros, into scratch.
#include "ops/conv/pixels_simd.h"
#include "ops/elementwise/epilogue_rows.h"
#include "ops/gemm/micro_simd.h"

namespace maas {
namespace {

// Rows of a panel that stay in L2 while the tiles of a strip pass: 1024 x 64 columns are 256 KB.
constexpr int64_t kConvRows = 1024;

// The sources of a tile in one row of x, and where the panel has that row's taps.
struct Span {
  const float* a;
  const float* b;
};

struct ConvTile : MicroTile {
  const Span* spans;
  int64_t span_count;
  int64_t segments, segment_a, segment_b, length;  // runs in a span, what lies between their starts, rows in one
  template <class F>
  MAAS_MEMBER void each_run(F&& fn) const {
    for (int64_t s = 0; s < span_count; ++s)
      for (int64_t g = 0; g < segments; ++g) fn(spans[s].a + g * segment_a, 1, spans[s].b + g * segment_b, length);
  }
};

// All tiles of one strip: `count` outputs from number `i0` of class `cw` on, in row `oh`.
MAAS_INLINE void conv_strip(const ConvArgs& a, const float* x, const float* panel, float* y, int64_t row,
                            int64_t column, int64_t columns, int64_t oh, int64_t cw, int64_t i0, int64_t count,
                            char* scratch) {
  const ConvAxis &h = a.h, &w = a.w_axis;
  const EpilogueArgs& e = a.epilogue;
  const int64_t k_all = a.groups * a.k, vectors = (columns + kLanes - 1) / kLanes;
  Span* spans = reinterpret_cast<Span*>(scratch + a.epilogue_bytes);
  float* copies = reinterpret_cast<float*>(spans + h.kernel);
  const ConvTaps th = conv_taps(h, oh % h.classes), tw = conv_taps(w, cw);
  // Taps whose row is inside.
  const int64_t source = th.source + oh / h.classes * h.step;
  int64_t t0 = 0, t1 = tw.count ? th.count : 0;
  while (t0 < t1 && source + t0 * h.source_step < 0) ++t0;
  while (t1 > t0 && source + (t1 - 1) * h.source_step >= h.in) --t1;

  ConvTile t;
  t.ldb = vectors * kLanes;
  t.ldc = a.groups * a.m * w.classes;
  t.columns = columns;
  const int64_t tiles = (count + a.mr - 1) / a.mr, tap_rows = tw.count * a.k;
  const int64_t taps_at_once = tap_rows && tap_rows < kConvRows ? kConvRows / tap_rows : 1;
  const bool in_registers = e.kind != EpilogueArgs::chain;
  // With few channels a strip's sources are so small that one copy for all tiles costs less than a look at each.
  const int64_t strip_first = tw.source + i0 * w.step;
  const int64_t strip_pixels = (count - 1) * w.step + (tw.count - 1) * w.source_step + 1;
  const bool inside = strip_first >= 0 && strip_first + strip_pixels <= w.in,
             copied = !inside && a.k < kConvFewChannels;
  for (int64_t tap = t0; tap == t0 || tap < t1; tap += taps_at_once) {
    const int64_t tap_end = t1 - tap < taps_at_once ? t1 : tap + taps_at_once;
    const bool last = tap_end >= t1;
    t.first = tap == t0;
    t.bias = last && in_registers && e.bias_row ? e.bias_row + column : nullptr;
    t.relu = last && (e.kind == EpilogueArgs::relu || e.kind == EpilogueArgs::bias_relu);
    t.spans = spans;
    if (copied) {
      t.span_count = 0;
      for (int64_t u = tap; u < tap_end; ++u, ++t.span_count)
        copy_pixels(x + (source + u * h.source_step) * w.in * k_all, w.in, k_all, a.k, strip_first, strip_pixels,
                    copies + t.span_count * strip_pixels * a.k);
    }
    for (int64_t tile = 0; tile < tiles; ++tile) {
      const int64_t i = i0 + count * tile / tiles, rows = i0 + count * (tile + 1) / tiles - i;
      const int64_t first = tw.source + i * w.step, pixels = (rows - 1) * w.step + (tw.count - 1) * w.source_step + 1;
      const bool in_place = inside || (!copied && first >= 0 && first + pixels <= w.in);
      const int64_t pixel = in_place ? k_all : a.k;
      t.rsa = w.step * pixel;
      t.segments = tw.count;
      t.segment_a = w.source_step * pixel;
      t.segment_b = w.tap_step * a.k * t.ldb;
      t.length = a.k;
      if (t.segment_a == a.k && w.tap_step == 1) {
        t.length = a.k * tw.count;
        t.segments = 1;
      }
      t.span_count = 0;
      for (int64_t u = tap; u < tap_end; ++u) {
        const float* x_row = x + (source + u * h.source_step) * w.in * k_all;
        float* copy = copies + t.span_count * (copied ? strip_pixels : pixels) * a.k;
        if (!in_place && !copied) copy_pixels(x_row, w.in, k_all, a.k, first, pixels, copy);
        Span& span = spans[t.span_count++];
        span.a = in_place ? x_row + first * k_all : copied ? copy + (first - strip_first) * a.k : copy;
        span.b = panel + ((th.first + u * h.tap_step) * w.kernel + tw.first) * a.k * t.ldb;
      }
      t.c = y + i * t.ldc;
      kMicro<ConvTile>[vectors][rows](t);
      if (last && !in_registers)
        apply_chain_rows(e, t.c, t.ldc, row + i, rows, column, columns, reinterpret_cast<float*>(scratch));
    }
  }
}

void run_conv(const ConvArgs& a, int64_t begin, int64_t end, const Exec& exec) {
  const ConvAxis &h = a.h, &w = a.w_axis;
  const int64_t k_all = a.groups * a.k, m_all = a.groups * a.m;
  int64_t rest = begin;
  int64_t strip = rest % a.strips;
  int64_t cw = (rest /= a.strips) % w.classes;
  int64_t oh = (rest /= w.classes) % h.out;
  int64_t p = (rest /= h.out) % a.panels;
  int64_t group = (rest /= a.panels) % a.groups;
  int64_t image = rest / a.groups;
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t of_class = (w.out - cw + w.classes - 1) / w.classes, i0 = strip * a.strip;
    const int64_t count = of_class - i0 < a.strip ? of_class - i0 : a.strip;
    if (count > 0) {
      const int64_t columns = a.m - p * a.nr < a.nr ? a.m - p * a.nr : a.nr, column = group * a.m + p * a.nr;
      const int64_t row = (image * h.out + oh) * w.out + cw;
      const float* x = static_cast<const float*>(a.x) + image * h.in * w.in * k_all + group * a.k;
      const float* panel = static_cast<const float*>(a.w) + (group * a.packed + p * a.nr) * h.kernel * w.kernel * a.k;
      float* y = static_cast<float*>(a.y) + row * m_all + column;
      conv_strip(a, x, panel, y, row, column, columns, oh, cw, i0, count, static_cast<char*>(exec.scratch));
    }
    // The next unit without divisions: they would weigh on strips of a few hundred nanoseconds.
    if (++strip < a.strips) continue;
    strip = 0;
    if (++cw < w.classes) continue;
    cw = 0;
    if (++oh < h.out) continue;
    oh = 0;
    if (++p < a.panels) continue;
    p = 0;
    if (++group < a.groups) continue;
    group = 0;
    ++image;
  }
}

}  // namespace
}  // namespace maas
