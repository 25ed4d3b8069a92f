#pragma once
// Convolution of images so narrow that tiles along a row stay half empty: tiles go over all outputs of an image as one
// list. Their sources lie in several rows of x, so a tile copies them, window by window, and is then a plain matrix
// product; every vector of the panel serves more outputs.
#include "ops/conv/conv_simd.h"

namespace maas {
namespace {

// The windows of outputs [first, first + count) of an image, kernel rows [from, to), into `y`, zeros outside.
MAAS_INLINE void copy_windows(const ConvArgs& a, const float* x, int64_t first, int64_t count, int64_t from, int64_t to,
                              float* y) {
  const ConvAxis &d = a.axes.d, &h = a.axes.h, &w = a.axes.w;
  const int64_t k_all = a.groups * a.k, run = w.kernel * a.k;
  int64_t ow = first % w.out, oh = first / w.out % h.out, od = first / w.out / h.out;
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t r = from; r < to; ++r, y += run) {
      const int64_t id = od * d.step - d.begin + r / h.kernel * d.dilation;
      const int64_t ih = oh * h.step - h.begin + r % h.kernel * h.dilation;
      if (id < 0 || id >= d.in || ih < 0 || ih >= h.in)
        zero_floats(y, run);
      else
        copy_pixels(x + (id * h.in + ih) * w.in * k_all, w.in, k_all, a.k, ow * w.step - w.begin, w.kernel, y);
    }
    if (++ow < w.out) continue;
    ow = 0;
    if (++oh < h.out) continue;
    oh = 0;
    ++od;
  }
}

MAAS_INLINE void conv_flat_strip(const ConvArgs& a, const ConvStrip& s, const float* x, const float* panel, float* y,
                                 char* scratch) {
  const EpilogueArgs& e = a.epilogue;
  const int64_t vectors = (s.columns + kLanes - 1) / kLanes, run = a.axes.w.kernel * a.k;
  const int64_t rows = a.axes.d.kernel * a.axes.h.kernel, rows_at_once = conv_rows_at_once(run);
  const bool in_registers = e.kind != EpilogueArgs::chain;
  Span span;
  ConvTile t;
  t.ldb = vectors * kLanes;
  t.ldc = a.groups * a.m;
  t.columns = s.columns;
  t.spans = &span;
  t.span_count = t.segments = 1;
  t.segment_a = t.segment_b = 0;
  float* const copies = reinterpret_cast<float*>(scratch + a.epilogue_bytes);
  const int64_t tiles = (s.count + a.mr - 1) / a.mr;
  for (int64_t from = 0; from < rows; from += rows_at_once) {
    const int64_t to = rows - from < rows_at_once ? rows : from + rows_at_once;
    const bool last = to == rows;
    t.first = from == 0;
    t.bias = last && in_registers && e.bias_row ? e.bias_row + s.column : nullptr;
    t.relu = last && (e.kind == EpilogueArgs::relu || e.kind == EpilogueArgs::bias_relu);
    t.top = e.top;
    t.length = t.rsa = (to - from) * run;
    span = {copies, panel + from * run * t.ldb};
    for (int64_t tile = 0; tile < tiles; ++tile) {
      const int64_t i = s.count * tile / tiles, outputs = s.count * (tile + 1) / tiles - i;
      copy_windows(a, x, s.i0 + i, outputs, from, to, copies);
      t.c = y + i * t.ldc;
      t.add = last && in_registers && e.add ? e.add + (t.c - static_cast<const float*>(a.y)) : nullptr;
      kMicro<ConvTile>[vectors][outputs](t);
      if (last && !in_registers)
        apply_chain_rows(e, t.c, t.ldc, s.row + i, outputs, s.column, s.columns, reinterpret_cast<float*>(scratch));
    }
  }
}

void run_conv_flat(const ConvArgs& a, int64_t begin, int64_t end, const Exec& exec) {
  const ConvAxis &d = a.axes.d, &h = a.axes.h, &w = a.axes.w;
  const int64_t k_all = a.groups * a.k, m_all = a.groups * a.m, taps = d.kernel * h.kernel * w.kernel;
  const int64_t pixels = d.out * h.out * w.out;
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t p = a.rows_first ? unit % a.panels : unit / a.strips % a.panels;
    const int64_t strip = a.rows_first ? unit / a.panels % a.strips : unit % a.strips;
    const int64_t group = unit / a.strips / a.panels % a.groups, image = unit / a.strips / a.panels / a.groups;
    ConvStrip s = {};
    s.i0 = pixels * strip / a.strips;
    s.count = pixels * (strip + 1) / a.strips - s.i0;
    s.columns = a.m - p * a.nr < a.nr ? a.m - p * a.nr : a.nr;
    s.column = group * a.m + p * a.nr;
    s.row = image * pixels + s.i0;
    const float* x = static_cast<const float*>(a.x) + image * d.in * h.in * w.in * k_all + group * a.k;
    const float* panel = static_cast<const float*>(a.w) + (group * a.packed + p * a.nr) * taps * a.k;
    conv_flat_strip(a, s, x, panel, static_cast<float*>(a.y) + s.row * m_all + s.column,
                    static_cast<char*>(exec.scratch));
  }
}

}  // namespace
}  // namespace maas
