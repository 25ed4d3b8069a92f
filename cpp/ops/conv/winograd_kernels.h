#pragma once
// 3x3 convolution of (n, h, w, c) images at stride 1 by Winograd's minimal filtering (Lavin and Gray, 2015,
// arXiv:1509.09308): y[n][oh][ow][f] = epilogue(sum over i, j < 3, c of x[n][oh - begin_h + i][ow - begin_w + j][c] *
// g[i][j][c][f]), zeros outside of x. Outputs fall into tiles of `tile` x `tile`, each of which reads a window of
// (tile + 2) x (tile + 2) pixels d:
//   y = At ((G g Gt) * (Bt d B)) A,
// where * multiplies point by point: one product over channels for each of the (tile + 2)^2 points, tile x tile outputs
// for each. The points are 0, +-1/sqrt(2), +-sqrt(2) and infinity for tile = 4; 0, +-1 and infinity for tile = 2.
// Tiles start at output 0 of every image and those at its ends are cut off, so a tile's bits depend on its window
// alone: not on the batch, on blocks or on threads. A NaN, an infinity or a sum beyond float32's range in a window may
// spoil its whole tile, that is: outputs of tiles some output of which (cut off or not) reads the pixel, nothing else.
#include <cstdint>

#include "core/exec.h"
#include "ops/conv/conv_kernels.h"

namespace maas {

constexpr int64_t winograd_points(int64_t tile) { return (tile + 2) * (tile + 2); }

// Columns [0, m) of y in panels of nr columns (the last rounded up to 16). One unit = a block of tiles x a group of
// panels: by block, then group. Blocks and groups are cuts of work: the bits are those of any others. n is a run-time
// size. w: as winograd_pack writes it. y does not overlap x or w. Scratch of a worker: `epilogue_bytes`, then
// winograd_scratch floats.
struct WinogradArgs {
  const void* x;
  const void* w;
  void* y;
  int64_t n, ih, iw, oh, ow, begin_h, begin_w;
  int64_t k, m;  // channels read and written
  int64_t tile, tiles_h, tiles_w;
  int64_t blocks, block_tiles;  // blocks of all images' tiles, and the most tiles that one holds
  int64_t nr, panels, panel_groups;
  int64_t epilogue_bytes;
  EpilogueArgs epilogue;  // where `fused` cannot say it
  ConvEpilogue fused;
};

// From one point to the next, of transformed windows and of products: an odd number of lines, so that the points of a
// tile do not fall into one set of the cache.
constexpr int64_t winograd_stride(int64_t tiles, int64_t width) {
  return ((tiles * ((width + 15) / 16) + 1) / 2 * 2 + 1) * 16;
}
// A row of zeros for pixels outside, transformed windows, products of one panel.
constexpr int64_t winograd_scratch(const WinogradArgs& a) {
  return (a.k + 15) / 16 * 16 +
         winograd_points(a.tile) * (winograd_stride(a.block_tiles, a.k) + winograd_stride(a.block_tiles, a.nr));
}

// y: for each panel, for each point, for each of k channels, the panel's columns of G g Gt, computed in float64 and
// rounded once. x: (3, 3, channels, filters), dense. Gradient: g is x turned by 180 degrees, rows are filters and
// columns channels. One unit = a panel.
struct WinogradPackArgs {
  const void* x;
  void* y;
  int64_t channels, filters, nr, tile;
  bool gradient;
};

}  // namespace maas
