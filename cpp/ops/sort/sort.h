#pragma once
#include <cmath>

#include "graph/op.h"
#include "ops/sort/sort_kernels.h"

namespace maas {

struct SortKernels {
  using Args = SortArgs;
  static const KernelTable& kernels();
  bool accepts(const KernelRow&, const Specs& in, const Specs&) const { return is_readable(in[0].dtype); }
  int64_t units(const SortArgs& a) const { return a.outer * a.inner; }
  size_t scratch(const SortArgs& a) const { return units(a) ? static_cast<size_t>(a.size) * 16 : 0; }
  double work(const SortArgs& a) const {
    return static_cast<double>(a.outer * a.inner * a.size) * (10 + 2 * std::log2(static_cast<double>(a.size) + 1));
  }
};

// The elements along one axis in ascending order, stable, NaN last. Output 1: their indices, for the gradient.
struct Sort : SortKernels {
  int64_t axis = -1;
  MAAS_PARAMS(axis)
  Specs infer(const Inputs& in) const;
  Nodes gradient(const Node& y, const Nodes& dys, const Needs& needs) const;
  void bind(const Bind& b, SortArgs& a) const;
};

// The indices that sort an axis.
struct Argsort : SortKernels {
  int64_t axis = -1;
  MAAS_PARAMS(axis)
  Specs infer(const Inputs& in) const;
  void bind(const Bind& b, SortArgs& a) const;
};

// The k largest along the last axis, largest first, NaN before all numbers; and their indices.
struct TopK : SortKernels {
  int64_t k = 1;
  MAAS_PARAMS(k)
  int visible_outputs() const { return 2; }
  Specs infer(const Inputs& in) const;
  Nodes gradient(const Node& y, const Nodes& dys, const Needs& needs) const;
  void bind(const Bind& b, SortArgs& a) const;
};

// The places at which values go into a sorted vector: before equal ones, or behind them where `right`. NaN is last.
struct Searchsorted {
  bool right = false;
  MAAS_PARAMS(right)
  using Args = SearchArgs;
  static const KernelTable& kernels();
  Specs infer(const Inputs& in) const;
  bool accepts(const KernelRow&, const Specs& in, const Specs&) const { return is_readable(in[0].dtype); }
  void bind(const Bind& b, SearchArgs& a) const;
  int64_t units(const SearchArgs& a) const { return a.count; }
  double work(const SearchArgs& a) const {
    return static_cast<double>(a.count) * (4 + 4 * std::log2(static_cast<double>(a.size) + 1));
  }
};

}  // namespace maas
