#include "ops/norm/layer_norm.h"

#include <algorithm>

#include "graph/op_model.h"
#include "ops/build.h"
#include "ops/norm/common.h"

#define MAAS_KERNELS "ops/norm/layer_norm_kernels.inc"
#define MAAS_KERNEL_ARGS LayerNormArgs
#define MAAS_KERNEL_TABLE layer_norm_kernels
#include "core/kernel_table.h"

#define MAAS_KERNELS "ops/norm/layer_norm_grad_kernels.inc"
#define MAAS_KERNEL_ARGS LayerNormGradArgs
#define MAAS_KERNEL_TABLE layer_norm_grad_kernels
#include "core/kernel_table.h"

namespace maas {

using norm::statistics_type;

// ---- forward

MAAS_DEFINE_OP(layer_norm, LayerNorm)
const KernelTable& LayerNorm::kernels() { return layer_norm_kernels; }

Specs LayerNorm::infer(const Inputs& in) const {
  const size_t wanted = 1 + size_t{scale} + size_t{center};
  check(in.size() == wanted, "layer_norm: ", wanted, " operands are needed, received ", in.size());
  const Spec& x = in[0];
  if (!is_floating(x.dtype)) fail(ErrorKind::type, "layer_norm: x must be floating, received ", x.dtype);
  check(!axis.empty(), "layer_norm: axis must name at least one axis, received ()");
  const auto axes = normalize_axes("layer_norm", axis, x.shape);
  Shape parameter, rest;
  for (size_t i = 0; i < x.shape.size(); ++i)
    (std::count(axes.begin(), axes.end(), static_cast<int64_t>(i)) ? parameter : rest).push_back(x.shape[i]);
  for (size_t i = 1; i < in.size(); ++i) {
    check(product(in[i].shape) == product(parameter), "layer_norm: ", scale && i == 1 ? "gamma" : "beta",
          " must have shape ", to_string(parameter), ", x's sizes along axis, received ", to_string(in[i].shape),
          " for x of shape ", to_string(x.shape));
    if (!is_floating(in[i].dtype))
      fail(ErrorKind::type, "layer_norm: gamma and beta must be floating, received ", in[i].dtype);
  }
  const DType type = statistics_type(x.dtype);
  return {Spec{x.dtype, x.shape, {}}, Spec{type, rest, {}}, Spec{type, rest, {}}};
}

Nodes LayerNorm::composition(const Nodes& in) const {
  const DType type = statistics_type(in[0].dtype());
  const Node x = cast(in[0], type);
  const auto axes = normalize_axes("layer_norm", axis, x.shape());
  const Node average = norm::mean(x, axes, true), mean = subtract_mean ? average : zeros_like(average);
  const Node centered = subtract_mean ? x - mean : x;
  const Node rstd = unary("rsqrt", norm::mean(centered * centered, axes, true) + epsilon);
  Node y = centered * rstd;
  Shape shape(x.shape().size(), Dim(1)), rest;
  for (size_t i = 0; i < shape.size(); ++i)
    if (std::count(axes.begin(), axes.end(), static_cast<int64_t>(i)))
      shape[i] = x.shape()[i];
    else
      rest.push_back(x.shape()[i]);
  if (scale) y = y * reshape(cast(in[1], type), shape);
  if (center) y = y + reshape(cast(in[scale ? 2 : 1], type), shape);
  return {cast(y, in[0].dtype()), reshape(mean, rest), reshape(rstd, rest)};
}

// Kernels of a CPU know float32 and float64, and all know trailing axes only.
Nodes LayerNorm::lower(const Node& y) const {
  const Node& x = y.input(0);
  const DType type = norm::kernel_type(x.dtype());
  const norm::Order order("layer_norm", axis, x.shape());
  auto read = [&](const Node& n) { return target().is_cpu() ? cast(n, type) : norm::parameter(n, type); };
  const bool plain = order.trailing && x.dtype() == type &&
                     std::all_of(y->inputs.begin() + 1, y->inputs.end(), [&](const Node& n) { return read(n) == n; });
  if (plain) return {};
  LayerNorm inner = *this;
  inner.axis = order.last_axes();
  Nodes inputs{order.to_last(cast(x, type))};
  for (size_t i = 1; i < y->inputs.size(); ++i) inputs.push_back(read(y.input(static_cast<int>(i))));
  const Node z = apply(inner, std::move(inputs));
  return {cast(order.back(z), x.dtype()), z.output(1), z.output(2)};
}

bool LayerNorm::accepts(const KernelRow& row, const Specs& in, const Specs&) const {
  if (row.isa == Isa::cuda)
    return norm::Order("layer_norm", axis, in[0].shape).trailing && in[0].dtype == row.dtype &&
           std::all_of(in.begin() + 1, in.end(), [&](const Spec& s) { return norm::gpu_reads(s.dtype, row.dtype); });
  return norm::Order("layer_norm", axis, in[0].shape).trailing &&
         std::all_of(in.begin(), in.end(), [&](const Spec& s) { return s.dtype == row.dtype; });
}

Nodes LayerNorm::gradient(const Node& y, const Nodes& dys, const Needs&) const {
  if (dys.size() > 1 && (dys[1] || dys[2]))
    fail(ErrorKind::not_implemented, "layer_norm: its hidden statistics have no gradient, received one");
  const Node& x = y.input(0);
  const norm::Order order("layer_norm", axis, x.shape());
  Nodes inputs{order.to_last(x)};
  if (scale) inputs.push_back(norm::parameter(y.input(1), x.dtype()));
  inputs.insert(inputs.end(), {y.output(1), y.output(2), order.to_last(dys[0])});
  const Node g =
      apply(LayerNormGrad{static_cast<int64_t>(order.count), epsilon, scale, subtract_mean}, std::move(inputs));
  Nodes out{order.back(g)};
  if (scale) out.push_back(cast(reshape(g.output(1), y.input(1).shape()), y.input(1).dtype()));
  if (center) {
    const Node& beta = y.input(scale ? 2 : 1);
    out.push_back(cast(reshape(g.output(2), beta.shape()), beta.dtype()));
  }
  return out;
}

void LayerNorm::bind(const Bind& b, LayerNormArgs& a) const {
  const BoundValue& x = b.in(0);
  const int first = x.rank - static_cast<int>(axis.size());
  a = {b.read(0),
       scale ? b.read(1) : nullptr,
       center ? b.read(scale ? 2 : 1) : nullptr,
       b.write(0),
       b.write(1),
       b.write(2),
       x.size(0, first),
       x.size(first, x.rank),
       epsilon,
       subtract_mean,
       scale ? b.in(1).dtype : DType::f32,
       center ? b.in(scale ? 2 : 1).dtype : DType::f32};
}

// ---- backward

MAAS_DEFINE_OP(layer_norm_grad, LayerNormGrad)
const KernelTable& LayerNormGrad::kernels() { return layer_norm_grad_kernels; }

Specs LayerNormGrad::infer(const Inputs& in) const {
  const size_t wanted = scale ? 5 : 4;
  check(in.size() == wanted, "layer_norm_grad: ", wanted, " operands are needed, received ", in.size());
  const Spec& x = in[0];
  check(axes >= 1 && axes <= x.rank(), "layer_norm_grad: axes must be in [1, ", x.rank(), "], received axes=", axes);
  check(agree(in.back().shape, x.shape, "layer_norm_grad", "dy must have the shape of x"),
        "layer_norm_grad: dy must have x's shape ", to_string(x.shape), ", received ", to_string(in.back().shape));
  const Shape last(x.shape.end() - axes, x.shape.end()), rest(x.shape.begin(), x.shape.end() - axes);
  if (scale)
    check(product(in[1].shape) == product(last), "layer_norm_grad: gamma must have shape ", to_string(last),
          ", received ", to_string(in[1].shape));
  for (size_t i = wanted - 3; i < wanted - 1; ++i)
    check(in[i].shape == rest, "layer_norm_grad: mean and rstd must have shape ", to_string(rest), ", received ",
          to_string(in[i].shape));
  if (!is_floating(x.dtype) || in.back().dtype != x.dtype)
    fail(ErrorKind::type, "layer_norm_grad: x and dy must have one floating dtype, received ", x.dtype, " and ",
         in.back().dtype);
  const DType type = statistics_type(x.dtype);
  for (size_t i = 1; i < wanted - 1; ++i)
    if (scale && i == 1 ? !norm::gpu_reads(in[i].dtype, x.dtype) : in[i].dtype != type)
      fail(ErrorKind::type, "layer_norm_grad: operand ", i, " of x of ", x.dtype, " must be ", type, ", received ",
           in[i].dtype);
  return {Spec{x.dtype, x.shape, {}}, Spec{type, last, {}}, Spec{type, last, {}}};
}

// From x alone: the gradient of this op then goes through x, not through the residuals.
Nodes LayerNormGrad::composition(const Nodes& in) const {
  const DType type = statistics_type(in[0].dtype());
  const Node x = cast(in[0], type), dy = cast(in.back(), type);
  std::vector<int64_t> over, rows;
  for (int64_t i = 0; i < x.rank(); ++i) (i < x.rank() - axes ? rows : over).push_back(i);
  const Node centered = subtract_mean ? x - norm::mean(x, over, true) : x;
  const Node rstd = unary("rsqrt", norm::mean(centered * centered, over, true) + epsilon), h = centered * rstd;
  const Shape last(x.shape().end() - axes, x.shape().end());
  const Node g = scale ? dy * reshape(cast(in[1], type), last) : dy;
  const Node gm = subtract_mean ? g - norm::mean(g, over, true) : g;
  const Node dx = cast(rstd * (gm - h * norm::mean(g * h, over, true)), in[0].dtype());
  if (rows.empty()) return {dx, dy * h, dy * 1.0};
  return {dx, sum(dy * h, rows, false), sum(dy, rows, false)};
}

Nodes LayerNormGrad::gradient(const Node& y, const Nodes& dys, const Needs&) const {
  return norm::gradient_of_composition(*this, y, dys);
}

bool LayerNormGrad::accepts(const KernelRow& row, const Specs& in, const Specs&) const {
  if (in[0].dtype != row.dtype) return false;
  return row.isa == Isa::cuda || !scale || in[1].dtype == row.dtype;
}

void LayerNormGrad::bind(const Bind& b, const KernelRow& row, LayerNormGradArgs& a) const {
  const BoundValue& x = b.in(0);
  const int at = scale ? 2 : 1, first = x.rank - static_cast<int>(axes);
  a = {b.read(0),
       scale ? b.read(1) : nullptr,
       b.read(at),
       b.read(at + 1),
       b.read(at + 2),
       b.write(0),
       b.write(1),
       b.write(2),
       row.isa == Isa::cuda ? nullptr : b.workspace(),
       x.size(0, first),
       x.size(first, x.rank),
       subtract_mean,
       scale ? b.in(1).dtype : DType::f32};
}

int64_t LayerNormGrad::units(const LayerNormGradArgs& a, int64_t phase) const {
  return phase == 0 ? (a.rows + a.chunk - 1) / a.chunk : (a.cols + a.columns - 1) / a.columns;
}

// The specs of outputs that nobody reads are not there, so sizes come from x.
std::vector<Dim> LayerNormGrad::workspaces(const Specs& in, const Specs&) const {
  if (!target().is_cpu()) return {};
  const Shape& x = in[0].shape;
  const size_t first = x.size() - static_cast<size_t>(axes);
  const Dim rows = product(x, 0, first), cols = product(x, first);
  const int64_t chunk = LayerNormGradArgs::chunk;
  return {floordiv(rows + Dim(chunk - 1), Dim(chunk)) * cols * Dim(2 * byte_size(in[0].dtype, 1))};
}

}  // namespace maas
