#pragma once
#include "graph/op.h"
#include "ops/reduce/reduce_kernels.h"

namespace maas {

// What all reductions share. `axis` empty: all axes.
struct Reduction {
  std::vector<int64_t> axis;
  bool keepdims = false;
  MAAS_PARAMS(axis, keepdims)
  using Args = ReduceArgs;
  static const KernelTable& kernels();
  int64_t units(const ReduceArgs& a, int64_t phase) const;
  int64_t phases(const ReduceArgs& a) const { return a.partial ? 2 : 1; }
  double work(const ReduceArgs& a) const;
  std::vector<Dim> workspaces(const Specs& in, const Specs& out) const;

 protected:
  bool accepts_as(Fold fold, const KernelRow& row, const Specs& in, const Specs& out) const;
  Specs infer_as(Fold fold, const char* name, const Inputs& in) const;
  Nodes split(const char* name, const Node& y) const;
  void bind_as(Fold fold, const Bind& b, const KernelRow& row, ReduceArgs& a) const;
  Nodes gradient_as(Fold fold, const Node& y, const Node& dy) const;
};

#define MAAS_REDUCTION(Type, fold_name, ...)                                                                     \
  struct Type : Reduction {                                                                                      \
    Specs infer(const Inputs& in) const { return infer_as(Fold::fold_name, #fold_name, in); }                    \
    Nodes lower(const Node& y) const { return split(#fold_name, y); }                                            \
    void bind(const Bind& b, const KernelRow& row, ReduceArgs& a) const { bind_as(Fold::fold_name, b, row, a); } \
    bool accepts(const KernelRow& row, const Specs& in, const Specs& out) const {                                \
      return accepts_as(Fold::fold_name, row, in, out);                                                          \
    }                                                                                                            \
    __VA_ARGS__                                                                                                  \
  };
#define MAAS_REDUCTION_GRADIENT(fold_name)                              \
  Nodes gradient(const Node& y, const Nodes& dys, const Needs&) const { \
    return gradient_as(Fold::fold_name, y, dys[0]);                     \
  }
MAAS_REDUCTION(Sum, sum, MAAS_REDUCTION_GRADIENT(sum))
MAAS_REDUCTION(Mean, mean, MAAS_REDUCTION_GRADIENT(mean))
MAAS_REDUCTION(Prod, prod, MAAS_REDUCTION_GRADIENT(prod))
MAAS_REDUCTION(Max, max, MAAS_REDUCTION_GRADIENT(max))
MAAS_REDUCTION(Min, min, MAAS_REDUCTION_GRADIENT(min))
MAAS_REDUCTION(Any, any, )
MAAS_REDUCTION(All, all, )
MAAS_REDUCTION(ArgMax, argmax, )  // int32; one axis, or none for the flat position
MAAS_REDUCTION(ArgMin, argmin, )
#undef MAAS_REDUCTION
#undef MAAS_REDUCTION_GRADIENT

// y = the number of elements along the axes of x, as a scalar: a size that may be unknown until it is bound.
struct ElementCount {
  std::vector<int64_t> axis;
  DType dtype = DType::f32;
  MAAS_PARAMS(axis, dtype)
  struct Args {
    void* y;
    DType dtype;
    int64_t count;
  };
  static const KernelTable& kernels();
  Specs infer(const Inputs& in) const;
  InputLayout input_layout(int) const { return InputLayout::unused; }
  bool accepts(const KernelRow&, const Specs&, const Specs&) const { return true; }
  void bind(const Bind& b, Args& a) const;
  int64_t units(const Args&) const { return 1; }
};
Node element_count(const Node& x, const std::vector<int64_t>& axis, DType dtype);

}  // namespace maas
