#pragma once
#include "graph/chain_param.h"
#include "graph/op.h"
#include "ops/conv/expand_kernels.h"
#include "ops/conv/window.h"

namespace maas {

// (x, panels, kernel, rows of `expanded`, rows of `epilogue`): gemm, then depthwise, in one step. What the pass
// expand_rows makes of the two. The product has `channels`; both chains add a row at most, then cut below and above.
struct ExpandDepthwise : WindowOptions {
  int64_t channels = 0, nr = 16;
  Chain expanded, epilogue;
  MAAS_PARAMS(strides, padding, pads, channels, nr, expanded, epilogue)
  using Args = ExpandDepthwiseArgs;
  static const KernelTable& kernels();
  Specs infer(const Inputs& in) const;
  Nodes composition(const Nodes& inputs) const;
  bool accepts(const KernelRow& row, const Specs& in, const Specs& out) const;
  void bind(const Bind& b, const KernelRow& row, Args& a) const;
  int64_t units(const Args& a) const { return a.depthwise.n * a.depthwise.axes.h.out; }
  size_t scratch(const Args& a) const;
  double work(const Args& a) const;
  double flops(const Args& a) const;
};

}  // namespace maas
