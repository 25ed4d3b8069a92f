// Convolution without packed kernels: how arguments are filled.
#include "graph/op_model.h"
#include "ops/conv/conv.h"
#include "ops/conv/conv_epilogue.h"
#include "ops/elementwise/elementwise.h"

#define MAAS_KERNELS "ops/conv/direct_kernels.inc"
#define MAAS_KERNEL_ARGS ConvDirectArgs
#define MAAS_KERNEL_TABLE conv_direct_kernels
#include "core/kernel_table.h"

namespace maas {

MAAS_DEFINE_OP(conv_direct, ConvDirect)
const KernelTable& ConvDirect::kernels() { return conv_direct_kernels; }

Specs ConvDirect::infer(const Inputs& in) const {
  check_chain(epilogue, in.size() - 1, true);
  const Shape &x = in[0].shape, &k = in[1].shape;
  std::vector<int64_t> kernel;
  for (size_t i = 0; i + 2 < k.size(); ++i) kernel.push_back(k[i].constant());
  const Dim channels = input_gradient ? k[k.size() - 2] * Dim(groups) : k.back();
  return {Spec{in[0].dtype, image_shape(x[0], size.empty() ? over(kernel).output("conv", x) : size, channels), {}}};
}

OpPtr ConvDirect::with_epilogue(const Chain& chain, const Specs&, const Specs& extra, const Spec& result) const {
  if (!epilogue.empty() || !conv_epilogue_fits(chain, extra, result)) return nullptr;
  ConvDirect fused = *this;
  fused.epilogue = chain;
  return std::make_shared<OpModel<ConvDirect>>(std::move(fused));
}

bool conv_row_takes(const KernelRow& row, DType dtype, const Dim& read, const Dim& written, int64_t groups) {
  if (row.dtype != dtype || row.isa != Isa::cuda || row.tile[0] == 0) return row.dtype == dtype;
  auto fits = [&](const Dim& d) { return d.is_constant() && d.constant() % (row.tile[0] * groups) == 0; };
  return fits(read) && fits(written);
}

bool ConvDirect::accepts(const KernelRow& row, const Specs& in, const Specs& out) const {
  return conv_row_takes(row, in[0].dtype, in[0].shape.back(), out[0].shape.back(), groups);
}

void ConvDirect::bind(const Bind& b, ConvDirectArgs& a) const {
  const BoundValue &x = b.in(0), &k = b.in(1), &y = b.out();
  a.x = b.read(0);
  a.w = b.read(1);
  a.y = b.write(0);
  a.axes = conv_axes(over({k.shape, k.shape + k.rank - 2}), input_gradient, x, y);
  a.n = x.shape[0];
  a.groups = groups;
  a.k = x.shape[x.rank - 1] / groups;
  a.m = y.shape[y.rank - 1] / groups;
  bind_conv_epilogue(epilogue, b, 2, a.epilogue);
}

}  // namespace maas
