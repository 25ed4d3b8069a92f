// Winograd's convolution: when it pays, and how arguments are filled.
#include "ops/conv/winograd.h"

#include <algorithm>

#include "graph/op_model.h"
#include "ops/conv/conv_epilogue.h"
#include "ops/conv/pieces.h"
#include "ops/conv/window.h"
#include "ops/elementwise/elementwise.h"
#include "ops/elementwise/epilogue.h"

#define MAAS_KERNELS "ops/conv/winograd_kernels.inc"
#define MAAS_KERNEL_ARGS WinogradArgs
#define MAAS_KERNEL_TABLE conv_winograd_kernels
#include "core/kernel_table.h"

#define MAAS_KERNELS "ops/conv/winograd_pack_kernels.inc"
#define MAAS_KERNEL_ARGS WinogradPackArgs
#define MAAS_KERNEL_TABLE conv_winograd_pack_kernels
#include "core/kernel_table.h"

namespace maas {

namespace {

int64_t rounded(int64_t n) { return pieces(n, 16) * 16; }

// Nanoseconds of one image on two cores that multiply and add 225 numbers a nanosecond together. Of weights, all but
// the 3 MB that their caches keep come at 50 bytes a nanosecond; half of what could overlap does.
double cost_of(double products, double weights, double rest) {
  const double compute = products / 225, memory = std::max(weights * 4 - 3e6, 0.) / 50;
  return std::max(compute, memory) + .5 * std::min(compute, memory) + rest;
}
// Products reach two thirds of the peak, if there are some rows of them; a vector of a tile is transformed in about 100
// cycles each way.
double winograd_cost(int64_t tile, int64_t k, int64_t m, int64_t oh, int64_t ow) {
  const double points = static_cast<double>(winograd_points(tile));
  const double tiles = static_cast<double>(std::max<int64_t>(pieces(oh, tile) * pieces(ow, tile), 4));
  const double pairs = static_cast<double>(k * rounded(m)), vectors = static_cast<double>(rounded(k) + rounded(m)) / 16;
  return cost_of(1.5 * points * tiles * pairs, points * pairs, tiles * vectors * points * .4);
}
double direct_cost(int64_t k, int64_t m, int64_t oh, int64_t ow) {
  const double pairs = static_cast<double>(k * rounded(m));
  return cost_of(1.4 * 9 * static_cast<double>(oh * ow) * pairs, 9 * pairs, 0);
}

}  // namespace

int64_t winograd_tile(int64_t k, int64_t m, const Shape& size) {
  constexpr int64_t kFewest = 16, kUnknown = 32;
  if (k < kFewest || m < kFewest) return 0;
  auto side = [](const Dim& d) { return d.is_constant() ? d.constant() : kUnknown; };
  const int64_t oh = side(size[0]), ow = side(size[1]);
  if (oh == 0 || ow == 0) return 0;
  const double direct = direct_cost(k, m, oh, ow), two = winograd_cost(2, k, m, oh, ow),
               four = winograd_cost(4, k, m, oh, ow);
  if (direct <= std::min(two, four)) return 0;
  return four <= two ? 4 : 2;
}

// ---- panels

MAAS_DEFINE_OP(conv_winograd_pack, ConvWinogradPack)
const KernelTable& ConvWinogradPack::kernels() { return conv_winograd_pack_kernels; }

Specs ConvWinogradPack::infer(const Inputs& in) const {
  check(in.size() == 1 && in[0].rank() == 4, "conv_winograd_pack: a kernel of four axes is needed, received ",
        in.size(), " operand(s)");
  const int64_t channels = in[0].shape[2].constant(), filters = in[0].shape[3].constant();
  const int64_t rows = gradient ? filters : channels, columns = gradient ? channels : filters;
  return {Spec{in[0].dtype, {Dim(winograd_points(tile) * rows * columns_of_panels(columns, nr))}, {}}};
}

void ConvWinogradPack::bind(const Bind& b, WinogradPackArgs& a) const {
  a = {b.read(0), b.write(0), b.in(0).shape[2], b.in(0).shape[3], nr, tile, gradient};
}

int64_t ConvWinogradPack::units(const WinogradPackArgs& a) const {
  return pieces(a.gradient ? a.channels : a.filters, a.nr);
}

// ---- convolution

MAAS_DEFINE_OP(conv_winograd, ConvWinograd)
const KernelTable& ConvWinograd::kernels() { return conv_winograd_kernels; }

Specs ConvWinograd::infer(const Inputs& in) const {
  check(in.size() >= 2, "conv_winograd: at least two operands are needed, received ", in.size());
  check_chain(epilogue, in.size() - 1, true);
  return {Spec{in[0].dtype, image_shape(in[0].shape[0], size, Dim(channels)), {}}};
}

OpPtr ConvWinograd::with_epilogue(const Chain& chain, const Specs&, const Specs& extra, const Spec& result) const {
  if (!epilogue.empty() || !epilogue_fits(chain, extra, result)) return nullptr;
  ConvWinograd fused = *this;
  fused.epilogue = chain;
  fused.in_registers = conv_epilogue_fits(chain, extra, result);
  return std::make_shared<OpModel<ConvWinograd>>(std::move(fused));
}

bool ConvWinograd::accepts(const KernelRow& row, const Specs& in, const Specs&) const {
  return row.dtype == in[0].dtype && (row.isa == Isa::none || row.tile[0] == nr);
}

void ConvWinograd::bind(const Bind& b, const KernelRow& row, WinogradArgs& a) const {
  const BoundValue &x = b.in(0), &y = b.out();
  a.x = b.read(0);
  a.w = b.read(1);
  a.y = b.write(0);
  a.n = x.shape[0];
  a.ih = x.shape[1];
  a.iw = x.shape[2];
  a.k = x.shape[3];
  a.oh = y.shape[1];
  a.ow = y.shape[2];
  a.m = channels;
  a.begin_h = begin[0];
  a.begin_w = begin[1];
  a.tile = tile;
  a.tiles_h = pieces(a.oh, tile);
  a.tiles_w = pieces(a.ow, tile);
  a.nr = nr;
  a.panels = pieces(a.m, nr);
  // Windows and products of a block take half of an L2 of 2 MB, beside weights and images. Weights that only pass
  // through it need so many tiles a block that products take as long as their way from memory. With few blocks panels
  // are shared out as well, and each who takes some transforms the windows.
  constexpr int64_t kBlockFloats = 256 * 1024, kManyBlocks = 16, kFewestUnits = 4;
  const int64_t fewest = winograd_points(tile) * a.k * a.m > kBlockFloats ? 16 : 6;
  const int64_t of_tile = winograd_points(tile) * (rounded(a.k) + rounded(std::min(a.m, nr)));
  const int64_t all = a.n * a.tiles_h * a.tiles_w;
  const int64_t fit = pieces(all, std::max(kBlockFloats / of_tile, fewest));
  a.blocks = all ? std::max({fit, std::min(all / fewest, pieces(kFewestUnits, a.panels)), int64_t{1}}) : 0;
  a.block_tiles = a.blocks ? pieces(all, a.blocks) : 0;
  a.panel_groups = a.blocks < kManyBlocks ? a.panels : 1;
  a.fused = {};
  if (in_registers)
    bind_conv_epilogue(epilogue, b, 2, a.fused);
  else
    bind_epilogue(epilogue, b, 2, row.isa, a.epilogue, InRegisters::nothing);
  a.epilogue_bytes = (static_cast<int64_t>(epilogue_scratch(a.epilogue, nr)) + 63) / 64 * 64;
}

size_t ConvWinograd::scratch(const WinogradArgs& a) const {
  return static_cast<size_t>(a.epilogue_bytes + winograd_scratch(a) * 4);
}

double ConvWinograd::work(const WinogradArgs& a) const {
  return 2 * static_cast<double>(a.n) * winograd_cost(a.tile, a.k, a.m, a.oh, a.ow);
}

// Of what is multiplied point by point: the rest is overhead.
double ConvWinograd::flops(const WinogradArgs& a) const {
  return 2.0 * static_cast<double>(winograd_points(a.tile) * a.n * a.tiles_h * a.tiles_w) *
         static_cast<double>(a.k * a.m);
}

}  // namespace maas
