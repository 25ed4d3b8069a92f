#pragma once
#include "graph/op.h"
#include "ops/norm/layer_norm_kernels.h"

namespace maas {

// layer_norm(x[, gamma][, beta]): every sample normalised over `axis`. gamma and beta have x's sizes along the sorted
// axes. Without subtract_mean: RMS normalization, mean is 0. Hidden outputs mean and 1 / sqrt(variance + epsilon) have
// x's other axes; float32 for 16-bit x.
struct LayerNorm {
  std::vector<int64_t> axis{-1};
  double epsilon = 1e-3;
  bool scale = true, center = true;  // whether gamma, beta are among the inputs
  bool subtract_mean = true;
  MAAS_PARAMS(axis, epsilon, scale, center, subtract_mean)
  using Args = LayerNormArgs;
  static const KernelTable& kernels();

  Specs infer(const Inputs& in) const;
  int visible_outputs() const { return 1; }
  Nodes composition(const Nodes& inputs) const;
  Nodes lower(const Node& y) const;
  Nodes gradient(const Node& y, const Nodes& dys, const Needs& needs) const;
  bool accepts(const KernelRow& row, const Specs& in, const Specs& out) const;
  void bind(const Bind& b, LayerNormArgs& args) const;
  int in_place(int output) const { return output == 0 ? 0 : -1; }
  int64_t units(const LayerNormArgs& a) const { return a.rows; }
  double work(const LayerNormArgs& a) const { return static_cast<double>(a.rows * a.cols) * 0.3; }
};

// (x[, gamma], mean, rstd, dy) -> dx, dgamma, dbeta over the last `axes` axes. x, dy and dx may have 16 bits, gamma
// too; all else is then float32.
struct LayerNormGrad {
  int64_t axes = 1;
  double epsilon = 1e-3;
  bool scale = true, subtract_mean = true;
  MAAS_PARAMS(axes, epsilon, scale, subtract_mean)
  using Args = LayerNormGradArgs;
  static const KernelTable& kernels();

  Specs infer(const Inputs& in) const;
  int visible_outputs() const { return 1; }
  Nodes composition(const Nodes& inputs) const;
  Nodes gradient(const Node& y, const Nodes& dys, const Needs& needs) const;
  bool accepts(const KernelRow& row, const Specs& in, const Specs& out) const;
  void bind(const Bind& b, const KernelRow& row, LayerNormGradArgs& args) const;
  int64_t phases(const LayerNormGradArgs& a) const { return a.dgamma || a.dbeta ? 2 : 1; }
  int64_t units(const LayerNormGradArgs& a, int64_t phase) const;
  double work(const LayerNormGradArgs& a) const { return static_cast<double>(a.rows * a.cols) * 0.6; }
  std::vector<Dim> workspaces(const Specs& in, const Specs& out) const;
};

}  // namespace maas
