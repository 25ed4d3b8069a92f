// What users call, and its gradients: each of conv, its input gradient and its kernel gradient is linear in both of its
// operands, and the gradients of each are the other two.
#include "ops/conv/conv.h"

#include <algorithm>

#include "core/device.h"
#include "core/numerics.h"
#include "graph/op_model.h"
#include "ops/build.h"
#include "ops/conv/repeat.h"
#include "ops/conv/winograd.h"
#include "ops/gemm/gemm_kernels.h"

namespace maas {

MAAS_DEFINE_OP(conv, Conv)
MAAS_DEFINE_OP(conv_input_gradient, ConvInputGradient)

std::vector<int64_t> spatial_of(const Shape& kernel) {
  std::vector<int64_t> sizes;
  for (size_t i = 0; i + 2 < kernel.size(); ++i) sizes.push_back(kernel[i].constant());
  return sizes;
}

namespace {

// The window of an op on an image (`what`) and a kernel, checked.
Window window_of(const char* name, const WindowOptions& op, const Inputs& in, const char* what) {
  check(in.size() == 2, name, ": two operands are needed, received ", in.size());
  const Shape &x = in[0].shape, &kernel = in[1].shape;
  check(kernel.size() >= 3 && kernel.size() == x.size() && is_constant(kernel), name,
        ": the kernel must have known sizes (spatial sizes, input channels / groups, filters), as many as ", what,
        ", received ", to_string(kernel), " for ", to_string(x));
  Window w = op.over(spatial_of(kernel));
  w.check(name, what, x);
  return w;
}

void check_operands(const char* name, const Inputs& in, const char* image) {
  check(in.size() == 2, name, ": two operands are needed, received ", in.size());
  check(in[0].rank() >= 3 && in[0].shape.back().is_constant(), name, ": the channels of ", image,
        " must be known, received ", to_string(in[0].shape));
  if (!is_floating(in[0].dtype) || in[0].dtype != in[1].dtype)
    fail(ErrorKind::type, name, ": operands must have one floating dtype, received ", in[0].dtype, " and ",
         in[1].dtype);
}

// Where a size cannot be compared before it is bound, kernels stay inside their images whatever it is.
bool may_equal(const Shape& a, const Shape& b) {
  for (size_t i = 0; i < a.size(); ++i)
    if (a[i].is_constant() && b[i].is_constant() && a[i] != b[i]) return false;
  return a.size() == b.size();
}

template <class To>
To like(const GroupedWindow& from) {
  To op;
  static_cast<GroupedWindow&>(op) = from;
  return op;
}

Node conv_of(const GroupedWindow& from, const Node& x, const Node& kernel, const Shape& y) {
  auto op = like<Conv>(from);
  if (!is_constant(y)) op.size = spatial_sizes(y);
  return apply(std::move(op), {x, kernel});
}
Node input_gradient_of(const GroupedWindow& from, const Node& dy, const Node& kernel, const Shape& x) {
  auto op = like<ConvInputGradient>(from);
  op.size = spatial_sizes(x);
  op.is_gradient = true;
  return apply(std::move(op), {dy, kernel});
}
Node kernel_gradient_of(const GroupedWindow& from, const Node& x, const Node& dy, const Shape& kernel) {
  auto op = like<ConvKernelGradient>(from);
  op.kernel_size = spatial_of(kernel);
  return apply(std::move(op), {x, dy});
}

int64_t panel_width() { return has(active_isa(), Isa::avx512) ? kPanelAvx512 : kPanelNarrow; }

// A window of one pixel that visits every pixel: rows of x times a matrix.
template <class T>
bool is_matmul(const T& op, const Node& x, const Node& kernel, const Shape& out) {
  const std::vector<int64_t> sizes = spatial_of(kernel.shape());
  auto ones = [](const std::vector<int64_t>& v) {
    return std::all_of(v.begin(), v.end(), [](int64_t i) { return i == 1; });
  };
  return op.groups == 1 && ones(sizes) && ones(op.strides) && spatial_sizes(x.shape()) == spatial_sizes(out);
}
// GPUs read kernels as they are.
bool on_gpu() { return target().kind == DeviceKind::cuda; }
// A product of so few tiles that a GPU is not full: of 16-bit floats, convolutions share its sum better and take more
// of what follows into the same kernel.
bool leaves_gpu_idle(const Node& x, const Shape& out) {
  const Dim rows = product(out, 0, out.size() - 1);
  if (!on_gpu() || (x.dtype() != DType::bf16 && x.dtype() != DType::f16) || !rows.is_constant()) return false;
  const int64_t read = x.shape().back().constant(), written = out.back().constant();
  return read % 8 == 0 && written % 8 == 0 && (rows.constant() + 127) / 128 * ((written + 127) / 128) < 132;
}
Node as_matrix(const Node& kernel) {
  return reshape(kernel, {kernel.shape()[kernel.rank() - 2], kernel.shape().back()});
}

// One input channel a group. Several filters a group: channels are repeated, once for each.
template <class T>
bool is_depthwise(const T& op, const Shape& kernel) {
  return op.groups > 1 && kernel[kernel.size() - 2].is(1);
}
Node repeat_channels(const Node& x, int64_t times) { return times == 1 ? x : apply(RepeatChannels{times, false}, {x}); }
Node sum_repeated(const Node& x, int64_t times) { return times == 1 ? x : apply(RepeatChannels{times, true}, {x}); }

template <class To>
To window_like(const WindowOptions& from) {
  To op;
  static_cast<WindowOptions&>(op) = from;
  return op;
}

// m columns of sums over `terms`, as panels of at least 16 columns or as dot products over 16 lanes: what costs less.
bool is_dot(int64_t m, int64_t terms) { return m <= 8 && m * (terms / 16 + 12) < terms; }

template <class T>
Node packed_conv(const T& op, const Node& x, const Node& kernel, bool gradient, const Shape& size) {
  const Shape& k = kernel.shape();
  const int64_t channels = k[k.size() - 2].constant(), filters = k.back().constant() / op.groups;
  auto packed = like<ConvPacked>(op);
  packed.kernel_size = spatial_of(k);
  packed.channels = (gradient ? channels : filters) * op.groups;
  packed.size = size;
  packed.input_gradient = gradient;
  int64_t terms = gradient ? filters : channels;
  for (size_t i = 0; i < packed.kernel_size.size(); ++i)
    terms = terms * packed.kernel_size[i] / (gradient && !op.strides.empty() ? op.strides[i] : 1);
  packed.dot = is_dot(gradient ? channels : filters, terms);
  packed.nr = packed.dot ? kPanelNarrow : panel_width();
  return apply(packed, {x, apply(ConvPack{op.groups, packed.nr, gradient, packed.dot}, {kernel})});
}

// By Winograd where that is allowed and pays; an empty Node elsewhere. A gradient reads dy as an image: its window is
// the kernel turned, and what lies before the first output changes sides.
template <class T>
Node winograd_conv(const T& op, const Node& x, const Node& kernel, bool gradient, const Shape& out) {
  const Numerics allowed = numerics();
  bool forward = true;
  if constexpr (requires { op.is_gradient; }) forward = !op.is_gradient;
  if (allowed.exact || (allowed.trains && forward) || on_gpu() || x.dtype() != DType::f32 || op.groups != 1) return {};
  const Window w = op.over(spatial_of(kernel.shape()));
  if (w.kernel != std::vector<int64_t>{3, 3} || w.stride(0) * w.stride(1) * w.dilate(0) * w.dilate(1) != 1) return {};
  const Shape size = spatial_sizes(out);
  const int64_t tile = winograd_tile(x.shape().back().constant(), out.back().constant(), size);
  if (tile == 0) return {};
  ConvWinograd winograd{tile, panel_width(), out.back().constant(), {}, size, true, {}};
  for (size_t axis = 0; axis < 2; ++axis) {
    const int64_t before = w.padding == "same" ? 1 : w.begin(axis, 0, 0);  // "same" at stride 1: one on each side
    winograd.begin.push_back(gradient ? 2 - before : before);
  }
  return apply(winograd, {x, apply(ConvWinogradPack{tile, winograd.nr, gradient}, {kernel})});
}

template <class T>
Node direct_conv(const T& op, const Node& x, const Node& kernel, bool gradient, const Shape& size) {
  auto direct = like<ConvDirect>(op);
  direct.size = size;
  direct.input_gradient = gradient;
  return apply(direct, {x, kernel});
}

template <class T>
Node depthwise(const T& op, const Node& x, const Node& kernel, bool gradient, const Shape& size) {
  auto packed = window_like<Depthwise>(op);
  packed.size = size;
  packed.input_gradient = gradient;
  return apply(packed, {x, kernel});
}

}  // namespace

// ---- conv

Specs Conv::infer(const Inputs& in) const {
  const Window w = window_of("conv", *this, in, "x");
  check_operands("conv", in, "x");
  const Shape &x = in[0].shape, &k = in[1].shape;
  const Dim taken = k[k.size() - 2] * Dim(groups);
  check(groups >= 1, "conv: groups must be positive, received ", groups);
  check(x.back() == taken, "conv: x has ", x.back(), " channels, the kernel takes ", taken, ", received x of shape ",
        to_string(x), " and a kernel of shape ", to_string(k), " in ", groups, " group(s)");
  check(k.back().constant() % groups == 0, "conv: filters must be a multiple of groups=", groups, ", received ",
        k.back());
  const Shape found = w.output("conv", x);
  check(size.empty() || may_equal(size, found), "conv: the output has spatial sizes ", to_string(found), ", received ",
        to_string(size));
  return {Spec{in[0].dtype, image_shape(x[0], size.empty() ? found : size, k.back()), {}}};
}

Nodes Conv::gradient(const Node& y, const Nodes& dys, const Needs& needs) const {
  const Node &x = y.input(0), &kernel = y.input(1);
  return {needs[0] ? input_gradient_of(*this, dys[0], kernel, x.shape()) : Node(),
          needs[1] ? kernel_gradient_of(*this, x, dys[0], kernel.shape()) : Node()};
}

Nodes Conv::lower(const Node& y) const {
  const Node &x = y.input(0), &kernel = y.input(1);
  if (is_matmul(*this, x, kernel, y.shape()) && !leaves_gpu_idle(x, y.shape())) return {matmul(x, as_matrix(kernel))};
  if (is_depthwise(*this, kernel.shape())) {
    const int64_t filters = kernel.shape().back().constant() / groups;
    return {depthwise(*this, repeat_channels(x, filters), kernel, false, size)};
  }
  if (const Node winograd = winograd_conv(*this, x, kernel, false, y.shape())) return {winograd};
  return {on_gpu() ? direct_conv(*this, x, kernel, false, size) : packed_conv(*this, x, kernel, false, size)};
}

// ---- input gradient

Specs ConvInputGradient::infer(const Inputs& in) const {
  const char* name = "conv_input_gradient";
  const Window w = window_of(name, *this, in, "dy");
  check_operands(name, in, "dy");
  const Shape &dy = in[0].shape, &k = in[1].shape;
  check(size.size() == w.rank(), name, ": size must hold ", w.rank(), " spatial sizes, received ", to_string(size));
  check(groups >= 1 && k.back().constant() % groups == 0, name, ": groups must divide the ", k.back(),
        " filters, received groups=", groups);
  check(dy.back() == k.back(), name, ": dy has ", dy.back(), " channels, the kernel has ", k.back(),
        " filters, received ", to_string(dy), " and ", to_string(k));
  const Shape dx = image_shape(dy[0], size, k[k.size() - 2] * Dim(groups));
  const Shape fits = w.output(name, dx);
  check(may_equal(fits, spatial_sizes(dy)), name, ": an input of shape ", to_string(dx), " gives ", to_string(fits),
        " outputs, received dy of shape ", to_string(dy));
  return {Spec{in[0].dtype, dx, {}}};
}

Nodes ConvInputGradient::gradient(const Node& y, const Nodes& dys, const Needs& needs) const {
  const Node &dy = y.input(0), &kernel = y.input(1);
  return {needs[0] ? conv_of(*this, dys[0], kernel, dy.shape()) : Node(),
          needs[1] ? kernel_gradient_of(*this, dys[0], dy, kernel.shape()) : Node()};
}

Nodes ConvInputGradient::lower(const Node& y) const {
  const Node &dy = y.input(0), &kernel = y.input(1);
  if (is_matmul(*this, dy, kernel, y.shape()) && !leaves_gpu_idle(dy, y.shape()))
    return {matmul(dy, as_matrix(kernel), false, true)};
  if (is_depthwise(*this, kernel.shape()))
    return {sum_repeated(depthwise(*this, dy, kernel, true, size), kernel.shape().back().constant() / groups)};
  if (const Node winograd = winograd_conv(*this, dy, kernel, true, y.shape())) return {winograd};
  return {on_gpu() ? direct_conv(*this, dy, kernel, true, size) : packed_conv(*this, dy, kernel, true, size)};
}

// ---- kernel gradient; its kernels are in kernel_gradient.cpp

Specs ConvKernelGradient::infer(const Inputs& in) const {
  const char* name = "conv_kernel_gradient";
  check(in.size() == 2, name, ": two operands are needed, received ", in.size());
  check_operands(name, in, "x");
  const Shape &x = in[0].shape, &dy = in[1].shape;
  const Window w = over(kernel_size);
  w.check(name, "x", x);
  check(dy.size() == x.size() && dy.back().is_constant(), name,
        ": dy must have the axes of x and known channels, received ", to_string(dy), " for x of shape ", to_string(x));
  check(groups >= 1 && x.back().constant() % groups == 0 && dy.back().constant() % groups == 0, name,
        ": groups must divide the channels of x, ", x.back(), ", and of dy, ", dy.back(), ", received groups=", groups);
  const Shape size = w.output(name, x);
  check(dy[0] == x[0] && may_equal(size, spatial_sizes(dy)), name, ": x of shape ", to_string(x),
        " gives outputs of spatial shape ", to_string(size), ", received dy of shape ", to_string(dy));
  Shape dw = to_shape(kernel_size);
  dw.push_back(Dim(x.back().constant() / groups));
  dw.push_back(dy.back());
  return {Spec{in[0].dtype, dw, {}}};
}

Nodes ConvKernelGradient::gradient(const Node& y, const Nodes& dys, const Needs& needs) const {
  const Node &x = y.input(0), &dy = y.input(1);
  return {needs[0] ? input_gradient_of(*this, dy, dys[0], x.shape()) : Node(),
          needs[1] ? conv_of(*this, x, dys[0], dy.shape()) : Node()};
}

Nodes ConvKernelGradient::lower(const Node& y) const {
  if (!is_depthwise(*this, y.shape())) return {};
  const Node &x = y.input(0), &dy = y.input(1);
  auto op = window_like<DepthwiseKernelGradient>(*this);
  op.kernel_size = kernel_size;
  return {apply(op, {repeat_channels(x, y.shape().back().constant() / groups), dy})};
}

}  // namespace maas
