// Packed kernels and the convolution that reads them: how arguments are filled.
#include <numeric>

#include "graph/op_model.h"
#include "ops/conv/conv.h"
#include "ops/elementwise/elementwise.h"
#include "ops/elementwise/epilogue.h"
#include "ops/gemm/gemm_kernels.h"

#define MAAS_KERNELS "ops/conv/kernels.inc"
#define MAAS_KERNEL_ARGS ConvArgs
#define MAAS_KERNEL_TABLE conv_packed_kernels
#include "core/kernel_table.h"

#define MAAS_KERNELS "ops/conv/pack_kernels.inc"
#define MAAS_KERNEL_ARGS ConvPackArgs
#define MAAS_KERNEL_TABLE conv_pack_kernels
#include "core/kernel_table.h"

namespace maas {

// ---- panels

MAAS_DEFINE_OP(conv_pack, ConvPack)
const KernelTable& ConvPack::kernels() { return conv_pack_kernels; }

namespace {
int64_t columns_of_panels(int64_t columns, int64_t nr) { return columns / nr * nr + (columns % nr + 15) / 16 * 16; }
}  // namespace

Specs ConvPack::infer(const Inputs& in) const {
  const Shape& k = in[0].shape;
  const int64_t channels = k[2].constant(), filters = k[3].constant() / groups;
  const int64_t rows = gradient ? filters : channels, columns = gradient ? channels : filters;
  const int64_t size = groups * k[0].constant() * k[1].constant() * rows * columns_of_panels(columns, nr);
  return {Spec{in[0].dtype, {Dim(size)}, {}}};
}

void ConvPack::bind(const Bind& b, ConvPackArgs& a) const {
  const int64_t* k = b.in(0).shape;
  a = {b.read(0), b.write(0), k[0] * k[1], k[2], k[3] / groups, groups, nr, gradient};
}

int64_t ConvPack::units(const ConvPackArgs& a) const {
  return a.groups * (((a.gradient ? a.channels : a.filters) + a.nr - 1) / a.nr) * a.taps;
}

// ---- convolution

MAAS_DEFINE_OP(conv_packed, ConvPacked)
const KernelTable& ConvPacked::kernels() { return conv_packed_kernels; }

Specs ConvPacked::infer(const Inputs& in) const {
  check_chain(epilogue, in.size() - 1, true);
  const Shape& x = in[0].shape;
  const Window w{kernel_size, strides, dilation, padding, pads};
  const Shape out = input_gradient ? size : w.output("conv", x);
  return {Spec{in[0].dtype, {x[0], out[0], out[1], Dim(channels)}, {}}};
}

OpPtr ConvPacked::with_epilogue(const Chain& chain, const Specs&, const Specs& extra, const Spec& result) const {
  // A tile's rows must follow each other in memory.
  const bool adjacent = !input_gradient || strides[1] == 1;
  if (!epilogue.empty() || !adjacent || !epilogue_fits(chain, extra, result)) return nullptr;
  ConvPacked fused = *this;
  fused.epilogue = chain;
  return std::make_shared<OpModel<ConvPacked>>(std::move(fused));
}

bool ConvPacked::accepts(const KernelRow& row, const Specs& in, const Specs&) const {
  return row.dtype == in[0].dtype && (row.isa == Isa::none || row.tile[1] == nr);
}

void ConvPacked::bind(const Bind& b, const KernelRow& row, ConvArgs& a) const {
  const BoundValue &x = b.in(0), &y = b.out();
  const Window window{kernel_size, strides, dilation, padding, pads};
  auto axis = [&](int i) {
    const size_t s = static_cast<size_t>(i);
    ConvAxis c{};
    c.in = x.shape[i + 1];
    c.out = y.shape[i + 1];
    c.kernel = kernel_size[s];
    c.dilation = dilation[s];
    c.gradient = input_gradient;
    c.begin = input_gradient ? window.begin(i, c.out, c.in) : window.begin(i, c.in, c.out);
    const int64_t common = std::gcd(strides[s], dilation[s]);
    c.classes = input_gradient ? strides[s] : 1;
    c.step = input_gradient ? 1 : strides[s];
    c.tap_step = input_gradient ? strides[s] / common : 1;
    c.source_step = input_gradient ? dilation[s] / common : dilation[s];
    return c;
  };
  a.x = b.read(0);
  a.w = b.read(1);
  a.y = b.write(0);
  a.h = axis(0);
  a.w_axis = axis(1);
  a.n = x.shape[0];
  a.groups = groups;
  a.k = x.shape[3] / groups;
  a.m = channels / groups;
  a.nr = nr;
  a.panels = (a.m + nr - 1) / nr;
  a.packed = columns_of_panels(a.m, nr);
  a.mr = row.isa == Isa::none ? 8 : tile_rows(a.m, nr);
  a.strip = 8 * a.mr;
  a.strips = ((a.w_axis.out + a.w_axis.classes - 1) / a.w_axis.classes + a.strip - 1) / a.strip;
  if (!epilogue.empty()) bind_epilogue(epilogue, b, 2, row.isa, a.epilogue);
  a.epilogue_bytes = (static_cast<int64_t>(epilogue_scratch(a.epilogue, nr)) + 63) / 64 * 64;
}

int64_t ConvPacked::units(const ConvArgs& a) const {
  return a.n * a.groups * a.panels * a.h.out * a.w_axis.classes * a.strips;
}

size_t ConvPacked::scratch(const ConvArgs& a) const {
  const ConvAxis& w = a.w_axis;
  const int64_t outputs = a.k < kConvFewChannels ? a.strip : a.mr;
  const int64_t span = (outputs - 1) * w.step + (w.kernel - 1) * w.dilation + 1;
  return static_cast<size_t>(a.epilogue_bytes + a.h.kernel * (16 + span * a.k * 4) + 64);
}

double ConvPacked::work(const ConvArgs& a) const {
  const double taps =
      static_cast<double>(a.h.kernel * a.w_axis.kernel) / static_cast<double>(a.h.classes * a.w_axis.classes);
  const double outputs = static_cast<double>(a.n * a.h.out * a.w_axis.out) * static_cast<double>(a.groups * a.m);
  return 1e-2 * outputs * (taps * static_cast<double>(a.k) + 8);
}

}  // namespace maas
