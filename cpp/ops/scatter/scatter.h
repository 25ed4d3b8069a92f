#pragma once
#include <string>

#include "graph/in_place.h"
#include "ops/scatter/scatter_kernels.h"

namespace maas {

// What the ops here share. `indices` is (..., depth): its last axis names a place on the first `depth` axes.
struct ScatterOptions {
  std::string mode = "add";  // "set" (the last one wins), "add", "multiply", "max", "min"
  bool wrap = true;          // a negative index counts from the end; else it is out of range
  std::string rule;          // what the IndexError says; empty: the op speaks for itself
};

// y of `shape` holds at each place what the updates for it come to; 0, 1, -inf or inf where there are none.
// Inputs: indices, updates (indices' shape but the last axis, then shape's axes behind `depth`).
struct Scatter : ScatterOptions {
  Shape shape;
  MAAS_PARAMS(shape, mode, wrap, rule)
  using Args = ScatterArgs;
  static const KernelTable& kernels();
  Specs infer(const Inputs& in) const;
  Nodes gradient(const Node& y, const Nodes& dys, const Needs& needs) const;
  bool accepts(const KernelRow&, const Specs& in, const Specs& out) const;
  void bind(const Bind& b, ScatterArgs& a) const;
  int64_t units(const ScatterArgs& a) const;
  double work(const ScatterArgs& a) const;
};

// y = x with updates worked into it, in x's own memory where nobody else reads it. Inputs: x, indices, updates.
struct ScatterUpdate : ScatterOptions {
  MAAS_PARAMS(mode, wrap, rule)
  int in_place(int) const { return in_place_but_may_fail(0); }
  using Args = ScatterArgs;
  static const KernelTable& kernels();
  Specs infer(const Inputs& in) const;
  Nodes gradient(const Node& y, const Nodes& dys, const Needs& needs) const;
  bool accepts(const KernelRow&, const Specs& in, const Specs& out) const;
  void bind(const Bind& b, ScatterArgs& a) const;
  int64_t units(const ScatterArgs& a) const;
  double work(const ScatterArgs& a) const;
};

// y[j] = x[indices[j]]: what a scatter would write to. Inputs: x, indices.
struct GatherNd {
  bool wrap = true;
  std::string rule;
  MAAS_PARAMS(wrap, rule)
  using Args = ScatterArgs;
  static const KernelTable& kernels();
  Specs infer(const Inputs& in) const;
  Nodes gradient(const Node& y, const Nodes& dys, const Needs& needs) const;
  bool accepts(const KernelRow&, const Specs& in, const Specs&) const { return bit_size(in[0].dtype) >= 8; }
  void bind(const Bind& b, ScatterArgs& a) const;
  int64_t units(const ScatterArgs& a) const { return a.count; }
};

}  // namespace maas
