#pragma once
// The wide image lives as a ring of rows: tiles of the product write into it, tiles of the depthwise sum read from it.
#include "ops/conv/depthwise_simd.h"
#include "ops/conv/expand_kernels.h"
#include "ops/gemm/gemm_kernels.h"
#include "ops/gemm/micro_simd.h"

namespace maas {
namespace {

struct ExpandTile : MicroTile {
  const float* a;
  const float* b;
  int64_t k;
  static constexpr int kAhead = V::kRegisters >= 32 ? 4 : 0;
  template <class F>
  MAAS_MEMBER void each_run(F&& fn) const {
    fn(a, int64_t{1}, b, k);
  }
};

// Pixels of x into as many of e.
MAAS_INLINE void expand_pixels(const ExpandDepthwiseArgs& g, const float* x, int64_t pixels, float* e) {
  const EpilogueArgs& p = g.expanded;
  const int64_t channels = g.depthwise.channels;
  ExpandTile t;
  t.rsa = t.k = g.k;
  t.ldc = channels;
  t.first = true;
  t.relu = p.kind == EpilogueArgs::relu || p.kind == EpilogueArgs::bias_relu;
  t.top = p.top;
  for (int64_t j = 0; j < channels; j += g.nr) {
    t.columns = channels - j < g.nr ? channels - j : g.nr;
    const int64_t vectors = (t.columns + kLanes - 1) / kLanes, mr = tile_rows(t.columns, g.nr);
    const int64_t tiles = (pixels + mr - 1) / mr;
    t.ldb = vectors * kLanes;
    t.b = static_cast<const float*>(g.panels) + j * g.k;
    t.bias = p.bias_row ? p.bias_row + j : nullptr;
    for (int64_t tile = 0; tile < tiles; ++tile) {
      const int64_t i = pixels * tile / tiles, rows = pixels * (tile + 1) / tiles - i;
      t.a = x + i * g.k;
      t.c = e + i * channels + j;
      kMicro<ExpandTile>[vectors][rows](t);
    }
  }
}

void run_expand_depthwise(const ExpandDepthwiseArgs& g, int64_t begin, int64_t end, const Exec& exec) {
  const DepthwiseArgs& a = g.depthwise;
  const ConvAxis &h = a.axes.h, &w = a.axes.w;
  char* scratch = static_cast<char*>(exec.scratch);
  Span* rows = reinterpret_cast<Span*>(scratch + a.epilogue_bytes);
  float* ring = reinterpret_cast<float*>(scratch + g.rows_at);
  const int64_t row = w.in * a.channels;
  DepthwiseTile t = depthwise_tile_of(a, rows);
  int64_t image = -1, first = 0, last = 0, made = 0;
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t oh = unit % h.out, source = oh * h.step - h.begin;
    const int64_t low = source < 0 ? 0 : source, high = source + h.kernel < h.in ? source + h.kernel : h.in;
    if (unit / h.out != image) {
      image = unit / h.out;
      first = made = low;
      // No more rows than the last unit of the range reads.
      const int64_t units = end - image * h.out < h.out ? end - image * h.out : h.out;
      last = (units - 1) * h.step - h.begin + h.kernel;
      if (last > h.in) last = h.in;
    }
    while (made < high) {
      const int64_t count = last - made < g.at_once ? last - made : g.at_once;
      expand_pixels(g, static_cast<const float*>(g.x) + (image * h.in + made) * w.in * g.k, count * w.in,
                    ring + (made - first) / g.at_once % g.blocks * g.at_once * row);
      made += count;
    }
    t.row_count = 0;
    for (int64_t ih = low; ih < high; ++ih) {
      const int64_t slot = (ih - first) / g.at_once % g.blocks * g.at_once + (ih - first) % g.at_once;
      rows[t.row_count++] = {ring + slot * row, static_cast<const float*>(a.w) + (ih - source) * w.kernel * a.channels};
    }
    t.y = static_cast<float*>(a.y) + unit * w.out * a.channels;
    depthwise_row(a, t, 0, unit * w.out, reinterpret_cast<float*>(scratch));
  }
}

}  // namespace
}  // namespace maas
