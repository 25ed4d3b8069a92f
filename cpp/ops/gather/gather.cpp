#include "ops/gather/gather.h"

#include "graph/axis.h"
#include "graph/op_model.h"
#include "ops/build.h"

#define MAAS_KERNELS "ops/gather/take_kernels.inc"
#define MAAS_KERNEL_ARGS GatherArgs
#define MAAS_KERNEL_TABLE take_kernels
#include "core/kernel_table.h"

#define MAAS_KERNELS "ops/gather/take_gradient_kernels.inc"
#define MAAS_KERNEL_ARGS GatherArgs
#define MAAS_KERNEL_TABLE take_gradient_kernels
#include "core/kernel_table.h"

#define MAAS_KERNELS "ops/gather/take_along_kernels.inc"
#define MAAS_KERNEL_ARGS GatherArgs
#define MAAS_KERNEL_TABLE take_along_kernels
#include "core/kernel_table.h"

#define MAAS_KERNELS "ops/gather/take_along_gradient_kernels.inc"
#define MAAS_KERNEL_ARGS GatherArgs
#define MAAS_KERNEL_TABLE take_along_gradient_kernels
#include "core/kernel_table.h"

namespace maas {

MAAS_DEFINE_OP(take, Take)
MAAS_DEFINE_OP(take_gradient, TakeGradient)
MAAS_DEFINE_OP(take_along_axis, TakeAlongAxis)
MAAS_DEFINE_OP(take_along_axis_gradient, TakeAlongAxisGradient)
const KernelTable& Take::kernels() { return take_kernels; }
const KernelTable& TakeGradient::kernels() { return take_gradient_kernels; }
const KernelTable& TakeAlongAxis::kernels() { return take_along_kernels; }
const KernelTable& TakeAlongAxisGradient::kernels() { return take_along_gradient_kernels; }

namespace {

void check_indices(const char* name, const Inputs& in) {
  check(in.size() == 2, name, ": two operands are needed, received ", in.size());
  if (!is_integer(in[1].dtype) || bit_size(in[1].dtype) < 8)
    fail(ErrorKind::type, name, ": indices must be integers, received ", in[1].dtype);
}

// x: the operand whose axes `first`..`last` stand for the indexed axis.
void bind_gather(const Bind& b, int first, int last, GatherArgs& a) {
  const BoundValue &x = b.in(0), &indices = b.in(1);
  a = {};
  a.x = x.data;
  a.indices = indices.data;
  a.y = b.write(0);
  a.dtype = x.dtype;
  a.index_dtype = indices.dtype;
  a.bytes = bit_size(x.dtype) / 8;
  a.outer = x.size(0, first);
  a.inner = x.size(last, x.rank);
}

}  // namespace

// ---- take

Specs Take::infer(const Inputs& in) const {
  check_indices("take", in);
  const Shape& x = in[0].shape;
  const auto at = static_cast<std::ptrdiff_t>(normalize_axis("take", axis, x));
  Shape out(x.begin(), x.begin() + at);
  out.insert(out.end(), in[1].shape.begin(), in[1].shape.end());
  out.insert(out.end(), x.begin() + at + 1, x.end());
  // Sizes picked from a shape stay sizes.
  std::optional<std::vector<Dim>> value;
  if (in[0].value && in[1].value && x.size() == 1 && in[1].shape.size() <= 1) {
    value.emplace();
    for (const Dim& d : *in[1].value) {
      if (!d.is_constant()) {
        value.reset();
        break;
      }
      const auto n = static_cast<int64_t>(in[0].value->size());
      const int64_t i = d.constant() < 0 ? d.constant() + n : d.constant();
      if (i < 0 || i >= n)
        fail(ErrorKind::index, "take: index out of range for x of shape ", to_string(x), ", received ", d.constant());
      value->push_back((*in[0].value)[static_cast<size_t>(i)]);
    }
  }
  return {Spec{in[0].dtype, std::move(out), std::move(value)}};
}

Nodes Take::gradient(const Node& y, const Nodes& dys, const Needs&) const {
  const Node& x = y.input(0);
  const int64_t at = normalize_axis("take", axis, x.shape());
  return {op("take_gradient", {dys[0], y.input(1)},
             {{"axis", at}, {"size", Shape{x.shape()[static_cast<size_t>(at)]}}, {"rule", rule}}),
          Node()};
}

void Take::bind(const Bind& b, GatherArgs& a) const {
  const BoundValue& x = b.in(0);
  const int at = from_front(axis, x.rank);
  bind_gather(b, at, at + 1, a);
  a.size = x.shape[at];
  a.low = -a.size;
  a.count = b.in(1).size();
}

Specs TakeGradient::infer(const Inputs& in) const {
  check_indices("take_gradient", in);
  const Shape &dy = in[0].shape, &indices = in[1].shape;
  const auto at = static_cast<size_t>(axis);
  bool fits = axis >= 0 && at + indices.size() <= dy.size() && size.size() == 1;
  for (size_t i = 0; i < indices.size() && fits; ++i)
    fits = agree(dy[at + i], indices[i], "take_gradient", "dy must hold the indices' shape");
  check(fits, "take_gradient: dy must hold the indices' shape from axis ", axis, ", received dy ", to_string(dy),
        " and indices ", to_string(indices));
  Shape out(dy.begin(), dy.begin() + axis);
  out.push_back(size[0]);
  out.insert(out.end(), dy.begin() + static_cast<std::ptrdiff_t>(at + indices.size()), dy.end());
  return {Spec{in[0].dtype, std::move(out), {}}};
}

Nodes TakeGradient::gradient(const Node& y, const Nodes& dys, const Needs&) const {
  return {op("take", {dys[0], y.input(1)}, {{"axis", axis}, {"rule", rule}}), Node()};
}

void TakeGradient::bind(const Bind& b, GatherArgs& a) const {
  const int at = static_cast<int>(axis);
  bind_gather(b, at, at + b.in(1).rank, a);
  a.size = b.out().shape[at];
  a.low = -a.size;
  a.count = b.in(1).size();
}

// ---- take_along_axis

Specs TakeAlongAxis::infer(const Inputs& in) const {
  check_indices("take_along_axis", in);
  const Shape &x = in[0].shape, &indices = in[1].shape;
  const auto at = static_cast<size_t>(normalize_axis("take_along_axis", axis, x));
  bool fits = x.size() == indices.size();
  for (size_t i = 0; i < x.size() && fits; ++i)
    fits = i == at || agree(x[i], indices[i], "take_along_axis", "other axes must be equal");
  check(fits, "take_along_axis: x and indices must agree on every axis but ", at, ", received ", to_string(x), " and ",
        to_string(indices));
  return {Spec{in[0].dtype, indices, {}}};
}

Nodes TakeAlongAxis::gradient(const Node& y, const Nodes& dys, const Needs&) const {
  const Node& x = y.input(0);
  const int64_t at = normalize_axis("take_along_axis", axis, x.shape());
  return {op("take_along_axis_gradient", {dys[0], y.input(1)},
             {{"axis", at}, {"size", Shape{x.shape()[static_cast<size_t>(at)]}}, {"wrap", wrap}, {"rule", rule}}),
          Node()};
}

void TakeAlongAxis::bind(const Bind& b, GatherArgs& a) const {
  const BoundValue& x = b.in(0);
  const int at = from_front(axis, x.rank);
  bind_gather(b, at, at + 1, a);
  a.size = x.shape[at];
  a.low = wrap ? -a.size : 0;
  a.count = b.in(1).shape[at];
}

Specs TakeAlongAxisGradient::infer(const Inputs& in) const {
  check_indices("take_along_axis_gradient", in);
  check(in[0].shape == in[1].shape && axis >= 0 && axis < in[0].rank() && size.size() == 1,
        "take_along_axis_gradient: dy and indices must have one shape, received ", to_string(in[0].shape), " and ",
        to_string(in[1].shape));
  Shape out = in[0].shape;
  out[static_cast<size_t>(axis)] = size[0];
  return {Spec{in[0].dtype, std::move(out), {}}};
}

Nodes TakeAlongAxisGradient::gradient(const Node& y, const Nodes& dys, const Needs&) const {
  return {op("take_along_axis", {dys[0], y.input(1)}, {{"axis", axis}, {"wrap", wrap}, {"rule", rule}}), Node()};
}

void TakeAlongAxisGradient::bind(const Bind& b, GatherArgs& a) const {
  const int at = static_cast<int>(axis);
  bind_gather(b, at, at + 1, a);
  a.size = b.out().shape[at];
  a.low = wrap ? -a.size : 0;
  a.count = b.in(0).shape[at];
}

}  // namespace maas
