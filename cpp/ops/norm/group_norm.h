#pragma once
#include "graph/op.h"
#include "ops/norm/group_norm_kernels.h"

namespace maas {

// group_norm(x[, gamma][, beta]), x: (batch, ..., channels): every group of channels of a sample normalised on its own.
// With as many groups as channels it is instance normalization.
struct GroupNorm {
  int64_t groups = 1;
  double epsilon = 1e-3;
  bool scale = true, center = true;  // whether gamma, beta are among the inputs
  MAAS_PARAMS(groups, epsilon, scale, center)
  using Args = GroupNormArgs;
  static const KernelTable& kernels();

  Specs infer(const Inputs& in) const;
  Nodes composition(const Nodes& inputs) const;
  Nodes lower(const Node& y) const;
  Nodes gradient(const Node& y, const Nodes& dys, const Needs& needs) const;
  bool accepts(const KernelRow& row, const Specs& in, const Specs& out) const;
  void bind(const Bind& b, GroupNormArgs& args) const;
  int in_place(int) const { return 0; }
  int64_t units(const GroupNormArgs& a) const { return a.samples * ((a.groups + a.per_unit - 1) / a.per_unit); }
  double work(const GroupNormArgs& a) const { return static_cast<double>(a.samples * a.rows * a.channels) * 0.4; }
};

}  // namespace maas
