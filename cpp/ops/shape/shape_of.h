#pragma once
#include "graph/op.h"
#include "ops/shape/shape_of_kernels.h"

namespace maas {

// y = the sizes of x, int32, one element an axis. A view of the right shape thus turns sizes into a tensor.
struct ShapeOf {
  MAAS_PARAMS()
  using Args = ShapeOfArgs;
  static const KernelTable& kernels();
  Specs infer(const Inputs& in) const;
  InputLayout input_layout(int) const { return InputLayout::unused; }
  bool accepts(const KernelRow&, const Specs&, const Specs&) const { return true; }
  void bind(const Bind& b, ShapeOfArgs& a) const;
  int64_t units(const ShapeOfArgs&) const { return 1; }
  double work(const ShapeOfArgs&) const { return 10; }
};

}  // namespace maas
