#pragma once
#include "graph/op.h"
#include "ops/norm/batch_norm_kernels.h"

namespace maas {

// batch_norm_train(x[, gamma][, beta]) -> y, mean, variance: every channel normalised by the batch's own statistics.
// Inference is a multiplication and an addition: batch_normalization in Python.
struct BatchNormTrain {
  int64_t axis = -1;
  double epsilon = 1e-3;
  bool scale = true, center = true;  // whether gamma, beta are among the inputs
  MAAS_PARAMS(axis, epsilon, scale, center)
  using Args = BatchNormArgs;
  static const KernelTable& kernels();

  Specs infer(const Inputs& in) const;
  int visible_outputs() const { return 3; }
  Nodes composition(const Nodes& inputs) const;
  Nodes lower(const Node& y) const;
  Nodes gradient(const Node& y, const Nodes& dys, const Needs& needs) const;
  bool accepts(const KernelRow& row, const Specs& in, const Specs& out) const;
  void bind(const Bind& b, const KernelRow& row, BatchNormArgs& args) const;
  int64_t phases(const BatchNormArgs&) const { return 3; }
  int64_t units(const BatchNormArgs& a, int64_t phase) const;
  double work(const BatchNormArgs& a) const { return static_cast<double>(a.rows * a.cols) * 0.5; }
  std::vector<Dim> workspaces(const Specs& in, const Specs& out) const;
};

// (x[, gamma], mean, variance, dy[, dmean, dvariance]) -> dx, dgamma, dbeta; channels last. x, dy and dx may
// have 16 bits, gamma too; all else is then float32.
struct BatchNormGrad {
  double epsilon = 1e-3;
  bool scale = true, statistics = false;  // whether gamma; dmean and dvariance are among the inputs
  MAAS_PARAMS(epsilon, scale, statistics)
  using Args = BatchNormGradArgs;
  static const KernelTable& kernels();

  Specs infer(const Inputs& in) const;
  int visible_outputs() const { return 3; }
  Nodes composition(const Nodes& inputs) const;
  Nodes gradient(const Node& y, const Nodes& dys, const Needs& needs) const;
  bool accepts(const KernelRow& row, const Specs& in, const Specs& out) const;
  void bind(const Bind& b, const KernelRow& row, BatchNormGradArgs& args) const;
  int64_t phases(const BatchNormGradArgs&) const { return 3; }
  int64_t units(const BatchNormGradArgs& a, int64_t phase) const;
  double work(const BatchNormGradArgs& a) const { return static_cast<double>(a.rows * a.cols) * 0.8; }
  std::vector<Dim> workspaces(const Specs& in, const Specs& out) const;
};

}  // namespace maas
