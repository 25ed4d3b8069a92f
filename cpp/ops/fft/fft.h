#pragma once
#include <vector>

#include "graph/op.h"
#include "ops/fft/fft_kernels.h"

namespace maas {

// What a kernel is called with, and the tables that it points into: made when a context is bound first.
struct BoundFft : FftArgs {
  std::vector<Complex> made;
};

// fft(re, im) -> re, im over the last axis; inverse: the conjugate transform, not divided by the size.
struct Fft {
  bool inverse = false;
  MAAS_PARAMS(inverse)
  using Args = BoundFft;
  static const KernelTable& kernels();

  Specs infer(const Inputs& in) const;
  int visible_outputs() const { return 2; }
  Nodes gradient(const Node& y, const Nodes& dys, const Needs& needs) const;
  void bind(const Bind& b, BoundFft& a) const;
  int64_t units(const FftArgs& a) const { return a.rows; }
  size_t scratch(const FftArgs& a) const { return static_cast<size_t>(fft_scratch(a.n)) * sizeof(Complex); }
  double work(const FftArgs& a) const { return static_cast<double>(a.rows * a.n) * 20; }
};

}  // namespace maas
