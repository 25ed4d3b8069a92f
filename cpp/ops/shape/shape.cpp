#include "ops/shape/shape.h"

#include <algorithm>

#include "graph/broadcast.h"
#include "graph/op_model.h"
#include "ops/build.h"

namespace maas {

// ---- reshape

MAAS_DEFINE_OP(reshape, Reshape)

Specs Reshape::infer(const Inputs& in) const {
  check(in.size() == 1, "reshape: one operand is needed, received ", in.size());
  const Spec& x = in[0];
  Shape out = shape;
  int unknown = -1;
  Dim known(1);
  for (size_t i = 0; i < out.size(); ++i) {
    if (out[i].is(-1)) {
      check(unknown < 0, "reshape: only one size may be -1, received ", to_string(shape));
      unknown = static_cast<int>(i);
    } else {
      known = known * out[i];
    }
  }
  const Dim total = product(x.shape);
  if (unknown >= 0) {
    check(!known.is(0) || total.is(0), "reshape: cannot tell the size of -1 beside a 0, received ", to_string(shape));
    Dim& d = out[static_cast<size_t>(unknown)] = known.is(0) ? Dim(0) : floordiv(total, known);
    check(known.is(0) || agree(d * known, total, "reshape", "the elements must fill the new shape"),
          "reshape: x of shape ", to_string(x.shape), " has ", total, " elements, which do not fill shape ",
          to_string(shape));
  } else {
    check(agree(total, known, "reshape", "the elements must fill the new shape"), "reshape: x of shape ",
          to_string(x.shape), " does not fit the new shape, received ", to_string(shape));
  }
  return {Spec{x.dtype, std::move(out), x.value}};
}

// Dense stays dense. Else every new axis must come from one run of old axes that lies regularly; the common case of
// splitting the last axis (heads) or joining regular ones is found by matching products from the right.
bool Reshape::view(const Specs& in, const Spec& out, const Layout& input, Layout& output) const {
  const Shape& from = in[0].shape;
  if (is_row_major(input, from)) {
    output = row_major(out.shape);
    return true;
  }
  output.offset = input.offset;
  output.strides.assign(out.shape.size(), Dim(1));
  size_t i = from.size(), j = out.shape.size();
  while (i > 0 || j > 0) {
    if (i > 0 && from[i - 1].is(1)) {
      --i;
      continue;
    }
    if (j > 0 && out.shape[j - 1].is(1)) {
      output.strides[--j] = Dim(1);
      continue;
    }
    if (i == 0 || j == 0) return false;
    // One group: old axes [a, i) and new axes [b, j) with equal products.
    size_t a = i - 1, b = j - 1;
    Dim left = from[a], right = out.shape[b];
    while (!(left == right)) {
      const bool grow_new = left.is_constant() && right.is_constant() ? left.constant() > right.constant() : b > 0;
      if (grow_new && b > 0)
        right = right * out.shape[--b];
      else if (a > 0)
        left = left * from[--a];
      else
        return false;
    }
    for (size_t k = a; k + 1 < i; ++k)
      if (!(input.strides[k] == input.strides[k + 1] * from[k + 1])) return false;
    Dim stride = input.strides[i - 1];
    for (size_t k = j; k-- > b;) {
      output.strides[k] = stride;
      stride = stride * out.shape[k];
    }
    i = a;
    j = b;
  }
  return true;
}

Nodes Reshape::gradient(const Node& y, const Nodes& dys, const Needs&) const {
  return {maas::reshape(dys[0], y.input(0).shape())};
}

// ---- transpose

MAAS_DEFINE_OP(transpose, Transpose)

namespace {
std::vector<int64_t> order(const std::vector<int64_t>& axes, const Shape& shape) {
  std::vector<int64_t> out;
  if (axes.empty())
    for (size_t i = shape.size(); i-- > 0;) out.push_back(static_cast<int64_t>(i));
  for (int64_t a : axes) out.push_back(normalize_axis("transpose", a, shape));
  auto sorted = out;
  std::sort(sorted.begin(), sorted.end());
  check(out.size() == shape.size() && std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end(),
        "transpose: axes must name each axis of x of shape ", to_string(shape), " once, received ",
        to_string(to_shape(axes)));
  return out;
}
}  // namespace

Specs Transpose::infer(const Inputs& in) const {
  check(in.size() == 1, "transpose: one operand is needed, received ", in.size());
  Shape out;
  for (int64_t a : order(axes, in[0].shape)) out.push_back(in[0].shape[static_cast<size_t>(a)]);
  return {Spec{in[0].dtype, std::move(out), {}}};
}

bool Transpose::view(const Specs& in, const Spec&, const Layout& input, Layout& output) const {
  output.offset = input.offset;
  for (int64_t a : order(axes, in[0].shape)) output.strides.push_back(input.strides[static_cast<size_t>(a)]);
  return true;
}

Nodes Transpose::gradient(const Node& y, const Nodes& dys, const Needs&) const {
  const auto forward = order(axes, y.input(0).shape());
  std::vector<int64_t> back(forward.size());
  for (size_t i = 0; i < forward.size(); ++i) back[static_cast<size_t>(forward[i])] = static_cast<int64_t>(i);
  return {maas::transpose(dys[0], back)};
}

// ---- broadcast_to

MAAS_DEFINE_OP(broadcast_to, BroadcastTo)

Specs BroadcastTo::infer(const Inputs& in) const {
  check(in.size() == 1, "broadcast_to: one operand is needed, received ", in.size());
  const Shape& x = in[0].shape;
  Shape out = shape;
  check(out.size() >= x.size(), "broadcast_to: the new shape has fewer axes than x of shape ", to_string(x),
        ", received ", to_string(shape));
  const size_t lead = out.size() - x.size();
  for (size_t i = 0; i < x.size(); ++i) {
    if (out[lead + i].is(-1)) out[lead + i] = x[i];
    check(x[i].is(1) || x[i] == out[lead + i] ||
              (at_most_one(x[i]) && agree(x[i], Dim(1), "broadcast_to", "an axis that broadcasts must not be empty")) ||
              agree(x[i], out[lead + i], "broadcast_to", "an axis must have size 1 or the new size"),
          "broadcast_to: x of shape ", to_string(x), " does not broadcast to the new shape, received ",
          to_string(shape));
  }
  return {Spec{in[0].dtype, std::move(out), {}}};
}

bool BroadcastTo::view(const Specs& in, const Spec& out, const Layout& input, Layout& output) const {
  output.offset = input.offset;
  output.strides.assign(out.shape.size(), Dim(0));
  const size_t lead = out.shape.size() - in[0].shape.size();
  for (size_t i = 0; i < in[0].shape.size(); ++i)
    if (in[0].shape[i] == out.shape[lead + i] ? !in[0].shape[i].is(1) : !at_most_one(in[0].shape[i]))
      output.strides[lead + i] = input.strides[i];
  return true;
}

Nodes BroadcastTo::gradient(const Node& y, const Nodes& dys, const Needs&) const {
  return {sum_to(dys[0], y.input(0).shape())};
}

// ---- slice

MAAS_DEFINE_OP(slice, Slice)

Specs Slice::infer(const Inputs& in) const {
  check(!in.empty(), "slice: an operand is needed, received 0");
  const Shape& x = in[0].shape;
  check(begin.size() == x.size() && end.size() == x.size() && step.size() == x.size(),
        "slice: begin, end and step must have one entry per axis of x of shape ", to_string(x), ", received ",
        begin.size(), ", ", end.size(), " and ", step.size());
  Shape out;
  for (size_t i = 0; i < x.size(); ++i) {
    check(step[i] >= 1, "slice: step must be at least 1, received ", step[i]);
    // What cannot be told yet is told when a run binds its sizes: nothing outside x is ever read.
    const bool inside = agree(min(begin[i], Dim(0)), Dim(0), "slice", "the start must not be negative") &&
                        agree(max(begin[i], end[i]), end[i], "slice", "the end must not lie before the start") &&
                        agree(max(end[i], x[i]), x[i], "slice", "index out of range, the end must lie inside the axis");
    check(inside, "slice: [", begin[i], ", ", end[i], ") must lie inside axis ", i, " of x of shape ", to_string(x),
          ", received begin ", begin[i], " and end ", end[i]);
    out.push_back(step[i] == 1 ? end[i] - begin[i] : floordiv(end[i] - begin[i] + Dim(step[i] - 1), Dim(step[i])));
  }
  std::optional<std::vector<Dim>> value;
  if (in[0].value && x.size() == 1 && begin[0].is_constant() && end[0].is_constant()) {
    value.emplace();
    for (int64_t i = begin[0].constant(); i < end[0].constant(); i += step[0])
      value->push_back((*in[0].value)[static_cast<size_t>(i)]);
  }
  return {Spec{in[0].dtype, std::move(out), std::move(value)}};
}

// int4 lies two to a byte, where no view begins in the middle.
Nodes Slice::lower(const Node& y) const {
  if (y.dtype() != DType::i4) return {};
  return {cast(apply(*this, {cast(y.input(0), DType::i8)}), DType::i4)};
}

bool Slice::view(const Specs& in, const Spec&, const Layout& input, Layout& output) const {
  output.offset = input.offset;
  for (size_t i = 0; i < in[0].shape.size(); ++i) {
    output.offset = output.offset + begin[i] * input.strides[i];
    output.strides.push_back(input.strides[i] * Dim(step[i]));
  }
  return true;
}

Nodes Slice::gradient(const Node& y, const Nodes& dys, const Needs&) const {
  return {op("slice_gradient", {dys[0]}, {{"begin", begin}, {"step", step}, {"shape", y.input(0).shape()}})};
}

}  // namespace maas
