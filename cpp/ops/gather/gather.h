#pragma once
#include <string>

#include "graph/op.h"
#include "ops/gather/gather_kernels.h"

namespace maas {

// y = x with indices picked along an axis: y's shape is x's with the axis replaced by the indices' shape.
struct Take {
  int64_t axis = 0;
  std::string rule;  // what the IndexError says; empty: the op speaks for itself
  MAAS_PARAMS(axis, rule)
  using Args = GatherArgs;
  static const KernelTable& kernels();
  Specs infer(const Inputs& in) const;
  Nodes gradient(const Node& y, const Nodes& dys, const Needs& needs) const;
  bool accepts(const KernelRow&, const Specs& in, const Specs&) const { return bit_size(in[0].dtype) >= 8; }
  void bind(const Bind& b, GatherArgs& a) const;
  int64_t units(const GatherArgs& a) const { return a.outer * a.count; }
};

// Many rows may meet in one: on the CPU 16-bit floats are summed in float32, around the op.
inline bool sums_in(const KernelRow& row, DType dtype) { return row.isa == Isa::cuda || bit_size(dtype) != 16; }

// dx of `size` along the axis: each row of dy is added to the row its index names. Inputs: dy, indices.
struct TakeGradient {
  int64_t axis = 0;  // >= 0
  Shape size;        // of dx along the axis, one entry
  std::string rule;
  MAAS_PARAMS(axis, size, rule)
  using Args = GatherArgs;
  static const KernelTable& kernels();
  Specs infer(const Inputs& in) const;
  Nodes gradient(const Node& y, const Nodes& dys, const Needs& needs) const;
  bool accepts(const KernelRow& row, const Specs& in, const Specs&) const {
    return is_floating(in[0].dtype) && sums_in(row, in[0].dtype);
  }
  void bind(const Bind& b, GatherArgs& a) const;
  int64_t units(const GatherArgs& a) const { return a.outer * a.size; }
};

// y[o][j][n] = x[o][indices[o][j][n]][n]; x and indices have equal sizes on the other axes.
struct TakeAlongAxis {
  int64_t axis = -1;
  bool wrap = true;  // a negative index counts from the end; else it is out of range
  std::string rule;
  MAAS_PARAMS(axis, wrap, rule)
  using Args = GatherArgs;
  static const KernelTable& kernels();
  Specs infer(const Inputs& in) const;
  Nodes gradient(const Node& y, const Nodes& dys, const Needs& needs) const;
  bool accepts(const KernelRow&, const Specs& in, const Specs&) const { return bit_size(in[0].dtype) >= 8; }
  void bind(const Bind& b, GatherArgs& a) const;
  int64_t units(const GatherArgs& a) const { return a.outer * a.count; }
};

struct TakeAlongAxisGradient {
  int64_t axis = 0;  // >= 0
  Shape size;
  bool wrap = true;
  std::string rule;
  MAAS_PARAMS(axis, size, wrap, rule)
  using Args = GatherArgs;
  static const KernelTable& kernels();
  Specs infer(const Inputs& in) const;
  Nodes gradient(const Node& y, const Nodes& dys, const Needs& needs) const;
  bool accepts(const KernelRow& row, const Specs& in, const Specs&) const {
    return is_floating(in[0].dtype) && sums_in(row, in[0].dtype);
  }
  void bind(const Bind& b, GatherArgs& a) const;
  int64_t units(const GatherArgs& a) const { return a.outer; }
};

}  // namespace maas
