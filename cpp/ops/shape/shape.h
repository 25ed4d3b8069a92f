#pragma once
#include "graph/op.h"

// Ops that move or re-label elements. Those that can be said in strides are views and cost nothing.
namespace maas {

// y has x's elements in row-major order under another shape. One entry may be -1: what is left.
struct Reshape {
  Shape shape;
  MAAS_PARAMS(shape)
  Specs infer(const Inputs& in) const;
  bool view(const Specs& in, const Spec& out, const Layout& input, Layout& output) const;
  Nodes gradient(const Node& y, const Nodes& dys, const Needs&) const;
};

// y[i_axes[0], i_axes[1], ...] = x[i_0, i_1, ...]
struct Transpose {
  std::vector<int64_t> axes;
  MAAS_PARAMS(axes)
  Specs infer(const Inputs& in) const;
  bool view(const Specs& in, const Spec& out, const Layout& input, Layout& output) const;
  Nodes gradient(const Node& y, const Nodes& dys, const Needs&) const;
};

// NumPy broadcasting to a given shape; -1 keeps a size of x.
struct BroadcastTo {
  Shape shape;
  MAAS_PARAMS(shape)
  Specs infer(const Inputs& in) const;
  bool view(const Specs& in, const Spec& out, const Layout& input, Layout& output) const;
  Nodes gradient(const Node& y, const Nodes& dys, const Needs&) const;
};

// y = x[begin : end : step] on every axis; step >= 1, 0 <= begin <= end <= size.
struct Slice {
  Shape begin, end;
  std::vector<int64_t> step;
  MAAS_PARAMS(begin, end, step)
  Specs infer(const Inputs& in) const;
  Nodes lower(const Node& y) const;
  bool view(const Specs& in, const Spec& out, const Layout& input, Layout& output) const;
  Nodes gradient(const Node& y, const Nodes& dys, const Needs&) const;
};

}  // namespace maas
