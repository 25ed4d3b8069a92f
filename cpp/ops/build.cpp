#include "ops/build.h"

#include <numeric>

#include "graph/broadcast.h"
#include "graph/op_model.h"
#include "graph/primitives.h"
#include "ops/elementwise/elementwise.h"

namespace maas {

Node unary(const char* name, const Node& x) { return op(name, {x}); }
Node binary(const char* name, const Node& a, const Node& b) { return op(name, {a, b}); }
Node binary(const char* name, const Node& a, double b) { return op(name, {a, scalar_node(a.dtype(), b)}); }

Node operator+(const Node& a, const Node& b) { return binary("add", a, b); }
Node operator-(const Node& a, const Node& b) { return binary("subtract", a, b); }
Node operator*(const Node& a, const Node& b) { return binary("multiply", a, b); }
Node operator/(const Node& a, const Node& b) { return binary("divide", a, b); }
Node operator-(const Node& a) { return unary("negative", a); }
Node operator+(const Node& a, double b) { return a + scalar_node(a.dtype(), b); }
Node operator-(const Node& a, double b) { return a - scalar_node(a.dtype(), b); }
Node operator*(const Node& a, double b) { return a * scalar_node(a.dtype(), b); }
Node operator/(const Node& a, double b) { return a / scalar_node(a.dtype(), b); }
Node operator+(double a, const Node& b) { return scalar_node(b.dtype(), a) + b; }
Node operator-(double a, const Node& b) { return scalar_node(b.dtype(), a) - b; }
Node operator*(double a, const Node& b) { return scalar_node(b.dtype(), a) * b; }
Node operator/(double a, const Node& b) { return scalar_node(b.dtype(), a) / b; }

Node where(const Node& condition, const Node& a, const Node& b) { return op("where", {condition, a, b}); }
Node cast(const Node& x, DType dtype) { return x.dtype() == dtype ? x : op("cast", {x}, {{"dtype", dtype}}); }
Node full(const Shape& shape, DType dtype, double value) { return broadcast_to(scalar_node(dtype, value), shape); }
Node zeros_like(const Node& x) { return full(x.shape(), x.dtype(), 0); }

Node add(const Node& a, const Node& b) { return a + b; }
Node broadcast_to(const Node& x, const Shape& shape) {
  return x.shape() == shape ? x : op("broadcast_to", {x}, {{"shape", shape}});
}
Node copy(const Node& x) { return op("copy", {x}); }
Node chain(const Chain& c, Nodes inputs, DType dtype) { return apply(ChainOp{c, dtype}, std::move(inputs)); }

Node reshape(const Node& x, const Shape& shape) {
  return x.shape() == shape ? x : op("reshape", {x}, {{"shape", shape}});
}
Node transpose(const Node& x, const std::vector<int64_t>& axes) { return op("transpose", {x}, {{"axes", axes}}); }
Node swap_last(const Node& x) {
  std::vector<int64_t> axes(x.shape().size());
  std::iota(axes.begin(), axes.end(), 0);
  std::swap(axes[axes.size() - 1], axes[axes.size() - 2]);
  return transpose(x, axes);
}
Node sum(const Node& x, const std::vector<int64_t>& axes, bool keepdims) {
  return op("sum", {x}, {{"axis", axes}, {"keepdims", keepdims}});
}
Node matmul(const Node& a, const Node& b, bool transpose_a, bool transpose_b) {
  return op("matmul", {a, b}, {{"transpose_a", transpose_a}, {"transpose_b", transpose_b}});
}
Node concatenate(const Nodes& parts, int64_t axis) { return op("concatenate", parts, {{"axis", axis}}); }

Node slice_axis(const Node& x, int64_t axis, const Dim& begin, const Dim& end) {
  Shape starts(x.shape().size(), Dim(0)), stops = x.shape();
  starts[static_cast<size_t>(axis)] = begin;
  stops[static_cast<size_t>(axis)] = end;
  return op("slice", {x}, {{"begin", starts}, {"end", stops}, {"step", std::vector<int64_t>(starts.size(), 1)}});
}

Node sum_to(const Node& dy, const Shape& shape) {
  if (dy.shape() == shape) return dy;
  std::vector<int64_t> axes;
  const size_t lead = dy.shape().size() - shape.size();
  for (size_t i = 0; i < dy.shape().size(); ++i)
    if (i < lead || (at_most_one(shape[i - lead]) && !(shape[i - lead] == dy.shape()[i]) && !dy.shape()[i].is(1)))
      axes.push_back(static_cast<int64_t>(i));
  return axes.empty() ? reshape(dy, shape) : reshape(sum(dy, axes, false), shape);
}

}  // namespace maas
