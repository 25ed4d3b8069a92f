// What users call, and its gradients: each of conv, its input gradient and its kernel gradient is linear in both of its
// operands, and the gradients of each are the other two.
#include "ops/conv/conv.h"

#include "graph/op_model.h"
#include "ops/build.h"
#include "ops/gemm/gemm_kernels.h"

namespace maas {

MAAS_DEFINE_OP(conv, Conv)
MAAS_DEFINE_OP(conv_input_gradient, ConvInputGradient)

namespace {

template <class T>
Window window(const T& op, const std::vector<int64_t>& kernel) {
  return {kernel, op.strides, op.dilation, op.padding, op.pads};
}

template <class T>
std::vector<int64_t> kernel_size(const char* name, const T&, const Spec& kernel) {
  check(kernel.rank() == 4 && is_constant(kernel.shape), name,
        ": the kernel must have four known sizes (height, width, input channels / groups, filters), received ",
        to_string(kernel.shape));
  return {kernel.shape[0].constant(), kernel.shape[1].constant()};
}

void check_operands(const char* name, const Inputs& in, const char* image) {
  check(in.size() == 2, name, ": two operands are needed, received ", in.size());
  check(in[0].rank() == 4, name, ": ", image, " must have four axes (batch, height, width, channels), received ",
        to_string(in[0].shape));
  check(in[0].shape[3].is_constant(), name, ": the channels of ", image, " must be known, received ",
        to_string(in[0].shape));
  if (!is_floating(in[0].dtype) || in[0].dtype != in[1].dtype)
    fail(ErrorKind::type, name, ": operands must have one floating dtype, received ", in[0].dtype, " and ",
         in[1].dtype);
}

template <class To, class From>
To like(const From& from) {
  To op;
  op.strides = from.strides;
  op.dilation = from.dilation;
  op.pads = from.pads;
  op.padding = from.padding;
  op.groups = from.groups;
  return op;
}

template <class From>
Node conv_of(const From& from, const Node& x, const Node& kernel) {
  return apply(like<Conv>(from), {x, kernel});
}
template <class From>
Node input_gradient_of(const From& from, const Node& dy, const Node& kernel, const Shape& x) {
  auto op = like<ConvInputGradient>(from);
  op.size = {x[1], x[2]};
  return apply(std::move(op), {dy, kernel});
}
template <class From>
Node kernel_gradient_of(const From& from, const Node& x, const Node& dy, const Shape& kernel) {
  auto op = like<ConvKernelGradient>(from);
  op.kernel_size = {kernel[0].constant(), kernel[1].constant()};
  return apply(std::move(op), {x, dy});
}

int64_t panel_width() { return has(active_isa(), Isa::avx512) ? kPanelAvx512 : kPanelNarrow; }

// A window of one pixel that visits every pixel: rows of x times a matrix.
template <class T>
bool is_matmul(const T& op, const Node& x, const Node& kernel, const Shape& out) {
  return kernel.shape()[0].is(1) && kernel.shape()[1].is(1) && op.groups == 1 &&
         op.strides == std::vector<int64_t>{1, 1} && x.shape()[1] == out[1] && x.shape()[2] == out[2];
}
Node as_matrix(const Node& kernel) { return reshape(kernel, {kernel.shape()[2], kernel.shape()[3]}); }

}  // namespace

// ---- conv

Specs Conv::infer(const Inputs& in) const {
  check_operands("conv", in, "x");
  const Shape &x = in[0].shape, &k = in[1].shape;
  const Window w = window(*this, kernel_size("conv", *this, in[1]));
  w.check("conv");
  check(groups >= 1, "conv: groups must be positive, received ", groups);
  check(x[3] == k[2] * Dim(groups), "conv: x has ", x[3], " channels, the kernel takes ", k[2] * Dim(groups),
        ", received x of shape ", to_string(x), " and a kernel of shape ", to_string(k), " in ", groups, " group(s)");
  check(k[3].constant() % groups == 0, "conv: filters must be a multiple of groups=", groups, ", received ", k[3]);
  const Shape size = w.output("conv", x);
  return {Spec{in[0].dtype, {x[0], size[0], size[1], k[3]}, {}}};
}

Nodes Conv::gradient(const Node& y, const Nodes& dys, const Needs& needs) const {
  const Node &x = y.input(0), &kernel = y.input(1);
  return {needs[0] ? input_gradient_of(*this, dys[0], kernel, x.shape()) : Node(),
          needs[1] ? kernel_gradient_of(*this, x, dys[0], kernel.shape()) : Node()};
}

Nodes Conv::lower(const Node& y) const {
  const Node &x = y.input(0), &kernel = y.input(1);
  if (is_matmul(*this, x, kernel, y.shape())) return {matmul(x, as_matrix(kernel))};
  ConvPacked packed = like<ConvPacked>(*this);
  packed.kernel_size = {kernel.shape()[0].constant(), kernel.shape()[1].constant()};
  packed.channels = kernel.shape()[3].constant();
  packed.nr = panel_width();
  return {apply(packed, {x, apply(ConvPack{groups, packed.nr, false}, {kernel})})};
}

// ---- input gradient

Specs ConvInputGradient::infer(const Inputs& in) const {
  check_operands("conv_input_gradient", in, "dy");
  const Shape &dy = in[0].shape, &k = in[1].shape;
  const Window w = window(*this, kernel_size("conv_input_gradient", *this, in[1]));
  w.check("conv_input_gradient");
  check(size.size() == 2, "conv_input_gradient: size must hold height and width, received ", to_string(size));
  check(groups >= 1 && k[3].constant() % groups == 0, "conv_input_gradient: groups must divide the ", k[3],
        " filters, received groups=", groups);
  check(dy[3] == k[3], "conv_input_gradient: dy has ", dy[3], " channels, the kernel has ", k[3], " filters, received ",
        to_string(dy), " and ", to_string(k));
  const Shape dx{dy[0], size[0], size[1], k[2] * Dim(groups)};
  const Shape fits = w.output("conv_input_gradient", dx);
  check(fits[0] == dy[1] && fits[1] == dy[2], "conv_input_gradient: an input of shape ", to_string(dx), " gives ",
        to_string(fits), " outputs, received dy of shape ", to_string(dy));
  return {Spec{in[0].dtype, dx, {}}};
}

Nodes ConvInputGradient::gradient(const Node& y, const Nodes& dys, const Needs& needs) const {
  const Node &dy = y.input(0), &kernel = y.input(1);
  return {needs[0] ? conv_of(*this, dys[0], kernel) : Node(),
          needs[1] ? kernel_gradient_of(*this, dys[0], dy, kernel.shape()) : Node()};
}

Nodes ConvInputGradient::lower(const Node& y) const {
  const Node &dy = y.input(0), &kernel = y.input(1);
  if (is_matmul(*this, dy, kernel, y.shape())) return {matmul(dy, as_matrix(kernel), false, true)};
  ConvPacked packed = like<ConvPacked>(*this);
  packed.kernel_size = {kernel.shape()[0].constant(), kernel.shape()[1].constant()};
  packed.channels = kernel.shape()[2].constant() * groups;
  packed.nr = panel_width();
  packed.size = size;
  packed.input_gradient = true;
  return {apply(packed, {dy, apply(ConvPack{groups, packed.nr, true}, {kernel})})};
}

// ---- kernel gradient; its kernels are in kernel_gradient.cpp

Specs ConvKernelGradient::infer(const Inputs& in) const {
  check_operands("conv_kernel_gradient", in, "x");
  const Shape &x = in[0].shape, &dy = in[1].shape;
  const Window w = window(*this, kernel_size);
  w.check("conv_kernel_gradient");
  check(dy.size() == 4 && dy[3].is_constant(),
        "conv_kernel_gradient: dy must have four axes and known channels, received ", to_string(dy));
  check(groups >= 1 && x[3].constant() % groups == 0 && dy[3].constant() % groups == 0,
        "conv_kernel_gradient: groups must divide the channels of x, ", x[3], ", and of dy, ", dy[3],
        ", received groups=", groups);
  const Shape size = w.output("conv_kernel_gradient", x);
  check(dy[0] == x[0] && size[0] == dy[1] && size[1] == dy[2], "conv_kernel_gradient: x of shape ", to_string(x),
        " gives outputs of spatial shape ", to_string(size), ", received dy of shape ", to_string(dy));
  return {Spec{in[0].dtype, {Dim(kernel_size[0]), Dim(kernel_size[1]), Dim(x[3].constant() / groups), dy[3]}, {}}};
}

Nodes ConvKernelGradient::gradient(const Node& y, const Nodes& dys, const Needs& needs) const {
  const Node &x = y.input(0), &dy = y.input(1);
  return {needs[0] ? input_gradient_of(*this, dy, dys[0], x.shape()) : Node(),
          needs[1] ? conv_of(*this, x, dys[0]) : Node()};
}

}  // namespace maas
