#pragma once
// Public ops as C++ functions: what gradients and compositions are written in.
#include <vector>

#include "graph/op.h"
#include "graph/primitives.h"

namespace maas {

// Elementwise, broadcasting as NumPy does. A number takes the other operand's dtype.
Node operator+(const Node& a, const Node& b);
Node operator-(const Node& a, const Node& b);
Node operator*(const Node& a, const Node& b);
Node operator/(const Node& a, const Node& b);
Node operator-(const Node& a);
Node operator+(const Node& a, double b);
Node operator-(const Node& a, double b);
Node operator*(const Node& a, double b);
Node operator/(const Node& a, double b);
Node operator+(double a, const Node& b);
Node operator-(double a, const Node& b);
Node operator*(double a, const Node& b);
Node operator/(double a, const Node& b);
Node unary(const char* name, const Node& x);
Node binary(const char* name, const Node& a, const Node& b);
Node binary(const char* name, const Node& a, double b);
Node where(const Node& condition, const Node& a, const Node& b);
Node cast(const Node& x, DType dtype);
Node full(const Shape& shape, DType dtype, double value);
Node zeros_like(const Node& x);

Node reshape(const Node& x, const Shape& shape);
Node transpose(const Node& x, const std::vector<int64_t>& axes);
Node swap_last(const Node& x);  // the last two axes
Node sum(const Node& x, const std::vector<int64_t>& axes, bool keepdims);
Node matmul(const Node& a, const Node& b, bool transpose_a = false, bool transpose_b = false);
Node concatenate(const Nodes& parts, int64_t axis);
// The part [begin, end) of one axis.
Node slice_axis(const Node& x, int64_t axis, const Dim& begin, const Dim& end);
// The gradient of a broadcast: sums dy down to `shape`.
Node sum_to(const Node& dy, const Shape& shape);

}  // namespace maas
