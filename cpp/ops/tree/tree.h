#pragma once
#include "graph/op.h"
#include "ops/tree/tree_kernels.h"

namespace maas {

// An ensemble of decision trees. Inputs: x (rows, features), nodes (n, 4) int32, trees (t, 3) int32,
// values (leaves, width), sets (words) int32, base (outputs); the layout is in tree_kernels.h.
// Output: the sums of the leaves' values (rows, outputs), or with `leaf` the rows of values (rows, t) int32.
struct Tree {
  bool leaf = false, mixed = true;
  MAAS_PARAMS(leaf, mixed)
  using Args = TreeArgs;
  static const KernelTable& kernels();

  Specs infer(const Inputs& in) const;
  void bind(const Bind& b, TreeArgs& a) const;
  int64_t units(const TreeArgs& a) const { return (a.rows + kTreeRows - 1) / kTreeRows; }
  double work(const TreeArgs& a) const;
};

}  // namespace maas
