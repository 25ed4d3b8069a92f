#pragma once
// Convolution and its input gradient on kernels as they are, not packed: what convolutions lower to on CUDA. The same
// sums as in conv_kernels.h. w: (taps, channels of a group, filters), in the window's order, in both directions.
#include "ops/conv/conv_kernels.h"

namespace maas {

// y's element at pixel p, channel f = the sum over taps and channels, then the epilogue. In float32, rounded once.
// One unit = one row of y, all groups.
struct ConvDirectArgs {
  const void* x;
  const void* w;
  void* y;
  ConvAxes axes;
  int64_t n, groups, k, m;  // k channels read, m channels written, per group
  ConvEpilogue epilogue;
};

}  // namespace maas
