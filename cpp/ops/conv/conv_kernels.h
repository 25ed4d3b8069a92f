#pragma once
// Convolution of (n, d, h, w, c) images, and its gradient for the images: the same sum over taps and channels.
//   forward:  y[n][o][f] = epilogue(sum over taps k, channels c of x[n][o * stride - begin + k * dilation][c] *
//   w[k][c][f]) gradient: dx[n][i][c] = the sum over taps k and filters f of dy[n][o][f] * w[k][c][f], o * stride -
//   begin + k * dilation = i
// (written for one spatial axis; there are three, and fewer have leading axes of size 1). Below, x is what is read and
// y what is written, in both directions.
#include <cstdint>

#include "core/exec.h"
#include "ops/elementwise/epilogue_args.h"

namespace maas {

// One spatial axis. Outputs fall into `classes` (the stride of a gradient, else 1): o = class + i * classes. Outputs of
// a class read the same taps: first, first + tap_step, ... (count of them), from sources source + i * step + t *
// source_step.
struct ConvAxis {
  int64_t in, out, kernel;
  int64_t classes, step, tap_step, source_step;
  int64_t dilation, begin;
  bool gradient;
};
struct ConvAxes {
  ConvAxis d, h, w;
};
struct ConvTaps {
  int64_t first, count, source;
};

inline __attribute__((always_inline)) ConvTaps conv_taps(const ConvAxis& a, int64_t cls) {
  if (!a.gradient) return {0, a.kernel, -a.begin};
  // Packed tap t is the window's tap kernel - 1 - t, so that sources ascend.
  for (int64_t t = 0; t < a.tap_step && t < a.kernel; ++t) {
    const int64_t scaled = cls + a.begin - (a.kernel - 1 - t) * a.dilation;
    if (scaled % a.classes == 0) return {t, (a.kernel - t + a.tap_step - 1) / a.tap_step, scaled / a.classes};
  }
  return {0, 0, 0};
}

// With packed weights. Every output element is one fused multiply-add chain: taps in packed order, then channels. Taps
// whose source row lies outside the image are left out, taps whose source column does multiply zeros; both depend on
// the element alone. Few columns (`dot`) are dot products instead: the channels of the taps that lie side by side in x
// and in w go to 16 lanes, lane by lane one chain over all runs, then the tree over lanes.
// One unit = a strip of at most `strip` outputs of one class in one row, x one panel. Units go by image, group, panel,
// depth, row, class, strip; with `rows_first` the panel comes after the row. n is a run-time size. w: panels as
// conv_pack writes them. y does not overlap x or w. Scratch of a worker: `epilogue_bytes`, then 2 x kernel[d] x
// kernel[h] spans of 16 bytes, then room for the sources of one tile or, below kConvFewChannels channels, of one strip.
// `thin`: one channel into few, two axes, stride 1 along a row. One unit = a row of y. Scratch: `epilogue_bytes`,
// kernel[h] spans, then conv_thin_rows rows of x with zeros around them, conv_thin_width floats each.
constexpr int64_t kConvFewChannels = 8, kConvThinChannels = 8;
// `flat`: the outputs of an image are one list, cut into `strips`; every tap of a window is multiplied, zeros outside.
// One unit = a strip, x one panel, by image, group, panel, strip (`rows_first`: strip, panel). Scratch:
// `epilogue_bytes`, then the windows of a tile, conv_rows_at_once kernel rows of each.
struct ConvArgs {
  const void* x;
  const void* w;
  void* y;
  ConvAxes axes;
  int64_t n, groups, k, m;        // k channels read, m channels written, per group
  int64_t panels, packed;         // per group: number of panels, columns they hold
  int64_t nr, mr, strip, strips;  // strips of a row and class
  bool dot, flat, thin, rows_first;
  int64_t epilogue_bytes;
  EpilogueArgs epilogue;
};

// Rows of x that a window spans, and the width of a row that whole vectors of outputs read.
inline __attribute__((always_inline)) int64_t conv_thin_rows(const ConvArgs& a) {
  return (a.axes.h.kernel - 1) * a.axes.h.dilation + 1;
}
inline __attribute__((always_inline)) int64_t conv_thin_width(const ConvArgs& a) {
  return (a.axes.w.out + 15) / 16 * 16 + 16 + a.axes.w.kernel - 1;
}

// Kernel rows of `taps` panel rows each that stay in L2 while the tiles of a strip pass: 1024 x 64 columns are 256 KB.
inline __attribute__((always_inline)) int64_t conv_rows_at_once(int64_t taps) {
  constexpr int64_t kRows = 1024;
  return taps && taps < kRows ? kRows / taps : 1;
}

// Columns that panels of nr hold in all: the last one only what is left, rounded up to 16.
inline int64_t columns_of_panels(int64_t columns, int64_t nr) {
  return columns / nr * nr + (columns % nr + 15) / 16 * 16;
}

// y: for each group and panel of nr columns (the last what is left, rounded up to 16), for each tap, for each of k
// rows, the panel's columns; with `dot`, for each group, kernel row and column, for each tap of the row, k rows.
// Forward: row c, column f. Gradient: taps backwards, row f, column c. One unit = one tap of a panel (dot: of a group).
struct ConvPackArgs {
  const void* x;  // (taps, ic / groups, oc), dense
  void* y;
  int64_t taps, width;                    // of the kernel, of a kernel row
  int64_t channels, filters, groups, nr;  // channels and filters per group
  bool gradient, dot;
};

// What CUDA kernels, and Winograd's on the CPU, do with a sum before it is stored, in float32 and in this order; null
// is left out:
//   v * scale[channel] + bias[channel] + add[element], relu, 0 where mask[element] is not positive.
// All of the result's dtype; add and mask lie as the result does.
struct ConvEpilogue {
  const void* scale = nullptr;
  const void* bias = nullptr;
  const void* add = nullptr;
  const void* mask = nullptr;
  bool relu = false;
};

// Depthwise: every channel has a filter of its own.
//   forward:  y[n][o][c] = epilogue(sum over taps k of x[n][o * stride - begin + k * dilation][c] * w[k][c])
//   gradient: the same by the rules above. w: (taps, channels), not packed, in the window's order.
// One chain over the taps whose source is inside, in packed order. One unit = one row of y. Scratch of a worker:
// `epilogue_bytes`, then kernel[d] x kernel[h] spans of 16 bytes.
struct DepthwiseArgs {
  const void* x;
  const void* w;
  void* y;
  ConvAxes axes;
  int64_t n, channels;
  int64_t epilogue_bytes;
  EpilogueArgs epilogue;
  ConvEpilogue fused;  // of CUDA rows, in its place
};

// dw[k][c] = sum over images n and outputs o of x[n][o * stride - begin + k * dilation][c] * dy[n][o][c].
// One chain over the outputs of a row whose source is inside, the rows of a part one after the other, then the parts.
// Phase 0: one unit = kDepthwiseColumns channels x one part of the images, into dw or into the part's own copy in
// `partial`. Phase 1: one unit = one tap, summed over the parts.
constexpr int64_t kDepthwiseColumns = 64;
struct DepthwiseKernelGradientArgs {
  const void* x;
  const void* dy;
  void* dw;
  void* partial;  // parts x dw; null where one part holds all images
  ConvAxes axes;  // of the forward pass
  int64_t n, channels, column_units;
  int64_t part_images, parts;
};

// dw[k][c][f] = sum over images n and outputs o of x[n][o * stride - begin + k * dilation][c] * dy[n][o][f].
// dw is a matrix of taps * ic rows and oc columns per group. Its rows form runs that lie side by side in x: the ic
// channels of a tap, or (few channels, no dilation) all taps of a window's row.
// Outputs are summed in chunks in their order: one fused multiply-add chain within a chunk, the chunks of a part one
// after the other, then the parts. Chunks and parts depend on everything but n. Outputs whose source lies outside are
// left out (by row, and by column where a run is one tap) or multiply zeros. Phase 0: one unit = `unit_runs` runs (or,
// of a long run, `block` rows) x kGradientColumns columns x one part of the images, into dw or into the part's own copy
// in `partial`. Phase 1: one unit = one row of dw, summed over the parts. Scratch of a worker: list_rows entries of 24
// bytes, then, for runs of more than one tap, as many padded rows of x.
constexpr int64_t kGradientColumns = 64;
struct ConvKernelGradientArgs {
  const void* x;
  const void* dy;
  void* dw;
  void* partial;                     // parts x dw; null where one part holds all images
  ConvAxes axes;                     // of the forward pass
  int64_t n, groups, ic, oc;         // ic and oc per group
  int64_t chunk_images, chunk_rows;  // whole images, or some rows of one (all depths counted)
  int64_t part_images, parts;
  int64_t run, runs, unit_runs, block;  // rows of a run, number of runs
  int64_t row_units, column_units;      // units along the rows of dw and along its columns, per group
  int64_t list_rows, padded_row;        // rows of a chunk; elements of one with zeros around it
  int64_t nr, mr;                       // tile
};

}  // namespace maas
