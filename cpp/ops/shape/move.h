#pragma once
#include "graph/op.h"
#include "ops/shape/move_kernels.h"

// Shape ops that copy elements; those that are views are in shape.h.
namespace maas {

// The inputs one after the other along `axis`. All of one dtype, equal sizes on the other axes.
struct Concatenate {
  int64_t axis = -1;
  MAAS_PARAMS(axis)
  using Args = ConcatenateArgs;
  static const KernelTable& kernels();
  Specs infer(const Inputs& in) const;
  Nodes gradient(const Node& y, const Nodes& dys, const Needs& needs) const;
  Nodes lower(const Node& y) const;
  InputLayout input_layout(int) const { return InputLayout::strided; }
  bool accepts(const KernelRow&, const Specs& in, const Specs&) const { return bit_size(in[0].dtype) >= 8; }
  void bind(const Bind& b, ConcatenateArgs& a) const;
  int64_t units(const ConcatenateArgs& a) const { return a.outer * a.inputs; }
};

// y = x with `before` elements of `value` put before it and `after` behind it, on every axis.
struct Pad {
  Shape before, after;
  double value = 0;
  MAAS_PARAMS(before, after, value)
  using Args = PlaceArgs;
  static const KernelTable& kernels();
  Specs infer(const Inputs& in) const;
  Nodes gradient(const Node& y, const Nodes& dys, const Needs& needs) const;
  Nodes lower(const Node& y) const;
  InputLayout input_layout(int i) const { return i == 0 ? InputLayout::dense : InputLayout::unused; }
  bool accepts(const KernelRow&, const Specs& in, const Specs&) const { return bit_size(in[0].dtype) >= 8; }
  void bind(const Bind& b, PlaceArgs& a) const;
  int64_t units(const PlaceArgs& a) const { return a.rows; }
};

// y of `shape` is 0 but for y[begin + i * step] = dy[i]: the gradient of slice.
struct SliceGradient {
  Shape begin;
  std::vector<int64_t> step;
  Shape shape;
  MAAS_PARAMS(begin, step, shape)
  using Args = PlaceArgs;
  static const KernelTable& kernels();
  Specs infer(const Inputs& in) const;
  Nodes gradient(const Node& y, const Nodes& dys, const Needs& needs) const;
  Nodes lower(const Node& y) const;
  InputLayout input_layout(int i) const { return i == 0 ? InputLayout::dense : InputLayout::unused; }
  bool accepts(const KernelRow&, const Specs& in, const Specs&) const { return bit_size(in[0].dtype) >= 8; }
  void bind(const Bind& b, PlaceArgs& a) const;
  int64_t units(const PlaceArgs& a) const { return a.rows; }
};

// y = x with the order of elements turned round along the axes (all if empty). A view.
struct Flip {
  std::vector<int64_t> axis;
  MAAS_PARAMS(axis)
  Specs infer(const Inputs& in) const;
  bool view(const Specs& in, const Spec& out, const Layout& input, Layout& output) const;
  Nodes gradient(const Node& y, const Nodes& dys, const Needs& needs) const;
};

// y[i] = start + i * step, i < size. No inputs.
struct Arange {
  Shape size;
  double start = 0, step = 1;
  DType dtype = DType::i32;
  MAAS_PARAMS(size, start, step, dtype)
  using Args = ArangeArgs;
  static const KernelTable& kernels();
  Specs infer(const Inputs& in) const;
  bool accepts(const KernelRow&, const Specs&, const Specs& out) const { return bit_size(out[0].dtype) >= 8; }
  void bind(const Bind& b, ArangeArgs& a) const;
  int64_t units(const ArangeArgs& a) const { return (a.size + ArangeArgs::unit - 1) / ArangeArgs::unit; }
};

// y[..., c] = 1 where indices[...] == c, else 0; an index out of range gives a row of zeros.
struct OneHot {
  int64_t num_classes = 0;
  DType dtype = DType::f32;
  MAAS_PARAMS(num_classes, dtype)
  using Args = OneHotArgs;
  static const KernelTable& kernels();
  Specs infer(const Inputs& in) const;
  bool accepts(const KernelRow&, const Specs&, const Specs& out) const { return bit_size(out[0].dtype) >= 8; }
  void bind(const Bind& b, OneHotArgs& a) const;
  int64_t units(const OneHotArgs& a) const { return a.rows; }
};

}  // namespace maas
