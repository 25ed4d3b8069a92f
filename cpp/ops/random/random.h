#pragma once
#include "graph/op.h"
#include "ops/random/random_kernels.h"

namespace maas {

// What the draws share: one input, the state (seed, step) of two integers; a tensor of `shape`.
struct RandomBase {
  using Args = RandomArgs;
  static const KernelTable& kernels();
  int64_t units(const RandomArgs& a) const;
  double work(const RandomArgs& a) const;

 protected:
  Specs draw(const char* name, const Inputs& in, const Shape& shape, DType dtype, bool integer) const;
  void bind_draw(const Bind& b, int64_t stream, RandomArgs& a) const;
  static bool has_every_draw(const KernelRow& row) { return row.isa == Isa::none || row.isa == Isa::cuda; }
};

struct RandomUniform : RandomBase {
  Shape shape;
  double low = 0, high = 1;
  DType dtype = DType::f32;
  int64_t stream = 0;
  MAAS_PARAMS(shape, low, high, dtype, stream)
  Specs infer(const Inputs& in) const { return draw("random_uniform", in, shape, dtype, false); }
  bool accepts(const KernelRow& row, const Specs& in, const Specs& out) const;
  void bind(const Bind& b, RandomArgs& a) const;
};

// mean + stddev * z; truncated: |z| < 2.
struct RandomNormal : RandomBase {
  Shape shape;
  double mean = 0, stddev = 1;
  bool truncated = false;
  DType dtype = DType::f32;
  int64_t stream = 0;
  MAAS_PARAMS(shape, mean, stddev, truncated, dtype, stream)
  Specs infer(const Inputs& in) const { return draw("random_normal", in, shape, dtype, false); }
  bool accepts(const KernelRow& row, const Specs&, const Specs&) const { return has_every_draw(row); }
  void bind(const Bind& b, RandomArgs& a) const;
};

// Integers in [low, high).
struct RandomInt : RandomBase {
  Shape shape;
  int64_t low = 0, high = 2;
  DType dtype = DType::i32;
  int64_t stream = 0;
  MAAS_PARAMS(shape, low, high, dtype, stream)
  Specs infer(const Inputs& in) const;
  bool accepts(const KernelRow& row, const Specs&, const Specs&) const { return has_every_draw(row); }
  void bind(const Bind& b, RandomArgs& a) const;
};

// 0 .. size-1 in random order, int32.
struct RandomPermutation : RandomBase {
  Shape size;
  int64_t stream = 0;
  MAAS_PARAMS(size, stream)
  Specs infer(const Inputs& in) const;
  bool accepts(const KernelRow& row, const Specs&, const Specs&) const;
  void bind(const Bind& b, RandomArgs& a) const;
};

// y = x / (1 - rate) where a uniform number reaches the rate, else 0. Inputs: x, state. The gradient draws the same
// again.
struct Dropout {
  double rate = 0.5;
  int64_t stream = 0;
  MAAS_PARAMS(rate, stream)
  using Args = RandomArgs;
  static const KernelTable& kernels();
  Specs infer(const Inputs& in) const;
  Nodes gradient(const Node& y, const Nodes& dys, const Needs& needs) const;
  int in_place(int) const { return 0; }
  bool accepts(const KernelRow& row, const Specs& in, const Specs& out) const;
  void bind(const Bind& b, RandomArgs& a) const;
  int64_t units(const RandomArgs& a) const;
  double work(const RandomArgs& a) const;
};

}  // namespace maas
