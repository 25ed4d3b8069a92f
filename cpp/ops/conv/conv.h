#pragma once
#include "graph/chain_param.h"
#include "graph/op.h"
#include "ops/conv/conv_kernels.h"
#include "ops/conv/window.h"

namespace maas {

// y = conv(x, kernel). x: (n, h, w, ic), kernel: (kh, kw, ic / groups, oc), y: (n, oh, ow, oc). What users call.
struct Conv {
  std::vector<int64_t> strides{1, 1}, dilation{1, 1}, pads;
  std::string padding = "valid";
  int64_t groups = 1;
  MAAS_PARAMS(strides, padding, pads, dilation, groups)
  Specs infer(const Inputs& in) const;
  Nodes gradient(const Node& y, const Nodes& dys, const Needs& needs) const;
  Nodes lower(const Node& y) const;
};

// dx of a convolution: (dy, kernel) -> the gradient for an input of spatial sizes `size`. Also what a transposed
// convolution computes.
struct ConvInputGradient {
  std::vector<int64_t> strides{1, 1}, dilation{1, 1}, pads;
  std::string padding = "valid";
  int64_t groups = 1;
  Shape size;
  MAAS_PARAMS(strides, padding, pads, dilation, groups, size)
  Specs infer(const Inputs& in) const;
  Nodes gradient(const Node& y, const Nodes& dys, const Needs& needs) const;
  Nodes lower(const Node& y) const;
};

// dw of a convolution: (x, dy) -> the gradient for a kernel of spatial sizes `kernel_size`.
struct ConvKernelGradient {
  std::vector<int64_t> strides{1, 1}, dilation{1, 1}, pads;
  std::string padding = "valid";
  int64_t groups = 1;
  std::vector<int64_t> kernel_size{1, 1};
  MAAS_PARAMS(strides, padding, pads, dilation, groups, kernel_size)
  using Args = ConvKernelGradientArgs;
  static const KernelTable& kernels();
  Specs infer(const Inputs& in) const;
  Nodes gradient(const Node& y, const Nodes& dys, const Needs& needs) const;
  void bind(const Bind& b, const KernelRow& row, Args& a) const;
  int64_t phases(const Args& a) const { return a.partial ? 2 : 1; }
  int64_t units(const Args& a, int64_t phase) const;
  size_t scratch(const Args& a) const;
  double work(const Args& a) const;
  std::vector<Dim> workspaces(const Specs& in, const Specs& out) const;
};

// A kernel in panels, for the forward pass or for the input gradient.
struct ConvPack {
  int64_t groups = 1, nr = 16;
  bool gradient = false;
  MAAS_PARAMS(groups, nr, gradient)
  using Args = ConvPackArgs;
  static const KernelTable& kernels();
  Specs infer(const Inputs& in) const;
  void bind(const Bind& b, Args& a) const;
  int64_t units(const Args& a) const;
};

// (x, panels): what conv and conv_input_gradient lower to. `channels` are written, `size` is the output of a gradient.
struct ConvPacked {
  std::vector<int64_t> kernel_size{1, 1}, strides{1, 1}, dilation{1, 1}, pads;
  std::string padding = "valid";
  Chain epilogue;
  int64_t groups = 1, channels = 0, nr = 16;
  Shape size;
  bool input_gradient = false;
  MAAS_PARAMS(kernel_size, strides, padding, pads, dilation, groups, channels, nr, size, input_gradient, epilogue)
  using Args = ConvArgs;
  static const KernelTable& kernels();
  Specs infer(const Inputs& in) const;
  OpPtr with_epilogue(const Chain& chain, const Specs& in, const Specs& extra, const Spec& result) const;
  bool accepts(const KernelRow& row, const Specs& in, const Specs& out) const;
  void bind(const Bind& b, const KernelRow& row, Args& a) const;
  int64_t units(const Args& a) const;
  size_t scratch(const Args& a) const;
  double work(const Args& a) const;
};

}  // namespace maas
