#pragma once
#include "graph/op.h"
#include "ops/conv/window.h"
#include "ops/pool/pool_kernels.h"

namespace maas {

// y = max over windows of x (n, 1 to 3 spatial sizes, c); empty strides are ones. Its hidden second output says which
// position won, for the gradient.
struct MaxPool {
  std::vector<int64_t> pool_size, strides, pads;
  std::string padding = "valid";
  MAAS_PARAMS(pool_size, strides, padding, pads)
  using Args = PoolArgs;
  static const KernelTable& kernels();
  Specs infer(const Inputs& in) const;
  int visible_outputs() const { return 1; }
  Nodes gradient(const Node& y, const Nodes& dys, const Needs& needs) const;
  void bind(const Bind& b, PoolArgs& a) const;
  int64_t units(const PoolArgs& a) const { return a.n * a.d.out * a.h.out; }
  double work(const PoolArgs& a) const;
};

// (dy, index) -> dx of spatial sizes `size`.
struct MaxPoolGradient {
  std::vector<int64_t> pool_size, strides, pads;
  std::string padding = "valid";
  Shape size;
  MAAS_PARAMS(pool_size, strides, padding, pads, size)
  using Args = PoolArgs;
  static const KernelTable& kernels();
  Specs infer(const Inputs& in) const;
  void bind(const Bind& b, PoolArgs& a) const;
  int64_t units(const PoolArgs& a) const { return a.n * a.d.in * a.h.in; }
  double work(const PoolArgs& a) const;
};

// y = mean over the positions of each window that lie inside the image.
struct AveragePool {
  std::vector<int64_t> pool_size, strides, pads;
  std::string padding = "valid";
  MAAS_PARAMS(pool_size, strides, padding, pads)
  using Args = PoolArgs;
  static const KernelTable& kernels();
  Specs infer(const Inputs& in) const;
  Nodes gradient(const Node& y, const Nodes& dys, const Needs& needs) const;
  void bind(const Bind& b, PoolArgs& a) const;
  int64_t units(const PoolArgs& a) const { return a.n * a.d.out * a.h.out; }
  double work(const PoolArgs& a) const;
};

// dy -> dx of spatial sizes `size`.
struct AveragePoolGradient {
  std::vector<int64_t> pool_size, strides, pads;
  std::string padding = "valid";
  Shape size;
  MAAS_PARAMS(pool_size, strides, padding, pads, size)
  using Args = PoolArgs;
  static const KernelTable& kernels();
  Specs infer(const Inputs& in) const;
  Nodes gradient(const Node& y, const Nodes& dys, const Needs& needs) const;
  void bind(const Bind& b, PoolArgs& a) const;
  int64_t units(const PoolArgs& a) const { return a.n * a.d.in * a.h.in; }
  double work(const PoolArgs& a) const;
};

}  // namespace maas
