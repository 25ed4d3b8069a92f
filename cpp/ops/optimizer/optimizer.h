#pragma once
#include "graph/op.h"
#include "ops/optimizer/optimizer_kernels.h"

namespace maas {

// Inputs: w, g, lr[, m]; outputs: w'[, m']. m is needed when momentum is not 0.
struct Sgd {
  double momentum = 0;
  bool nesterov = false;
  MAAS_PARAMS(momentum, nesterov)
  using Args = OptimizerArgs;
  static const KernelTable& kernels();
  Specs infer(const Inputs& in) const;
  Nodes composition(const Nodes& inputs) const;
  int visible_outputs() const { return momentum != 0 ? 2 : 1; }
  int in_place(int output) const { return output == 0 ? 0 : 3; }
  void bind(const Bind& b, OptimizerArgs& a) const;
  int64_t units(const OptimizerArgs& a) const { return (a.size + OptimizerArgs::unit - 1) / OptimizerArgs::unit; }
  double work(const OptimizerArgs& a) const { return static_cast<double>(a.size) * (momentum != 0 ? 0.5 : 0.3); }
};

// Inputs: w, g, alpha, m, v[, h]; outputs: w', m', v'[, h']. h is the largest v so far, needed by amsgrad.
struct Adam {
  double beta_1 = 0.9, beta_2 = 0.999, epsilon = 1e-7;
  bool amsgrad = false;
  MAAS_PARAMS(beta_1, beta_2, epsilon, amsgrad)
  using Args = OptimizerArgs;
  static const KernelTable& kernels();
  Specs infer(const Inputs& in) const;
  Nodes composition(const Nodes& inputs) const;
  int visible_outputs() const { return amsgrad ? 4 : 3; }
  int in_place(int output) const { return output == 0 ? 0 : output + 2; }
  void bind(const Bind& b, OptimizerArgs& a) const;
  int64_t units(const OptimizerArgs& a) const { return (a.size + OptimizerArgs::unit - 1) / OptimizerArgs::unit; }
  double work(const OptimizerArgs& a) const { return static_cast<double>(a.size) * 0.8; }
};

}  // namespace maas
