#include "ops/norm/group_norm.h"

#include <algorithm>

#include "graph/op_model.h"
#include "ops/build.h"
#include "ops/norm/common.h"

#define MAAS_KERNELS "ops/norm/group_norm_kernels.inc"
#define MAAS_KERNEL_ARGS GroupNormArgs
#define MAAS_KERNEL_TABLE group_norm_kernels
#include "core/kernel_table.h"

namespace maas {

using norm::statistics_type;

MAAS_DEFINE_OP(group_norm, GroupNorm)
const KernelTable& GroupNorm::kernels() { return group_norm_kernels; }

Specs GroupNorm::infer(const Inputs& in) const {
  const size_t wanted = 1 + size_t{scale} + size_t{center};
  check(in.size() == wanted, "group_norm: ", wanted, " operands are needed, received ", in.size());
  const Spec& x = in[0];
  if (!is_floating(x.dtype)) fail(ErrorKind::type, "group_norm: x must be floating, received ", x.dtype);
  check(x.rank() >= 2 && x.shape.back().is_constant(),
        "group_norm: x must have at least two axes and known channels, received ", to_string(x.shape));
  const int64_t channels = x.shape.back().constant();
  check(groups >= 1 && groups <= std::max<int64_t>(channels, 1) && channels % groups == 0,
        "group_norm: groups must divide the ", channels, " channels, received groups=", groups);
  for (size_t i = 1; i < in.size(); ++i)
    check(in[i].shape == Shape{Dim(channels)} && is_floating(in[i].dtype),
          "group_norm: ", scale && i == 1 ? "gamma" : "beta", " must be floating and of shape ",
          to_string({Dim(channels)}), ", received ", in[i].dtype, " ", to_string(in[i].shape));
  return {Spec{x.dtype, x.shape, {}}};
}

Nodes GroupNorm::composition(const Nodes& in) const {
  const DType type = statistics_type(in[0].dtype());
  const Shape& shape = in[0].shape();
  const int64_t channels = shape.back().constant();
  const Node x =
      reshape(cast(in[0], type), {shape[0], product(shape, 1, shape.size() - 1), Dim(groups), Dim(channels / groups)});
  const Node centered = x - norm::mean(x, {1, 3}, true);
  const Node rstd = unary("rsqrt", norm::mean(centered * centered, {1, 3}, true) + epsilon);
  Node y = reshape(centered * rstd, shape);
  if (scale) y = y * cast(in[1], type);
  if (center) y = y + cast(in[scale ? 2 : 1], type);
  return {cast(y, in[0].dtype())};
}

// Kernels of a CPU know float32 and float64.
Nodes GroupNorm::lower(const Node& y) const {
  const Node& x = y.input(0);
  if (!target().is_cpu()) {
    const bool plain = std::all_of(y->inputs.begin() + 1, y->inputs.end(),
                                   [&](const Node& n) { return norm::gpu_reads(n.dtype(), x.dtype()); });
    if (plain) return {};
  }
  const DType type = statistics_type(x.dtype());
  if (std::all_of(y->inputs.begin(), y->inputs.end(), [&](const Node& n) { return n.dtype() == type; })) return {};
  Nodes inputs;
  for (const Node& n : y->inputs) inputs.push_back(cast(n, type));
  return {cast(apply(*this, std::move(inputs)), x.dtype())};
}

bool GroupNorm::accepts(const KernelRow& row, const Specs& in, const Specs&) const {
  if (row.isa != Isa::cuda) return in[0].dtype == row.dtype;
  return in[0].dtype == row.dtype &&
         std::all_of(in.begin() + 1, in.end(), [&](const Spec& s) { return norm::gpu_reads(s.dtype, row.dtype); });
}

Nodes GroupNorm::gradient(const Node& y, const Nodes& dys, const Needs&) const {
  return norm::gradient_of_composition(*this, y, dys);
}

void GroupNorm::bind(const Bind& b, GroupNormArgs& a) const {
  const BoundValue& x = b.in(0);
  const int64_t channels = x.shape[x.rank - 1];
  a = {b.read(0),
       scale ? b.read(1) : nullptr,
       center ? b.read(scale ? 2 : 1) : nullptr,
       b.write(0),
       x.shape[0],
       x.size(1, x.rank - 1),
       channels,
       groups,
       std::clamp<int64_t>(64 * groups / std::max<int64_t>(channels, 1), 1, 64),
       epsilon,
       scale ? b.in(1).dtype : DType::f32,
       center ? b.in(scale ? 2 : 1).dtype : DType::f32};
}

}  // namespace maas
