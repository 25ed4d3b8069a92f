// Depthwise convolution and its kernel gradient: how arguments are filled. The input gradient is the same kernel.
#include <algorithm>

#include "core/device.h"
#include "graph/op_model.h"
#include "ops/conv/conv.h"
#include "ops/conv/conv_epilogue.h"
#include "ops/elementwise/elementwise.h"
#include "ops/elementwise/epilogue.h"

#define MAAS_KERNELS "ops/conv/depthwise_kernels.inc"
#define MAAS_KERNEL_ARGS DepthwiseArgs
#define MAAS_KERNEL_TABLE depthwise_kernels
#include "core/kernel_table.h"

#define MAAS_KERNELS "ops/conv/depthwise_kernel_gradient_kernels.inc"
#define MAAS_KERNEL_ARGS DepthwiseKernelGradientArgs
#define MAAS_KERNEL_TABLE depthwise_kernel_gradient_kernels
#include "core/kernel_table.h"

namespace maas {

MAAS_DEFINE_OP(depthwise, Depthwise)
MAAS_DEFINE_OP(depthwise_kernel_gradient, DepthwiseKernelGradient)
const KernelTable& Depthwise::kernels() { return depthwise_kernels; }
const KernelTable& DepthwiseKernelGradient::kernels() { return depthwise_kernel_gradient_kernels; }

namespace {

std::vector<int64_t> sizes_of(const int64_t* kernel, int rank) { return {kernel, kernel + rank - 2}; }

double multiplications(const ConvAxes& a, int64_t n, int64_t channels) {
  const double taps = static_cast<double>(a.d.kernel * a.h.kernel * a.w.kernel) /
                      static_cast<double>(a.d.classes * a.h.classes * a.w.classes);
  return static_cast<double>(n * a.d.out * a.h.out * a.w.out * channels) * (taps + 2);
}

}  // namespace

// ---- images

Specs Depthwise::infer(const Inputs& in) const {
  check(in.size() >= 2, "depthwise: at least two operands are needed, received ", in.size());
  check_chain(epilogue, in.size() - 1, true);
  const Shape &x = in[0].shape, &k = in[1].shape;
  std::vector<int64_t> kernel;
  for (size_t i = 0; i + 2 < k.size(); ++i) kernel.push_back(k[i].constant());
  const Window w = over(kernel);
  return {Spec{in[0].dtype, image_shape(x[0], size.empty() ? w.output("conv", x) : size, x.back()), {}}};
}

OpPtr Depthwise::with_epilogue(const Chain& chain, const Specs&, const Specs& extra, const Spec& result) const {
  const bool fits = target().kind == DeviceKind::cuda ? conv_epilogue_fits(chain, extra, result)
                                                      : epilogue_fits(chain, extra, result);
  if (!epilogue.empty() || !fits) return nullptr;
  Depthwise fused = *this;
  fused.epilogue = chain;
  return std::make_shared<OpModel<Depthwise>>(std::move(fused));
}

void Depthwise::bind(const Bind& b, const KernelRow& row, DepthwiseArgs& a) const {
  const BoundValue &x = b.in(0), &k = b.in(1), &y = b.out();
  a.x = b.read(0);
  a.w = b.read(1);
  a.y = b.write(0);
  a.axes = conv_axes({sizes_of(k.shape, k.rank), strides, dilation, padding, pads}, input_gradient, x, y);
  a.n = x.shape[0];
  a.channels = x.shape[x.rank - 1];
  if (row.isa == Isa::cuda) return bind_conv_epilogue(epilogue, b, 2, a.fused);
  if (!epilogue.empty()) bind_epilogue(epilogue, b, 2, row.isa, a.epilogue);
  a.epilogue_bytes = (static_cast<int64_t>(epilogue_scratch(a.epilogue, a.channels)) + 63) / 64 * 64;
}

size_t Depthwise::scratch(const Args& a) const {
  return static_cast<size_t>(a.epilogue_bytes + a.axes.d.kernel * a.axes.h.kernel * 16);
}

double Depthwise::work(const Args& a) const { return 0.03 * multiplications(a.axes, a.n, a.channels); }

// ---- kernel gradient

Specs DepthwiseKernelGradient::infer(const Inputs& in) const {
  check(in.size() == 2, "depthwise_kernel_gradient: two operands are needed, received ", in.size());
  const size_t rank = kernel_size.size() + 2;
  check(in[0].shape.size() == rank && in[1].shape.size() == rank, "depthwise_kernel_gradient: x and dy must have ",
        rank, " axes, received ", to_string(in[0].shape), " and ", to_string(in[1].shape));
  Shape dw = to_shape(kernel_size);
  dw.push_back(Dim(1));
  dw.push_back(in[0].shape.back());
  return {Spec{in[0].dtype, dw, {}}};
}

std::vector<Dim> DepthwiseKernelGradient::workspaces(const Specs& in, const Specs& out) const {
  const Shape& dy = in[1].shape;
  const Dim bytes = product(out[0].shape) * Dim(bit_size(out[0].dtype) / 8), pixels = product(dy, 1, dy.size() - 1);
  const int64_t images = pixels.is_constant() ? images_of_part(pixels.constant()) : 1;
  return {floordiv(dy[0] + Dim(images - 1), Dim(images)) * bytes};
}

void DepthwiseKernelGradient::bind(const Bind& b, const KernelRow& row, Args& a) const {
  const BoundValue &x = b.in(0), &dy = b.in(1);
  a.x = b.read(0);
  a.dy = b.read(1);
  a.dw = b.write(0);
  a.axes = conv_axes({kernel_size, strides, dilation, padding, pads}, false, x, dy);
  a.n = x.shape[0];
  a.channels = x.shape[x.rank - 1];
  a.column_units = (a.channels + kDepthwiseColumns - 1) / kDepthwiseColumns;
  // The reference sums all in double; CUDA kernels cut the sum in their own way.
  const int64_t pixels = a.axes.d.out * a.axes.h.out * a.axes.w.out;
  a.part_images = row.isa == Isa::none || row.isa == Isa::cuda ? std::max<int64_t>(a.n, 1) : images_of_part(pixels);
  a.parts = std::max<int64_t>((a.n + a.part_images - 1) / a.part_images, 1);
  a.partial = a.parts > 1 ? b.workspace(0) : nullptr;
}

int64_t DepthwiseKernelGradient::units(const Args& a, int64_t phase) const {
  return phase == 1 ? a.axes.d.kernel * a.axes.h.kernel * a.axes.w.kernel : a.parts * a.column_units;
}

double DepthwiseKernelGradient::work(const Args& a) const { return 0.03 * multiplications(a.axes, a.n, a.channels); }

}  // namespace maas
