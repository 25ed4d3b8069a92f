// Packed kernels and the convolution that reads them: how arguments are filled.
#include <algorithm>
#include <numeric>

#include "graph/op_model.h"
#include "ops/conv/conv.h"
#include "ops/conv/pieces.h"
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

Specs ConvPack::infer(const Inputs& in) const {
  check(in.size() == 1, "conv_pack: one operand is needed, received ", in.size());
  const Shape& k = in[0].shape;
  const int64_t channels = k[k.size() - 2].constant(), filters = k.back().constant() / groups;
  const int64_t rows = gradient ? filters : channels, columns = gradient ? channels : filters;
  const Dim size = product(k, 0, k.size() - 2) * Dim(groups * rows * (dot ? columns : columns_of_panels(columns, nr)));
  return {Spec{in[0].dtype, {size}, {}}};
}

void ConvPack::bind(const Bind& b, ConvPackArgs& a) const {
  const BoundValue& k = b.in(0);
  const int r = k.rank;
  a = {b.read(0), b.write(0), k.size(0, r - 2), k.shape[r - 3], k.shape[r - 2], k.shape[r - 1] / groups, groups, nr,
       gradient,  dot};
}

int64_t ConvPack::units(const ConvPackArgs& a) const {
  return a.groups * (a.dot ? 1 : ((a.gradient ? a.channels : a.filters) + a.nr - 1) / a.nr) * a.taps;
}

// ---- convolution

MAAS_DEFINE_OP(conv_packed, ConvPacked)
const KernelTable& ConvPacked::kernels() { return conv_packed_kernels; }

ConvAxes conv_axes(const Window& window, bool input_gradient, const BoundValue& x, const BoundValue& y) {
  ConvAxis axes[3];
  const int missing = 3 - static_cast<int>(window.rank());
  for (int i = 0; i < 3; ++i) {
    ConvAxis& c = axes[i];
    c = {1, 1, 1, 1, 1, 1, 1, 1, 0, false};
    if (i < missing) continue;
    const size_t s = static_cast<size_t>(i - missing);
    const int64_t stride = window.stride(s), dilation = window.dilate(s), common = std::gcd(stride, dilation);
    c.in = x.shape[s + 1];
    c.out = y.shape[s + 1];
    c.kernel = window.kernel[s];
    c.dilation = dilation;
    c.gradient = input_gradient;
    c.begin = input_gradient ? window.begin(s, c.out, c.in) : window.begin(s, c.in, c.out);
    c.classes = input_gradient ? stride : 1;
    c.step = input_gradient ? 1 : stride;
    c.tap_step = input_gradient ? stride / common : 1;
    c.source_step = input_gradient ? dilation / common : dilation;
  }
  return {axes[0], axes[1], axes[2]};
}

Specs ConvPacked::infer(const Inputs& in) const {
  check(in.size() >= 2, "conv_packed: at least two operands are needed, received ", in.size());
  check_chain(epilogue, in.size() - 1, true);
  const Shape& x = in[0].shape;
  const Window w = over(kernel_size);
  return {Spec{in[0].dtype, image_shape(x[0], size.empty() ? w.output("conv", x) : size, Dim(channels)), {}}};
}

OpPtr ConvPacked::with_epilogue(const Chain& chain, const Specs&, const Specs& extra, const Spec& result) const {
  if (!epilogue.empty() || !epilogue_fits(chain, extra, result)) return nullptr;
  ConvPacked fused = *this;
  fused.epilogue = chain;
  return std::make_shared<OpModel<ConvPacked>>(std::move(fused));
}

bool ConvPacked::accepts(const KernelRow& row, const Specs& in, const Specs&) const {
  return row.dtype == in[0].dtype && (row.isa == Isa::none || dot || row.tile[1] == nr);
}

namespace {

// Whether one list of an image's outputs fills tiles so much better than its rows do that copies of the windows pay.
// Says the same for every batch: which zeros are multiplied must not depend on it.
bool is_flat(const ConvArgs& a) {
  const ConvAxis& w = a.axes.w;
  constexpr int64_t kFewestChannels = 16;
  if (a.dot || w.gradient || w.dilation != 1 || a.k < kFewestChannels) return false;
  const int64_t rows = a.axes.d.out * a.axes.h.out;
  return 8 * rows * pieces(w.out, a.mr) >= 10 * pieces(rows * w.out, a.mr);
}
// One channel into so few that lanes are better outputs than channels.
bool is_thin(const ConvArgs& a) {
  const ConvAxis &d = a.axes.d, &h = a.axes.h, &w = a.axes.w;
  constexpr int64_t kLeastOutputs = 12;
  return !a.dot && a.groups == 1 && a.k == 1 && a.m <= kConvThinChannels && d.in == 1 && d.out == 1 && d.kernel == 1 &&
         d.begin == 0 && !h.gradient && w.step == 1 && w.dilation == 1 && w.out >= kLeastOutputs;
}
// A strip has at most 8 tiles, and fewer where an image would give threads little to share.
int64_t flat_strips(const ConvArgs& a) {
  const int64_t pixels = a.axes.d.out * a.axes.h.out * a.axes.w.out;
  return std::max(pieces(pixels, a.strip), std::min(pieces(pixels, a.mr), pieces(8, a.groups * a.panels)));
}

}  // namespace

void ConvPacked::bind(const Bind& b, const KernelRow& row, ConvArgs& a) const {
  const BoundValue &x = b.in(0), &y = b.out();
  a.x = b.read(0);
  a.w = b.read(1);
  a.y = b.write(0);
  a.axes = conv_axes({kernel_size, strides, dilation, padding, pads}, input_gradient, x, y);
  a.n = x.shape[0];
  a.groups = groups;
  a.k = x.shape[x.rank - 1] / groups;
  a.m = channels / groups;
  a.nr = nr;
  a.dot = dot;
  a.panels = (a.m + nr - 1) / nr;
  a.packed = dot ? a.m : columns_of_panels(a.m, nr);
  a.mr = row.isa == Isa::none || dot ? 8 : tile_rows(a.m, nr);
  a.strip = 8 * a.mr;
  const ConvAxis& w = a.axes.w;
  a.strips = ((w.out + w.classes - 1) / w.classes + a.strip - 1) / a.strip;
  // Where rows are the larger part and panels stay in L2, threads share out rows: what one wrote, it reads again in the
  // next step.
  constexpr int64_t kNear = 256 * 1024;
  const int64_t taps = a.axes.d.kernel * a.axes.h.kernel * w.kernel, pixels = a.axes.d.in * a.axes.h.in * w.in;
  a.rows_first = pixels >= taps * a.m && taps * a.k * a.m <= kNear;
  a.flat = row.isa != Isa::none && is_flat(a);
  if (a.flat) a.strips = flat_strips(a);
  a.thin = row.isa != Isa::none && is_thin(a);
  if (!epilogue.empty())
    bind_epilogue(epilogue, b, 2, row.isa, a.epilogue,
                  row.isa == Isa::none || dot || a.thin ? InRegisters::rows : InRegisters::sums);
  a.epilogue_bytes = (static_cast<int64_t>(epilogue_scratch(a.epilogue, nr)) + 63) / 64 * 64;
}

int64_t ConvPacked::units(const ConvArgs& a) const {
  if (a.thin) return a.n * a.axes.h.out;
  if (a.flat) return a.n * a.groups * a.panels * a.strips;
  return a.n * a.groups * a.panels * a.axes.d.out * a.axes.h.out * a.axes.w.classes * a.strips;
}

size_t ConvPacked::scratch(const ConvArgs& a) const {
  const ConvAxis& w = a.axes.w;
  if (a.flat) {
    const int64_t run = w.kernel * a.k;
    const int64_t rows = std::min(a.axes.d.kernel * a.axes.h.kernel, conv_rows_at_once(run));
    return static_cast<size_t>(a.epilogue_bytes + a.mr * rows * run * 4 + 64);
  }
  if (a.thin) {
    const int64_t rows = conv_thin_rows(a) * conv_thin_width(a) * 4;
    return static_cast<size_t>(a.epilogue_bytes + a.axes.h.kernel * 16 + rows + 64);
  }
  const int64_t outputs = a.k < kConvFewChannels ? a.strip : a.mr;
  const int64_t span = (outputs - 1) * w.step + (w.kernel - 1) * w.dilation + 1;
  return static_cast<size_t>(a.epilogue_bytes + a.axes.d.kernel * a.axes.h.kernel * (32 + span * a.k * 4) + 64);
}

double ConvPacked::work(const ConvArgs& a) const {
  const ConvAxis &d = a.axes.d, &h = a.axes.h, &w = a.axes.w;
  const double taps =
      static_cast<double>(d.kernel * h.kernel * w.kernel) / static_cast<double>(d.classes * h.classes * w.classes);
  const double outputs = static_cast<double>(a.n * d.out * h.out * w.out) * static_cast<double>(a.groups * a.m);
  return 1e-2 * outputs * (taps * static_cast<double>(a.k) + 8);
}

}  // namespace maas
