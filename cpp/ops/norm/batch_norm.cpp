#include "ops/norm/batch_norm.h"

#include <algorithm>

#include "graph/op_model.h"
#include "ops/build.h"
#include "ops/norm/common.h"

#define MAAS_KERNELS "ops/norm/batch_norm_train_kernels.inc"
#define MAAS_KERNEL_ARGS BatchNormArgs
#define MAAS_KERNEL_TABLE batch_norm_train_kernels
#include "core/kernel_table.h"

#define MAAS_KERNELS "ops/norm/batch_norm_grad_kernels.inc"
#define MAAS_KERNEL_ARGS BatchNormGradArgs
#define MAAS_KERNEL_TABLE batch_norm_grad_kernels
#include "core/kernel_table.h"

namespace maas {

using norm::statistics_type;

namespace {

std::vector<int64_t> all_but(int64_t axis, int64_t rank) {
  std::vector<int64_t> axes;
  for (int64_t i = 0; i < rank; ++i)
    if (i != axis) axes.push_back(i);
  return axes;
}

std::vector<Dim> partial_bytes(const Spec& x) {
  if (!target().is_cpu()) return {};
  const int64_t cols = x.shape.back().constant(), chunk = batch_norm_chunk(cols);
  const Dim rows = product(x.shape, 0, x.shape.size() - 1);
  return {floordiv(rows + Dim(chunk - 1), Dim(chunk)) * Dim(2 * cols * byte_size(x.dtype, 1))};
}

template <class Args>
int64_t phase_units(const Args& a, int64_t phase) {
  return phase == 1 ? (a.cols + a.columns - 1) / a.columns : (a.rows + a.chunk - 1) / a.chunk;
}

}  // namespace

// ---- forward

MAAS_DEFINE_OP(batch_norm_train, BatchNormTrain)
const KernelTable& BatchNormTrain::kernels() { return batch_norm_train_kernels; }

Specs BatchNormTrain::infer(const Inputs& in) const {
  const size_t wanted = 1 + size_t{scale} + size_t{center};
  check(in.size() == wanted, "batch_norm_train: ", wanted, " operands are needed, received ", in.size());
  const Spec& x = in[0];
  if (!is_floating(x.dtype)) fail(ErrorKind::type, "batch_norm_train: x must be floating, received ", x.dtype);
  const Dim channels = x.shape[static_cast<size_t>(normalize_axis("batch_norm_train", axis, x.shape))];
  check(channels.is_constant(), "batch_norm_train: the channels (axis=", axis, ") must be known, received ",
        to_string(x.shape));
  for (size_t i = 1; i < in.size(); ++i)
    check(in[i].shape == Shape{channels} && is_floating(in[i].dtype),
          "batch_norm_train: ", scale && i == 1 ? "gamma" : "beta", " must be floating and of shape ",
          to_string({channels}), ", received ", in[i].dtype, " ", to_string(in[i].shape));
  const DType type = statistics_type(x.dtype);
  return {Spec{x.dtype, x.shape, {}}, Spec{type, {channels}, {}}, Spec{type, {channels}, {}}};
}

Nodes BatchNormTrain::composition(const Nodes& in) const {
  const DType type = statistics_type(in[0].dtype());
  const Node x = cast(in[0], type);
  const int64_t at = normalize_axis("batch_norm_train", axis, x.shape());
  const auto axes = all_but(at, x.rank());
  Shape shape(x.shape().size(), Dim(1));
  const Dim channels = shape[static_cast<size_t>(at)] = x.shape()[static_cast<size_t>(at)];
  const Node mean = axes.empty() ? x : norm::mean(x, axes, true), centered = x - mean;
  const Node variance = axes.empty() ? centered * centered : norm::mean(centered * centered, axes, true);
  Node y = centered * unary("rsqrt", variance + epsilon);
  if (scale) y = y * reshape(cast(in[1], type), shape);
  if (center) y = y + reshape(cast(in[scale ? 2 : 1], type), shape);
  return {cast(y, in[0].dtype()), reshape(mean, {channels}), reshape(variance, {channels})};
}

// Kernels of a CPU know float32 and float64, and all know channels last only.
Nodes BatchNormTrain::lower(const Node& y) const {
  const Node& x = y.input(0);
  const DType type = norm::kernel_type(x.dtype());
  const norm::Order order("batch_norm_train", {axis}, x.shape());
  auto read = [&](const Node& n) { return target().is_cpu() ? cast(n, type) : norm::parameter(n, type); };
  const bool plain = x.dtype() == type &&
                     std::all_of(y->inputs.begin() + 1, y->inputs.end(), [&](const Node& n) { return read(n) == n; });
  if (order.trailing && plain) return {};
  Nodes inputs{order.to_last(cast(x, type))};
  for (size_t i = 1; i < y->inputs.size(); ++i) inputs.push_back(read(y.input(static_cast<int>(i))));
  const Node z = apply(BatchNormTrain{-1, epsilon, scale, center}, std::move(inputs));
  return {cast(order.back(z), x.dtype()), z.output(1), z.output(2)};
}

Nodes BatchNormTrain::gradient(const Node& y, const Nodes& dys, const Needs&) const {
  const Node& x = y.input(0);
  const norm::Order order("batch_norm_train", {axis}, x.shape());
  const bool statistics = dys[1] || dys[2];
  auto or_zero = [](const Node& d, const Node& like) { return d ? d : zeros_like(like); };
  Nodes inputs{order.to_last(x)};
  if (scale) inputs.push_back(norm::parameter(y.input(1), x.dtype()));
  inputs.insert(inputs.end(), {y.output(1), y.output(2), order.to_last(or_zero(dys[0], x))});
  if (statistics) inputs.insert(inputs.end(), {or_zero(dys[1], y.output(1)), or_zero(dys[2], y.output(2))});
  const Node g = apply(BatchNormGrad{epsilon, scale, statistics}, std::move(inputs));
  Nodes out{order.back(g)};
  if (scale) out.push_back(cast(g.output(1), y.input(1).dtype()));
  if (center) out.push_back(cast(g.output(2), y.input(scale ? 2 : 1).dtype()));
  return out;
}

bool BatchNormTrain::accepts(const KernelRow& row, const Specs& in, const Specs&) const {
  if (row.isa != Isa::cuda) return in[0].dtype == row.dtype;
  return normalize_axis("batch_norm_train", axis, in[0].shape) == in[0].rank() - 1 && in[0].dtype == row.dtype &&
         std::all_of(in.begin() + 1, in.end(), [&](const Spec& s) { return norm::gpu_reads(s.dtype, row.dtype); });
}

void BatchNormTrain::bind(const Bind& b, const KernelRow& row, BatchNormArgs& a) const {
  const BoundValue& x = b.in(0);
  const int64_t cols = x.shape[x.rank - 1];
  a = {b.read(0),
       scale ? b.read(1) : nullptr,
       center ? b.read(scale ? 2 : 1) : nullptr,
       b.write(0),
       b.write(1),
       b.write(2),
       row.isa == Isa::cuda ? nullptr : b.workspace(),
       x.size(0, x.rank - 1),
       cols,
       batch_norm_chunk(cols),
       epsilon,
       scale ? b.in(1).dtype : DType::f32,
       center ? b.in(scale ? 2 : 1).dtype : DType::f32};
}

int64_t BatchNormTrain::units(const BatchNormArgs& a, int64_t phase) const { return phase_units(a, phase); }
std::vector<Dim> BatchNormTrain::workspaces(const Specs& in, const Specs&) const { return partial_bytes(in[0]); }

// ---- backward

MAAS_DEFINE_OP(batch_norm_grad, BatchNormGrad)
const KernelTable& BatchNormGrad::kernels() { return batch_norm_grad_kernels; }

Specs BatchNormGrad::infer(const Inputs& in) const {
  const size_t wanted = 4 + size_t{scale} + (statistics ? 2 : 0), dy = scale ? 4 : 3;
  check(in.size() == wanted, "batch_norm_grad: ", wanted, " operands are needed, received ", in.size());
  const Spec& x = in[0];
  check(x.rank() >= 1 && x.shape.back().is_constant(), "batch_norm_grad: the channels must be known, received ",
        to_string(x.shape));
  for (size_t i = 1; i < in.size(); ++i) {
    const Shape wanted_shape = i == dy ? x.shape : Shape{x.shape.back()};
    check(in[i].shape == wanted_shape, "batch_norm_grad: operand ", i, " must have shape ", to_string(wanted_shape),
          ", received ", to_string(in[i].shape));
  }
  if (!is_floating(x.dtype) || in[dy].dtype != x.dtype)
    fail(ErrorKind::type, "batch_norm_grad: x and dy must have one floating dtype, received ", x.dtype, " and ",
         in[dy].dtype);
  const DType type = statistics_type(x.dtype);
  for (size_t i = 1; i < in.size(); ++i)
    if (i != dy && (scale && i == 1 ? !norm::gpu_reads(in[i].dtype, x.dtype) : in[i].dtype != type))
      fail(ErrorKind::type, "batch_norm_grad: operand ", i, " of x of ", x.dtype, " must be ", type, ", received ",
           in[i].dtype);
  const Spec channel{type, {x.shape.back()}, {}};
  return {Spec{x.dtype, x.shape, {}}, channel, channel};
}

// From x alone: the gradient of this op then goes through x, not through the batch's statistics.
Nodes BatchNormGrad::composition(const Nodes& in) const {
  const DType type = statistics_type(in[0].dtype());
  const Node x = cast(in[0], type), dy = cast(in[scale ? 4 : 3], type);
  const auto rows = all_but(x.rank() - 1, x.rank());
  auto mean = [&](const Node& n) { return rows.empty() ? n : norm::mean(n, rows, false); };
  auto total = [&](const Node& n) { return rows.empty() ? n * 1.0 : sum(n, rows, false); };
  const Node centered = x - mean(x), rstd = unary("rsqrt", mean(centered * centered) + epsilon), h = centered * rstd;
  const Node factor = scale ? rstd * cast(in[1], type) : rstd;
  Node dx = factor * (dy - mean(dy) - h * mean(dy * h));
  if (statistics) {
    const Node &dmean = in[in.size() - 2], &dvariance = in.back();
    const Node one = zeros_like(x) + 1.0, count = total(one);
    dx = dx + dmean / count + centered * (dvariance * 2.0 / count);
  }
  return {cast(dx, in[0].dtype()), total(dy * h), total(dy)};
}

Nodes BatchNormGrad::gradient(const Node& y, const Nodes& dys, const Needs&) const {
  return norm::gradient_of_composition(*this, y, dys);
}

bool BatchNormGrad::accepts(const KernelRow& row, const Specs& in, const Specs&) const {
  if (in[0].dtype != row.dtype) return false;
  return row.isa == Isa::cuda || !scale || in[1].dtype == row.dtype;
}

void BatchNormGrad::bind(const Bind& b, const KernelRow& row, BatchNormGradArgs& a) const {
  const BoundValue& x = b.in(0);
  const int64_t cols = x.shape[x.rank - 1];
  const int at = scale ? 2 : 1;
  a = {b.read(0),
       scale ? b.read(1) : nullptr,
       b.read(at),
       b.read(at + 1),
       b.read(at + 2),
       statistics ? b.read(at + 3) : nullptr,
       statistics ? b.read(at + 4) : nullptr,
       b.write(0),
       b.write(1),
       b.write(2),
       row.isa == Isa::cuda ? nullptr : b.workspace(),
       x.size(0, x.rank - 1),
       cols,
       batch_norm_chunk(cols),
       epsilon,
       scale ? b.in(1).dtype : DType::f32};
}

int64_t BatchNormGrad::units(const BatchNormGradArgs& a, int64_t phase) const { return phase_units(a, phase); }
std::vector<Dim> BatchNormGrad::workspaces(const Specs& in, const Specs&) const { return partial_bytes(in[0]); }

}  // namespace maas
