#pragma once
// Implicit GEMM over 16-lane vectors: a tile of R neighbouring outputs x C vectors of channels lives in registers while
// all taps run. x is read in place: along a row, the sources of a tap lie a fixed distance apart, and where taps lie
// side by side in x and in the panel they are one run of kernel * channels. Only tiles that look over an edge copy
// their sources, with the zeros, into scratch.
#include "ops/conv/dot_simd.h"
#include "ops/conv/pixels_simd.h"
#include "ops/elementwise/epilogue_rows.h"
#include "ops/gemm/micro_simd.h"

namespace maas {
namespace {

// A strip's place: `count` outputs from number `i0` of class `cw` on, in row (od, oh).
struct ConvStrip {
  int64_t od, oh, cw, i0, count;
  int64_t row, column, columns;  // of the result: that of output 0 of the class; the panel's
};

// The kernel rows whose source row is inside, in packed order: that row of x, and its taps of the class in the panel.
MAAS_INLINE int64_t kernel_rows(const ConvArgs& a, const ConvStrip& s, ConvTaps tw, const float* x, const float* panel,
                                int64_t ldb, Span* rows) {
  const ConvAxis &d = a.axes.d, &h = a.axes.h, &w = a.axes.w;
  const ConvTaps td = conv_taps(d, s.od % d.classes), th = conv_taps(h, s.oh % h.classes);
  // A kernel row has a tap's k panel rows after each other, or (dot) each column's taps.
  const int64_t row_a = w.in * a.groups * a.k, tap_b = a.dot ? a.k : a.k * ldb;
  const int64_t row_b = w.kernel * a.k * (a.dot ? s.columns : ldb);
  int64_t count = 0;
  for (int64_t t = 0; t < td.count && tw.count; ++t) {
    const int64_t id = td.source + s.od / d.classes * d.step + t * d.source_step;
    if (id < 0 || id >= d.in) continue;
    for (int64_t u = 0; u < th.count; ++u) {
      const int64_t ih = th.source + s.oh / h.classes * h.step + u * h.source_step;
      if (ih < 0 || ih >= h.in) continue;
      const int64_t tap_row = (td.first + t * d.tap_step) * h.kernel + th.first + u * h.tap_step;
      rows[count++] = {x + (id * h.in + ih) * row_a, panel + tap_row * row_b + tw.first * tap_b};
    }
  }
  return count;
}

MAAS_INLINE void conv_strip(const ConvArgs& a, const ConvStrip& s, const float* x, const float* panel, float* y,
                            char* scratch) {
  const ConvAxis& w = a.axes.w;
  const EpilogueArgs& e = a.epilogue;
  const int64_t k_all = a.groups * a.k, vectors = (s.columns + kLanes - 1) / kLanes;
  const int64_t all_rows = a.axes.d.kernel * a.axes.h.kernel;
  Span* rows = reinterpret_cast<Span*>(scratch + a.epilogue_bytes);
  Span* spans = rows + all_rows;
  float* copies = reinterpret_cast<float*>(spans + all_rows);
  const ConvTaps tw = conv_taps(w, s.cw);

  ConvTile t;
  t.ldb = a.dot ? w.kernel * a.k : vectors * kLanes;
  t.ldc = a.groups * a.m * w.classes;
  t.columns = s.columns;
  t.spans = spans;
  const int64_t row_count = kernel_rows(a, s, tw, x, panel, vectors * kLanes, rows);
  const int64_t tiles = (s.count + a.mr - 1) / a.mr, row_taps = tw.count * a.k;
  const int64_t rows_at_once = a.dot ? row_count + 1 : conv_rows_at_once(row_taps);
  const bool in_registers = e.kind != EpilogueArgs::chain;
  // With few channels a strip's sources are so small that one copy for all tiles costs less than a look at each.
  const int64_t strip_first = tw.source + s.i0 * w.step;
  const int64_t strip_pixels = (s.count - 1) * w.step + (tw.count - 1) * w.source_step + 1;
  const bool inside = strip_first >= 0 && strip_first + strip_pixels <= w.in,
             copied = !inside && a.k < kConvFewChannels;
  for (int64_t from = 0; from == 0 || from < row_count; from += rows_at_once) {
    const int64_t to = row_count - from < rows_at_once ? row_count : from + rows_at_once;
    const bool last = to >= row_count;
    t.first = from == 0;
    t.bias = last && in_registers && e.bias_row ? e.bias_row + s.column : nullptr;
    t.relu = last && (e.kind == EpilogueArgs::relu || e.kind == EpilogueArgs::bias_relu);
    t.top = e.top;
    if (copied)
      for (int64_t r = from; r < to; ++r)
        copy_pixels(rows[r].a, w.in, k_all, a.k, strip_first, strip_pixels, copies + (r - from) * strip_pixels * a.k);
    for (int64_t tile = 0; tile < tiles; ++tile) {
      const int64_t i = s.i0 + s.count * tile / tiles, outputs = s.i0 + s.count * (tile + 1) / tiles - i;
      const int64_t first = tw.source + i * w.step;
      const int64_t pixels = (outputs - 1) * w.step + (tw.count - 1) * w.source_step + 1;
      const bool in_place = inside || (!copied && first >= 0 && first + pixels <= w.in);
      const int64_t pixel = in_place ? k_all : a.k;
      t.rsa = w.step * pixel;
      t.segments = tw.count;
      t.segment_a = w.source_step * pixel;
      t.segment_b = w.tap_step * a.k * (a.dot ? 1 : t.ldb);
      t.length = a.k;
      if (t.segment_a == a.k && w.tap_step == 1) {
        t.length = a.k * tw.count;
        t.segments = 1;
      }
      t.span_count = 0;
      for (int64_t r = from; r < to; ++r) {
        float* copy = copies + t.span_count * (copied ? strip_pixels : pixels) * a.k;
        if (!in_place && !copied) copy_pixels(rows[r].a, w.in, k_all, a.k, first, pixels, copy);
        const float* source = in_place ? rows[r].a + first * k_all : copied ? copy + (first - strip_first) * a.k : copy;
        spans[t.span_count++] = {source, rows[r].b};
      }
      t.c = y + i * t.ldc;
      t.add = last && in_registers && e.add ? e.add + (t.c - static_cast<const float*>(a.y)) : nullptr;
      if (a.dot)
        dot_tile(t, outputs);
      else
        kMicro<ConvTile>[vectors][outputs](t);
      if (last && !in_registers)
        apply_chain_rows(e, t.c, t.ldc, s.row + i * w.classes, outputs, s.column, s.columns,
                         reinterpret_cast<float*>(scratch), w.classes);
    }
  }
}

void run_conv(const ConvArgs& a, int64_t begin, int64_t end, const Exec& exec) {
  const ConvAxis &d = a.axes.d, &h = a.axes.h, &w = a.axes.w;
  const int64_t k_all = a.groups * a.k, m_all = a.groups * a.m, taps = d.kernel * h.kernel * w.kernel;
  ConvStrip s;
  int64_t rest = begin;
  int64_t strip = rest % a.strips;
  s.cw = (rest /= a.strips) % w.classes;
  rest /= w.classes;
  int64_t p = 0;
  const auto take_panel = [&] {
    p = rest % a.panels;
    rest /= a.panels;
  };
  if (a.rows_first) take_panel();
  s.oh = rest % h.out;
  s.od = (rest /= h.out) % d.out;
  rest /= d.out;
  if (!a.rows_first) take_panel();
  int64_t group = rest % a.groups;
  int64_t image = rest / a.groups;
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t of_class = (w.out - s.cw + w.classes - 1) / w.classes;
    s.i0 = strip * a.strip;
    s.count = of_class - s.i0 < a.strip ? of_class - s.i0 : a.strip;
    if (s.count > 0) {
      s.columns = a.m - p * a.nr < a.nr ? a.m - p * a.nr : a.nr;
      s.column = group * a.m + p * a.nr;
      s.row = ((image * d.out + s.od) * h.out + s.oh) * w.out + s.cw;
      const float* x = static_cast<const float*>(a.x) + image * d.in * h.in * w.in * k_all + group * a.k;
      const float* panel = static_cast<const float*>(a.w) + (group * a.packed + p * a.nr) * taps * a.k;
      float* y = static_cast<float*>(a.y) + s.row * m_all + s.column;
      conv_strip(a, s, x, panel, y, static_cast<char*>(exec.scratch));
    }
    // The next unit without divisions: they would weigh on strips of a few hundred nanoseconds.
    if (++strip < a.strips) continue;
    strip = 0;
    if (++s.cw < w.classes) continue;
    s.cw = 0;
    if (a.rows_first) {
      if (++p < a.panels) continue;
      p = 0;
    }
    if (++s.oh < h.out) continue;
    s.oh = 0;
    if (++s.od < d.out) continue;
    s.od = 0;
    if (!a.rows_first) {
      if (++p < a.panels) continue;
      p = 0;
    }
    if (++group < a.groups) continue;
    group = 0;
    ++image;
  }
}

}  // namespace
}  // namespace maas
