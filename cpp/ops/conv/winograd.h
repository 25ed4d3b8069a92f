#pragma once
#include "graph/chain_param.h"
#include "graph/op.h"
#include "ops/conv/winograd_kernels.h"

namespace maas {

// A 3x3 kernel transformed for tiles of `tile` x `tile` outputs, in panels; for the forward pass or the input gradient.
struct ConvWinogradPack {
  int64_t tile = 4, nr = 16;
  bool gradient = false;
  MAAS_PARAMS(tile, nr, gradient)
  using Args = WinogradPackArgs;
  static const KernelTable& kernels();
  Specs infer(const Inputs& in) const;
  void bind(const Bind& b, Args& a) const;
  int64_t units(const Args& a) const;
};

// (x, transformed kernel): what convolutions and their input gradients lower to where it pays. The output has
// `channels` and spatial sizes `size`; its element (0, 0) reads x from (-begin[0], -begin[1]) on.
struct ConvWinograd {
  int64_t tile = 4, nr = 16, channels = 0;
  std::vector<int64_t> begin;
  Shape size;
  bool in_registers = true;  // the kernels know the epilogue
  Chain epilogue;
  MAAS_PARAMS(tile, nr, channels, begin, size, in_registers, epilogue)
  using Args = WinogradArgs;
  static const KernelTable& kernels();
  Specs infer(const Inputs& in) const;
  OpPtr with_epilogue(const Chain& chain, const Specs& in, const Specs& extra, const Spec& result) const;
  bool accepts(const KernelRow& row, const Specs& in, const Specs& out) const;
  void bind(const Bind& b, const KernelRow& row, Args& a) const;
  int64_t units(const Args& a) const { return a.blocks * a.panel_groups; }
  size_t scratch(const Args& a) const;
  double work(const Args& a) const;
  double flops(const Args& a) const;
};

// The side of the tiles that cost least for k channels read, m written and outputs of this size: 4, 2, or 0 where the
// direct way does. Never looks at the batch or the instruction set, so that neither changes a bit.
int64_t winograd_tile(int64_t k, int64_t m, const Shape& size);

}  // namespace maas
