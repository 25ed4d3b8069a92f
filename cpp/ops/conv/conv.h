#pragma once
#include "graph/chain_param.h"
#include "graph/op.h"
#include "ops/conv/direct_kernels.h"
#include "ops/conv/window.h"

namespace maas {

// y = conv(x, kernel) over 1 to 3 spatial axes. x: (n, *sizes, ic), kernel: (*kernel sizes, ic / groups, oc),
// y: (n, *output sizes, oc). Empty strides and dilation are ones; `size` names the output sizes where a caller knows
// them by other expressions than infer finds. What users call.
struct Conv : GroupedWindow {
  Shape size;
  MAAS_PARAMS(strides, padding, pads, dilation, groups, size)
  Specs infer(const Inputs& in) const;
  Nodes gradient(const Node& y, const Nodes& dys, const Needs& needs) const;
  Nodes lower(const Node& y) const;
};

// dx of a convolution: (dy, kernel) -> the gradient for an input of spatial sizes `size`. Also what a transposed
// convolution computes.
struct ConvInputGradient : GroupedWindow {
  Shape size;
  bool is_gradient = false;  // else a transposed convolution of a forward pass
  MAAS_PARAMS(strides, padding, pads, dilation, groups, size, is_gradient)
  Specs infer(const Inputs& in) const;
  Nodes gradient(const Node& y, const Nodes& dys, const Needs& needs) const;
  Nodes lower(const Node& y) const;
};

// Sizes of a kernel's window.
std::vector<int64_t> spatial_of(const Shape& kernel);

// Multiplications and additions for one pair of channels. A gradient's taps are spread over what it writes.
inline double conv_flops(const ConvAxes& axes, int64_t n) {
  double sum = 2.0 * static_cast<double>(n);
  for (const ConvAxis* a : {&axes.d, &axes.h, &axes.w})
    sum *= static_cast<double>(a->gradient ? a->in : a->out) * static_cast<double>(a->kernel);
  return sum;
}

// dw of a convolution: (x, dy) -> the gradient for a kernel of spatial sizes `kernel_size`.
struct ConvKernelGradient : GroupedWindow {
  std::vector<int64_t> kernel_size;
  MAAS_PARAMS(strides, padding, pads, dilation, groups, kernel_size)
  using Args = ConvKernelGradientArgs;
  static const KernelTable& kernels();
  Specs infer(const Inputs& in) const;
  Nodes gradient(const Node& y, const Nodes& dys, const Needs& needs) const;
  Nodes lower(const Node& y) const;
  bool accepts(const KernelRow& row, const Specs& in, const Specs& out) const;
  void bind(const Bind& b, const KernelRow& row, Args& a) const;
  int64_t phases(const Args& a) const { return a.partial ? 2 : 1; }
  int64_t units(const Args& a, int64_t phase) const;
  size_t scratch(const Args& a) const;
  double work(const Args& a) const;
  double flops(const Args& a) const { return conv_flops(a.axes, a.n) * static_cast<double>(a.ic * a.oc * a.groups); }
  std::vector<Dim> workspaces(const Specs& in, const Specs& out) const;
};

// A kernel in panels (or, `dot`, in columns), for the forward pass or for the input gradient.
struct ConvPack {
  int64_t groups = 1, nr = 16;
  bool gradient = false, dot = false;
  MAAS_PARAMS(groups, nr, gradient, dot)
  using Args = ConvPackArgs;
  static const KernelTable& kernels();
  Specs infer(const Inputs& in) const;
  void bind(const Bind& b, Args& a) const;
  int64_t units(const Args& a) const;
};

// (x, panels): what conv and conv_input_gradient lower to. `channels` are written, `size` is the output of a gradient.
struct ConvPacked : GroupedWindow {
  std::vector<int64_t> kernel_size;
  Chain epilogue;
  int64_t channels = 0, nr = 16;
  Shape size;
  bool input_gradient = false, dot = false;
  MAAS_PARAMS(kernel_size, strides, padding, pads, dilation, groups, channels, nr, size, input_gradient, dot, epilogue)
  using Args = ConvArgs;
  static const KernelTable& kernels();
  Specs infer(const Inputs& in) const;
  OpPtr with_epilogue(const Chain& chain, const Specs& in, const Specs& extra, const Spec& result) const;
  bool accepts(const KernelRow& row, const Specs& in, const Specs& out) const;
  void bind(const Bind& b, const KernelRow& row, Args& a) const;
  int64_t units(const Args& a) const;
  size_t scratch(const Args& a) const;
  double work(const Args& a) const;
  double flops(const Args& a) const { return conv_flops(a.axes, a.n) * static_cast<double>(a.k * a.m * a.groups); }
};

// (x, kernel): what both lower to on CUDA. `size` is the output of a gradient.
struct ConvDirect : GroupedWindow {
  Chain epilogue;
  Shape size;
  bool input_gradient = false;
  MAAS_PARAMS(strides, padding, pads, dilation, groups, size, input_gradient, epilogue)
  using Args = ConvDirectArgs;
  static const KernelTable& kernels();
  Specs infer(const Inputs& in) const;
  OpPtr with_epilogue(const Chain& chain, const Specs& in, const Specs& extra, const Spec& result) const;
  bool accepts(const KernelRow& row, const Specs& in, const Specs& out) const;
  void bind(const Bind& b, ConvDirectArgs& a) const;
  int64_t units(const Args& a) const { return a.n * a.axes.d.out * a.axes.h.out; }
  double flops(const Args& a) const { return conv_flops(a.axes, a.n) * static_cast<double>(a.k * a.m * a.groups); }
};

// (x, kernel of one channel per group): what conv and conv_input_gradient lower to where groups == channels.
struct Depthwise : WindowOptions {
  Chain epilogue;
  Shape size;
  bool input_gradient = false;
  MAAS_PARAMS(strides, padding, pads, dilation, size, input_gradient, epilogue)
  using Args = DepthwiseArgs;
  static const KernelTable& kernels();
  Specs infer(const Inputs& in) const;
  OpPtr with_epilogue(const Chain& chain, const Specs& in, const Specs& extra, const Spec& result) const;
  void bind(const Bind& b, const KernelRow& row, Args& a) const;
  int64_t units(const Args& a) const { return a.n * a.axes.d.out * a.axes.h.out; }
  size_t scratch(const Args& a) const;
  double work(const Args& a) const;
  double flops(const Args& a) const { return conv_flops(a.axes, a.n) * static_cast<double>(a.channels); }
};

// (x, dy) -> dw of a depthwise convolution.
struct DepthwiseKernelGradient : WindowOptions {
  std::vector<int64_t> kernel_size;
  MAAS_PARAMS(strides, padding, pads, dilation, kernel_size)
  using Args = DepthwiseKernelGradientArgs;
  static const KernelTable& kernels();
  Specs infer(const Inputs& in) const;
  void bind(const Bind& b, const KernelRow& row, Args& a) const;
  int64_t phases(const Args& a) const { return a.partial ? 2 : 1; }
  int64_t units(const Args& a, int64_t phase) const;
  double work(const Args& a) const;
  double flops(const Args& a) const { return conv_flops(a.axes, a.n) * static_cast<double>(a.channels); }
  std::vector<Dim> workspaces(const Specs& in, const Specs& out) const;
};

// Whether a CUDA row takes so many channels a group: those that copy 16 bytes at a time want multiples.
bool conv_row_takes(const KernelRow& row, DType dtype, const Dim& read, const Dim& written, int64_t groups);

// The three axes of a kernel call; x is what is read, y what is written (of a kernel gradient: dy).
ConvAxes conv_axes(const Window& window, bool input_gradient, const BoundValue& x, const BoundValue& y);
// Images that one part of a kernel gradient's sum holds, for so many outputs an image.
int64_t images_of_part(int64_t pixels);

}  // namespace maas
