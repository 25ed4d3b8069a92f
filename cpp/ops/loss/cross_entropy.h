#pragma once
#include <string>

#include "graph/op.h"
#include "ops/loss/cross_entropy_kernels.h"

namespace maas {

// loss[...] = -log softmax(x)[..., label[...]]. Inputs: x (..., classes), integer labels (...).
// Hidden outputs: the row's maximum and its sum of exponentials, for the gradient.
struct SparseSoftmaxCrossEntropy {
  std::string rule;  // what the IndexError says; empty: the op speaks for itself
  MAAS_PARAMS(rule)
  using Args = CrossEntropyArgs;
  static const KernelTable& kernels();
  Specs infer(const Inputs& in) const;
  int visible_outputs() const { return 1; }
  Nodes gradient(const Node& y, const Nodes& dys, const Needs& needs) const;
  void bind(const Bind& b, CrossEntropyArgs& a) const;
  int64_t units(const CrossEntropyArgs& a) const { return a.rows; }
  double work(const CrossEntropyArgs& a) const {
    return static_cast<double>(a.rows) * (15 + 0.7 * static_cast<double>(a.classes));
  }
};

// The gradient of its loss for x. Inputs: x, labels, maximum, sum, dloss.
struct SparseSoftmaxCrossEntropyGradient {
  std::string rule;
  MAAS_PARAMS(rule)
  using Args = CrossEntropyArgs;
  static const KernelTable& kernels();
  Specs infer(const Inputs& in) const;
  Nodes composition(const Nodes& inputs) const;
  void bind(const Bind& b, CrossEntropyArgs& a) const;
  int64_t units(const CrossEntropyArgs& a) const { return a.rows; }
  double work(const CrossEntropyArgs& a) const {
    return static_cast<double>(a.rows) * (15 + 0.5 * static_cast<double>(a.classes));
  }
};

// loss[...] = -sum_c t[..., c] log softmax(x)[..., c]. Inputs: x and t, both (..., classes).
struct SoftmaxCrossEntropy {
  MAAS_PARAMS()
  using Args = CrossEntropyArgs;
  static const KernelTable& kernels();
  Specs infer(const Inputs& in) const;
  int visible_outputs() const { return 1; }
  Nodes gradient(const Node& y, const Nodes& dys, const Needs& needs) const;
  void bind(const Bind& b, CrossEntropyArgs& a) const;
  int64_t units(const CrossEntropyArgs& a) const { return a.rows; }
  double work(const CrossEntropyArgs& a) const {
    return static_cast<double>(a.rows) * (15 + static_cast<double>(a.classes));
  }
};

struct SoftmaxCrossEntropyGradient {
  MAAS_PARAMS()
  using Args = CrossEntropyArgs;
  static const KernelTable& kernels();
  Specs infer(const Inputs& in) const;
  Nodes composition(const Nodes& inputs) const;
  void bind(const Bind& b, CrossEntropyArgs& a) const;
  int64_t units(const CrossEntropyArgs& a) const { return a.rows; }
  double work(const CrossEntropyArgs& a) const {
    return static_cast<double>(a.rows) * (15 + static_cast<double>(a.classes));
  }
};

}  // namespace maas
