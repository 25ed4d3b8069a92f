#pragma once
#include "graph/op.h"
#include "ops/sparsemax/sparsemax_kernels.h"

namespace maas {

// y = the point of the simplex next to x, along one axis.
struct Sparsemax {
  int64_t axis = -1;
  MAAS_PARAMS(axis)
  using Args = SparsemaxArgs;
  static const KernelTable& kernels();

  Specs infer(const Inputs& in) const;
  Nodes gradient(const Node& y, const Nodes& dys, const Needs& needs) const;
  Nodes lower(const Node& y) const;
  int in_place(int) const { return 0; }
  void bind(const Bind& b, SparsemaxArgs& args) const;
  int64_t units(const SparsemaxArgs& a) const { return a.rows; }
  double work(const SparsemaxArgs& a) const { return static_cast<double>(a.rows * a.cols); }
};

}  // namespace maas
