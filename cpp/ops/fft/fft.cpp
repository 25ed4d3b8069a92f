#include "ops/fft/fft.h"

#include "graph/op_model.h"
#include "ops/build.h"

#define MAAS_KERNELS "ops/fft/kernels.inc"
#define MAAS_KERNEL_ARGS FftArgs
#define MAAS_KERNEL_TABLE fft_kernels
#include "core/kernel_table.h"

namespace maas {

MAAS_DEFINE_OP(fft, Fft)
const KernelTable& Fft::kernels() { return fft_kernels; }

Specs Fft::infer(const Inputs& in) const {
  check(in.size() == 2, "fft: 2 operands are needed, received ", in.size());
  for (const Spec& s : in)
    if ((s.dtype != DType::f32 && s.dtype != DType::f64) || s.dtype != in[0].dtype)
      fail(ErrorKind::type, "fft: the parts must be float32 or float64, received ", in[0].dtype, " and ", s.dtype);
  const Shape& shape = in[0].shape;
  check(in[1].shape == shape, "fft: real and imaginary part must have one shape, received ", to_string(shape), " and ",
        to_string(in[1].shape));
  check(!shape.empty() && shape.back().is_constant() && shape.back().constant() >= 1 &&
            shape.back().constant() <= (int64_t{1} << 30),
        "fft: the last axis must be known and have 1 to 2^30 elements, received ", to_string(shape));
  const Spec y{in[0].dtype, shape, {}};
  return {y, y};
}

// The transform is symmetric, so its adjoint is the conjugate one.
Nodes Fft::gradient(const Node& y, const Nodes& dys, const Needs&) const {
  const Node zero = zeros_like(y.input(0));
  const Node g = op("fft", {dys[0] ? dys[0] : zero, dys[1] ? dys[1] : zero}, {{"inverse", !inverse}});
  return {g, g.output(1)};
}

void Fft::bind(const Bind& b, BoundFft& a) const {
  const BoundValue& x = b.in(0);
  const int64_t n = x.shape[x.rank - 1];
  if (a.n != n) {
    a.made.resize(static_cast<size_t>(fft_table_size(n)));
    fft_fill_tables(n, inverse, a.made.data());
  }
  static_cast<FftArgs&>(a) = {b.read(0), b.read(1), b.write(0),   b.write(1), x.size(0, x.rank - 1),
                              n,         inverse,   a.made.data()};
}

}  // namespace maas
