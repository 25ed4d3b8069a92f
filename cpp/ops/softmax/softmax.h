#pragma once
#include "graph/op.h"
#include "ops/softmax/softmax_kernels.h"

namespace maas {

// y = softmax(x) along one axis, or its logarithm.
struct Softmax {
  int64_t axis = -1;
  bool log = false;
  MAAS_PARAMS(axis, log)
  using Args = SoftmaxArgs;
  static const KernelTable& kernels();

  Specs infer(const Inputs& in) const;
  Nodes gradient(const Node& y, const Nodes& dys, const Needs& needs) const;
  Nodes lower(const Node& y) const;
  InputLayout input_layout(int) const { return InputLayout::dense; }
  int in_place(int) const { return 0; }
  void bind(const Bind& b, SoftmaxArgs& args) const;
  int64_t units(const SoftmaxArgs& a) const { return a.rows; }
  double work(const SoftmaxArgs& a) const { return static_cast<double>(a.rows * a.cols) * 0.7; }
};

// (y, dy) -> the gradient of softmax, or of its logarithm, for its operand: one pass in place of three.
struct SoftmaxGradient {
  int64_t axis = -1;
  bool log = false;
  MAAS_PARAMS(axis, log)
  using Args = SoftmaxGradientArgs;
  static const KernelTable& kernels();

  Specs infer(const Inputs& in) const;
  Nodes composition(const Nodes& inputs) const;
  Nodes lower(const Node& dx) const;
  Nodes gradient(const Node& dx, const Nodes& ddxs, const Needs& needs) const;
  int in_place(int) const { return 1; }
  void bind(const Bind& b, SoftmaxGradientArgs& args) const;
  int64_t units(const SoftmaxGradientArgs& a) const { return a.rows; }
  double work(const SoftmaxGradientArgs& a) const { return static_cast<double>(a.rows * a.cols) * (log ? 0.7 : 0.3); }
};

}  // namespace maas
