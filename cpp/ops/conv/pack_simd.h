#pragma once
// Packs kernels, one tap of a panel a unit.
#include "ops/conv/pack_dot.h"
#include "ops/gemm/pack_simd.h"

namespace maas {
namespace {

void run_conv_pack(const ConvPackArgs& a, int64_t begin, int64_t end) {
  if (a.dot) return pack_columns<float>(a, begin, end);
  const int64_t rows = a.gradient ? a.filters : a.channels, all = a.gradient ? a.channels : a.filters;
  const int64_t panels = (all + a.nr - 1) / a.nr,
                packed = all / a.nr * a.nr + (all % a.nr + kLanes - 1) / kLanes * kLanes;
  const int64_t ld = a.groups * a.filters;
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t tap = unit % a.taps, panel = unit / a.taps % panels, group = unit / a.taps / panels;
    const int64_t first = panel * a.nr, columns = all - first < a.nr ? all - first : a.nr;
    const int64_t width = (columns + kLanes - 1) / kLanes * kLanes;
    float* y = static_cast<float*>(a.y) + (group * packed + first) * a.taps * rows + tap * rows * width;
    const float* x =
        static_cast<const float*>(a.x) + group * a.filters + (a.gradient ? a.taps - 1 - tap : tap) * a.channels * ld;
    if (a.gradient)
      pack_panel(x + first * ld, 1, ld, rows, columns, width, y);
    else
      pack_panel(x + first, ld, 1, rows, columns, width, y);
  }
}

}  // namespace
}  // namespace maas
