#pragma once
#include "graph/op.h"
#include "ops/select/select_kernels.h"

namespace maas {

// (positions, count) of the elements of x that are not 0, in the row-major order of x.
struct Nonzero {
  MAAS_PARAMS()
  using Args = NonzeroArgs;
  static const KernelTable& kernels();
  Specs infer(const Inputs& in) const;
  int visible_outputs() const { return 2; }
  bool accepts(const KernelRow&, const Specs& in, const Specs&) const { return is_readable(in[0].dtype); }
  void bind(const Bind& b, NonzeroArgs& a) const;
  int64_t units(const NonzeroArgs&) const { return 1; }
};

// (values, count, index, inverse, counts) of the different elements of the flattened x.
struct Unique {
  MAAS_PARAMS()
  using Args = UniqueArgs;
  static const KernelTable& kernels();
  Specs infer(const Inputs& in) const;
  int visible_outputs() const { return 5; }
  bool accepts(const KernelRow&, const Specs& in, const Specs&) const { return is_readable(in[0].dtype); }
  std::vector<Dim> workspaces(const Specs& in, const Specs&) const { return {product(in[0].shape) * Dim(4)}; }
  void bind(const Bind& b, UniqueArgs& a) const;
  int64_t units(const UniqueArgs&) const { return 1; }
};

// y = x[:count], whose size is a symbol of its own. It has no kernel: it ends a segment, and the program cuts between
// two plans.
struct Trim {
  Shape size;
  MAAS_PARAMS(size)
  Specs infer(const Inputs& in) const;
  Nodes gradient(const Node& y, const Nodes& dys, const Needs& needs) const;
};

}  // namespace maas
