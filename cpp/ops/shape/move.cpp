#include "ops/shape/move.h"

#include <algorithm>
#include <cstring>

#include "core/element_io.h"
#include "graph/axis.h"
#include "graph/op_model.h"
#include "ops/build.h"

#define MAAS_KERNELS "ops/shape/concatenate_kernels.inc"
#define MAAS_KERNEL_ARGS ConcatenateArgs
#define MAAS_KERNEL_TABLE concatenate_kernels
#include "core/kernel_table.h"

#define MAAS_KERNELS "ops/shape/place_kernels.inc"
#define MAAS_KERNEL_ARGS PlaceArgs
#define MAAS_KERNEL_TABLE place_kernels
#include "core/kernel_table.h"

#define MAAS_KERNELS "ops/shape/arange_kernels.inc"
#define MAAS_KERNEL_ARGS ArangeArgs
#define MAAS_KERNEL_TABLE arange_kernels
#include "core/kernel_table.h"

#define MAAS_KERNELS "ops/shape/one_hot_kernels.inc"
#define MAAS_KERNEL_ARGS OneHotArgs
#define MAAS_KERNEL_TABLE one_hot_kernels
#include "core/kernel_table.h"

namespace maas {

// ---- concatenate

MAAS_DEFINE_OP(concatenate, Concatenate)
const KernelTable& Concatenate::kernels() { return concatenate_kernels; }

Specs Concatenate::infer(const Inputs& in) const {
  check(!in.empty(), "concatenate: at least one input is needed, received 0");
  const Shape& first = in[0].shape;
  check(!first.empty(), "concatenate: inputs must have an axis, received a scalar");
  check(first.size() <= kMoveRank, "concatenate: at most 8 axes, received shape ", to_string(first));
  const auto at = static_cast<size_t>(normalize_axis("concatenate", axis, first));
  Shape out = first;
  std::optional<std::vector<Dim>> value;
  if (first.size() == 1) value.emplace();
  for (size_t k = 0; k < in.size(); ++k) {
    const Shape& x = in[k].shape;
    bool fits = x.size() == first.size();
    for (size_t i = 0; i < x.size() && fits; ++i)
      fits = i == at || agree(x[i], first[i], "concatenate", "other axes must be equal");
    check(fits, "concatenate: inputs must agree on every axis but ", at, ", received ", to_string(first), " and ",
          to_string(x));
    if (in[k].dtype != in[0].dtype)
      fail(ErrorKind::type, "concatenate: inputs must have one dtype, received ", in[0].dtype, " and ", in[k].dtype);
    if (k) out[at] = out[at] + x[at];
    if (!in[k].value) value.reset();
    if (value) value->insert(value->end(), in[k].value->begin(), in[k].value->end());
  }
  return {Spec{in[0].dtype, std::move(out), std::move(value)}};
}

// Long lists are joined in groups: the kernel's table of inputs has a fixed length.
Nodes Concatenate::lower(const Node& y) const {
  const Nodes& parts = y->inputs;
  if (parts.size() <= ConcatenateArgs::max_inputs) return {};
  Nodes groups;
  for (size_t i = 0; i < parts.size(); i += ConcatenateArgs::max_inputs) {
    const size_t end = std::min(parts.size(), i + ConcatenateArgs::max_inputs);
    groups.push_back(maas::concatenate(
        Nodes(parts.begin() + static_cast<std::ptrdiff_t>(i), parts.begin() + static_cast<std::ptrdiff_t>(end)), axis));
  }
  return {maas::concatenate(groups, axis)};
}

Nodes Concatenate::gradient(const Node& y, const Nodes& dys, const Needs& needs) const {
  const int64_t at = normalize_axis("concatenate", axis, y.shape());
  Nodes dxs;
  Dim begin(0);
  for (size_t k = 0; k < y->inputs.size(); ++k) {
    const Dim end = begin + y.input(static_cast<int>(k)).shape()[static_cast<size_t>(at)];
    dxs.push_back(needs[k] ? slice_axis(dys[0], at, begin, end) : Node());
    begin = end;
  }
  return dxs;
}

void Concatenate::bind(const Bind& b, ConcatenateArgs& a) const {
  const BoundValue& y = b.out();
  a.y = y.data;
  a.rank = y.rank;
  a.axis = from_front(axis, y.rank);
  a.bytes = bit_size(y.dtype) / 8;
  std::copy(y.shape, y.shape + y.rank, a.shape);
  a.outer = y.size(0, a.axis);
  a.total = y.shape[a.axis];
  a.inner = y.size(a.axis + 1, y.rank);
  a.inputs = 0;
  // Inputs fill y along the axis, so their number follows from the sizes.
  for (int64_t filled = 0, k = 0; filled < a.total; ++k) {
    const BoundValue& x = b.in(static_cast<int>(k));
    if (x.shape[a.axis] == 0) continue;
    ConcatenateArgs::Part& part = a.parts[a.inputs++];
    part.x = x.data;
    part.size = x.shape[a.axis];
    part.offset = filled;
    filled += part.size;
    part.dense = true;
    int64_t expected = 1;
    for (int d = x.rank; d-- > 0;) {
      part.strides[d] = x.strides[d];
      part.dense = part.dense && (x.shape[d] == 1 || x.strides[d] == expected);
      expected *= x.shape[d];
    }
  }
  if (y.size() == 0) a.inputs = 0;
}

// ---- pad and the gradient of slice: both place x into a larger y

MAAS_DEFINE_OP(pad, Pad)
MAAS_DEFINE_OP(slice_gradient, SliceGradient)
const KernelTable& Pad::kernels() { return place_kernels; }
const KernelTable& SliceGradient::kernels() { return place_kernels; }

namespace {

// Offsets that are unknown until sizes are bound ride as the shape of a second input, a view of one zero.
Node offsets_as_shape(const Shape& begin) { return full(begin, DType::f32, 0); }

void bind_place(const Bind& b, const Shape& begin, const std::vector<int64_t>* step, PlaceArgs& a) {
  const BoundValue &x = b.in(0), &y = b.out();
  a.x = x.data;
  a.y = y.data;
  a.bytes = bit_size(y.dtype) / 8;
  a.rank = std::max(y.rank, 1);
  a.x_shape[0] = a.y_shape[0] = a.step[0] = 1;
  a.begin[0] = 0;
  for (int d = 0; d < y.rank; ++d) {
    a.x_shape[d] = x.shape[d];
    a.y_shape[d] = y.shape[d];
    a.step[d] = step ? (*step)[static_cast<size_t>(d)] : 1;
    a.begin[d] = is_constant(begin) ? begin[static_cast<size_t>(d)].constant() : b.in(1).shape[d];
  }
  a.rows = y.size() ? y.size() / a.y_shape[a.rank - 1] : 0;
  std::memset(a.value, 0, sizeof a.value);
}

// One operand, or, lowered, a second one whose shape is where it begins.
void check_place(const char* name, const Inputs& in) {
  check(in.size() == 1 || (in.size() == 2 && in[1].shape.size() == in[0].shape.size()), name,
        ": one operand is needed, received ", in.size());
}

}  // namespace

Specs Pad::infer(const Inputs& in) const {
  check_place("pad", in);
  const Shape& x = in[0].shape;
  check(before.size() == x.size() && after.size() == x.size(),
        "pad: before and after must have one entry per axis of x of shape ", to_string(x), ", received ", before.size(),
        " and ", after.size());
  check(x.size() <= kMoveRank, "pad: at most 8 axes, received shape ", to_string(x));
  Shape out;
  for (size_t i = 0; i < x.size(); ++i) {
    check(agree(min(before[i], Dim(0)), Dim(0), "pad", "widths must not be negative") &&
              agree(min(after[i], Dim(0)), Dim(0), "pad", "widths must not be negative"),
          "pad: widths must be at least 0, received (", before[i], ", ", after[i], ") for axis ", i);
    out.push_back(before[i] + x[i] + after[i]);
  }
  return {Spec{in[0].dtype, std::move(out), {}}};
}

Nodes Pad::gradient(const Node& y, const Nodes& dys, const Needs&) const {
  const Shape& x = y.input(0).shape();
  Shape end;
  for (size_t i = 0; i < x.size(); ++i) end.push_back(before[i] + x[i]);
  return {op("slice", {dys[0]}, {{"begin", before}, {"end", end}, {"step", std::vector<int64_t>(x.size(), 1)}})};
}

Nodes Pad::lower(const Node& y) const {
  if (is_constant(before) || y->inputs.size() > 1) return {};
  return {maas::apply(y->op, {y.input(0), offsets_as_shape(before)})};
}

void Pad::bind(const Bind& b, PlaceArgs& a) const {
  bind_place(b, before, nullptr, a);
  store_element(a.value, b.out().dtype, 0, value);
}

Specs SliceGradient::infer(const Inputs& in) const {
  check_place("slice_gradient", in);
  const Shape& dy = in[0].shape;
  check(begin.size() == dy.size() && step.size() == dy.size() && shape.size() == dy.size(),
        "slice_gradient: begin, step and shape must have one entry per axis of dy of shape ", to_string(dy),
        ", received ", begin.size(), ", ", step.size(), " and ", shape.size());
  check(dy.size() <= kMoveRank, "slice_gradient: at most 8 axes, received shape ", to_string(dy));
  for (size_t i = 0; i < dy.size(); ++i)
    if (begin[i].is_constant() && dy[i].is_constant() && shape[i].is_constant())
      check(dy[i].is(0) || (begin[i].constant() >= 0 && step[i] >= 1 &&
                            begin[i].constant() + (dy[i].constant() - 1) * step[i] < shape[i].constant()),
            "slice_gradient: dy of shape ", to_string(dy), " from ", to_string(begin),
            " must lie inside the shape, received ", to_string(shape));
  return {Spec{in[0].dtype, shape, {}}};
}

Nodes SliceGradient::gradient(const Node& y, const Nodes& dys, const Needs&) const {
  const Shape& x = y.input(0).shape();
  Shape end;
  for (size_t i = 0; i < x.size(); ++i)
    end.push_back(x[i].is(0) ? begin[i] : begin[i] + (x[i] - Dim(1)) * Dim(step[i]) + Dim(1));
  return {op("slice", {dys[0]}, {{"begin", begin}, {"end", end}, {"step", step}})};
}

Nodes SliceGradient::lower(const Node& y) const {
  if (is_constant(begin) || y->inputs.size() > 1) return {};
  return {maas::apply(y->op, {y.input(0), offsets_as_shape(begin)})};
}

void SliceGradient::bind(const Bind& b, PlaceArgs& a) const { bind_place(b, begin, &step, a); }

// ---- flip

MAAS_DEFINE_OP(flip, Flip)

Specs Flip::infer(const Inputs& in) const {
  check(in.size() == 1, "flip: one operand is needed, received ", in.size());
  return {Spec{in[0].dtype, in[0].shape, {}}};
}

bool Flip::view(const Specs& in, const Spec&, const Layout& input, Layout& output) const {
  output = input;
  for (int64_t a : normalize_axes("flip", axis, in[0].shape)) {
    const auto i = static_cast<size_t>(a);
    // An empty axis has no last element to start from.
    if (in[0].shape[i].is(0)) continue;
    output.offset = output.offset + (in[0].shape[i] - Dim(1)) * input.strides[i];
    output.strides[i] = Dim(0) - input.strides[i];
  }
  return true;
}

Nodes Flip::gradient(const Node&, const Nodes& dys, const Needs&) const {
  return {op("flip", {dys[0]}, {{"axis", axis}})};
}

// ---- arange

MAAS_DEFINE_OP(arange, Arange)
const KernelTable& Arange::kernels() { return arange_kernels; }

Specs Arange::infer(const Inputs& in) const {
  check(in.empty(), "arange: no operands are needed, received ", in.size());
  check(size.size() == 1 && (!size[0].is_constant() || size[0].constant() >= 0),
        "arange: size must be one size, received ", to_string(size));
  std::optional<std::vector<Dim>> value;
  if (is_integer(dtype) && size[0].is_constant() && size[0].constant() <= 64) {
    value.emplace();
    for (int64_t i = 0; i < size[0].constant(); ++i)
      value->push_back(Dim(to_integer_element<int64_t>(start + static_cast<double>(i) * step)));
  }
  return {Spec{dtype, size, std::move(value)}};
}

void Arange::bind(const Bind& b, ArangeArgs& a) const { a = {b.write(0), dtype, b.out().shape[0], start, step}; }

// ---- one_hot

MAAS_DEFINE_OP(one_hot, OneHot)
const KernelTable& OneHot::kernels() { return one_hot_kernels; }

Specs OneHot::infer(const Inputs& in) const {
  check(in.size() == 1, "one_hot: one operand is needed, received ", in.size());
  if (!is_integer(in[0].dtype)) fail(ErrorKind::type, "one_hot: indices must be integers, received ", in[0].dtype);
  check(num_classes >= 0, "one_hot: num_classes must be at least 0, received ", num_classes);
  Shape out = in[0].shape;
  out.push_back(Dim(num_classes));
  return {Spec{dtype, std::move(out), {}}};
}

void OneHot::bind(const Bind& b, OneHotArgs& a) const {
  const BoundValue& x = b.in(0);
  a = {x.data, b.write(0), x.dtype, dtype, num_classes ? x.size() : 0, num_classes};
}

}  // namespace maas
