#include "ops/softmax/softmax.h"

#include <numeric>

#include "graph/graph.h"
#include "graph/op_model.h"
#include "ops/build.h"

#define MAAS_KERNELS "ops/softmax/kernels.inc"
#define MAAS_KERNEL_ARGS SoftmaxArgs
#define MAAS_KERNEL_TABLE softmax_kernels
#include "core/kernel_table.h"

#define MAAS_KERNELS "ops/softmax/gradient_kernels.inc"
#define MAAS_KERNEL_ARGS SoftmaxGradientArgs
#define MAAS_KERNEL_TABLE softmax_gradient_kernels
#include "core/kernel_table.h"

namespace maas {
namespace {

// Swaps an axis with the last one, where kernels want it; views or one copy.
std::vector<int64_t> swapped(int64_t axis, int64_t rank) {
  std::vector<int64_t> axes(static_cast<size_t>(rank));
  std::iota(axes.begin(), axes.end(), 0);
  std::swap(axes[static_cast<size_t>(axis)], axes.back());
  return axes;
}

}  // namespace

MAAS_DEFINE_OP(softmax, Softmax)
const KernelTable& Softmax::kernels() { return softmax_kernels; }

Specs Softmax::infer(const Inputs& in) const {
  check(in.size() == 1, "softmax: one operand is needed, received ", in.size());
  normalize_axis("softmax", axis, in[0].shape);
  if (!is_floating(in[0].dtype)) fail(ErrorKind::type, "softmax: x must be floating, received ", in[0].dtype);
  return {Spec{in[0].dtype, in[0].shape, {}}};
}

Nodes Softmax::gradient(const Node& y, const Nodes& dys, const Needs&) const {
  return {apply(SoftmaxGradient{axis, log}, {y, dys[0]})};
}

// Kernels know the last axis only.
Nodes Softmax::lower(const Node& y) const {
  const int64_t at = normalize_axis("softmax", axis, y.shape());
  if (at == y.rank() - 1) return {};
  const auto axes = swapped(at, y.rank());
  return {transpose(apply(Softmax{-1, log}, {transpose(y.input(0), axes)}), axes)};
}

void Softmax::bind(const Bind& b, SoftmaxArgs& a) const {
  const BoundValue& x = b.in(0);
  a.x = b.read(0);
  a.y = b.write(0);
  a.cols = x.shape[x.rank - 1];
  a.rows = a.cols ? x.size() / a.cols : 0;
  a.ldx = a.ldy = a.cols;
  a.log = log;
}

// ---- gradient

MAAS_DEFINE_OP(softmax_gradient, SoftmaxGradient)
const KernelTable& SoftmaxGradient::kernels() { return softmax_gradient_kernels; }

Specs SoftmaxGradient::infer(const Inputs& in) const {
  check(in.size() == 2, "softmax_gradient: two operands are needed, received ", in.size());
  normalize_axis("softmax_gradient", axis, in[0].shape);
  check(agree(in[0].shape, in[1].shape, "softmax_gradient", "y and dy must have one shape"),
        "softmax_gradient: y and dy must have one shape, received ", to_string(in[0].shape), " and ",
        to_string(in[1].shape));
  if (!is_floating(in[0].dtype) || in[0].dtype != in[1].dtype)
    fail(ErrorKind::type, "softmax_gradient: y and dy must have one floating dtype, received ", in[0].dtype, " and ",
         in[1].dtype);
  return {Spec{in[0].dtype, in[0].shape, {}}};
}

Nodes SoftmaxGradient::composition(const Nodes& in) const {
  const Node &y = in[0], &dy = in[1];
  if (log) return {dy - unary("exp", y) * sum(dy, {axis}, true)};
  return {y * (dy - sum(y * dy, {axis}, true))};
}

Nodes SoftmaxGradient::gradient(const Node& dx, const Nodes& ddxs, const Needs&) const {
  // Inputs behind identities, so that only ways through this op count.
  const Nodes inputs{unary("identity", dx.input(0)), unary("identity", dx.input(1))};
  return gradients(composition(inputs)[0], ddxs[0], inputs);
}

Nodes SoftmaxGradient::lower(const Node& dx) const {
  const int64_t at = normalize_axis("softmax_gradient", axis, dx.shape());
  if (at == dx.rank() - 1) return {};
  const auto axes = swapped(at, dx.rank());
  return {
      transpose(apply(SoftmaxGradient{-1, log}, {transpose(dx.input(0), axes), transpose(dx.input(1), axes)}), axes)};
}

void SoftmaxGradient::bind(const Bind& b, SoftmaxGradientArgs& a) const {
  const BoundValue& y = b.in(0);
  const int64_t cols = y.shape[y.rank - 1];
  a = {b.read(0), b.read(1), b.write(0), cols ? y.size() / cols : 0, cols, log};
}

}  // namespace maas
