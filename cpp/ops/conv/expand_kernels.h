#pragma once
// A product over channels and the depthwise convolution of its result, two axes, row by row, so that the wide image e
// between them stays in L2:
//   e[n][h][w][c] = expanded(sum over k of x[n][h][w][k] * a[k][c]), y = the forward pass of DepthwiseArgs on e.
// Sums are those of gemm and depthwise, bit by bit. One unit = one row of y. Rows of e that neighbouring ranges of
// units both read are made twice. panels: as gemm_pack writes them. n is a run-time size. Scratch of a worker:
// `rows_at` bytes as depthwise has them, then `blocks` x `at_once` rows of e.
#include "ops/conv/conv_kernels.h"

namespace maas {

struct ExpandDepthwiseArgs {
  const void* x;
  const void* panels;
  int64_t k, nr;
  EpilogueArgs expanded;    // in registers, without a sum
  DepthwiseArgs depthwise;  // its x is not read; its epilogue is in registers
  int64_t at_once, blocks;  // rows of e that are made at once; such blocks as hold all rows of a window
  int64_t rows_at;
};

}  // namespace maas
