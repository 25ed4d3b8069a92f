// The kernel gradient: how its sum is cut, and how arguments are filled.
#include <algorithm>

#include "graph/op_model.h"
#include "ops/conv/conv.h"
#include "ops/gemm/gemm_kernels.h"

#define MAAS_KERNELS "ops/conv/kernel_gradient_kernels.inc"
#define MAAS_KERNEL_ARGS ConvKernelGradientArgs
#define MAAS_KERNEL_TABLE conv_kernel_gradient_kernels
#include "core/kernel_table.h"

namespace maas {

MAAS_DEFINE_OP(conv_kernel_gradient, ConvKernelGradient)
const KernelTable& ConvKernelGradient::kernels() { return conv_kernel_gradient_kernels; }

namespace {

// Outputs in a chunk: its part of dy and x stays in L1. Outputs in a part: enough work for a thread.
constexpr int64_t kChunk = 128, kPart = 1024;
// A dw of at most so many elements (256 KB) is one unit of work, and its sum is cut into parts for the threads; a
// larger one is shared by rows and columns.
constexpr int64_t kSplit = 65536, kUnitRows = 768;

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
int64_t images_of_chunk(int64_t pixels) {
  return pixels >= kChunk ? 1 : ceil_div(kChunk, std::max<int64_t>(pixels, 1));
}

}  // namespace

int64_t images_of_part(int64_t pixels) {
  const int64_t images = images_of_chunk(pixels);
  return images * ceil_div(kPart, std::max<int64_t>(pixels, 1) * images);
}

std::vector<Dim> ConvKernelGradient::workspaces(const Specs& in, const Specs& out) const {
  const Shape& dy = in[1].shape;
  const Dim bytes = product(out[0].shape) * Dim(bit_size(out[0].dtype) / 8);
  if (bytes.constant() > kSplit * bit_size(out[0].dtype) / 8) return {};
  const Dim pixels = product(dy, 1, dy.size() - 1);
  const int64_t images = pixels.is_constant() ? images_of_part(pixels.constant()) : 1;
  return {floordiv(dy[0] + Dim(images - 1), Dim(images)) * bytes};
}

bool ConvKernelGradient::accepts(const KernelRow& row, const Specs& in, const Specs&) const {
  return conv_row_takes(row, in[0].dtype, in[0].shape.back(), in[1].shape.back(), groups);
}

void ConvKernelGradient::bind(const Bind& b, const KernelRow& row, Args& a) const {
  const BoundValue &x = b.in(0), &dy = b.in(1), &dw = b.out();
  a.x = b.read(0);
  a.dy = b.read(1);
  a.dw = b.write(0);
  a.axes = conv_axes({kernel_size, strides, dilation, padding, pads}, false, x, dy);
  const ConvAxis& w = a.axes.w;
  a.n = x.shape[0];
  a.groups = groups;
  a.ic = x.shape[x.rank - 1] / groups;
  a.oc = dy.shape[dy.rank - 1] / groups;

  const int64_t rows = a.axes.d.out * a.axes.h.out, pixels = rows * w.out;
  const int64_t chunks = std::max<int64_t>((pixels + kChunk / 2) / kChunk, 1);
  a.chunk_images = images_of_chunk(pixels);
  a.chunk_rows = ceil_div(rows, chunks);
  // The reference sums all in double; CUDA kernels cut the sum in their own way.
  const bool split = row.isa != Isa::none && row.isa != Isa::cuda && dw.size() <= kSplit;
  a.part_images = split ? images_of_part(pixels) : std::max<int64_t>(a.n, 1);
  a.parts = std::max<int64_t>(ceil_div(a.n, a.part_images), 1);
  a.partial = split && a.parts > 1 ? b.workspace(0) : nullptr;

  const int64_t taps = w.dilation == 1 && groups == 1 && a.ic < 8 ? w.kernel : 1;
  a.run = a.ic * taps;
  a.runs = a.axes.d.kernel * a.axes.h.kernel * w.kernel / taps;
  // A unit has the taps of one kernel row at most: they read the same pixels.
  a.unit_runs = split ? a.runs : std::clamp<int64_t>(kUnitRows / std::max<int64_t>(a.run, 1), 1, w.kernel / taps);
  a.block = split ? a.run : std::min(a.run, kUnitRows);
  a.row_units = a.run ? ceil_div(a.runs, a.unit_runs) * ceil_div(a.run, a.block) : 0;
  a.column_units = ceil_div(a.oc, kGradientColumns);
  a.list_rows = a.chunk_images * a.chunk_rows;
  a.padded_row = taps > 1 ? ((w.out - 1) * w.step + w.kernel) * a.ic : 0;
  a.nr = has(row.isa, Isa::avx512) ? kPanelAvx512 : kPanelNarrow;
  const int64_t vectors = std::min<int64_t>((a.oc + 15) / 16, a.nr / 16);
  a.mr = a.nr == kPanelNarrow ? 6 : vectors == 1 ? 14 : vectors == 2 ? 12 : vectors == 3 ? 8 : 6;
}

int64_t ConvKernelGradient::units(const Args& a, int64_t phase) const {
  if (phase == 1) return a.runs * a.run;
  return a.parts * a.groups * a.row_units * a.column_units;
}

size_t ConvKernelGradient::scratch(const Args& a) const {
  return static_cast<size_t>(a.list_rows * (24 + a.padded_row * 4) + 64);
}

double ConvKernelGradient::work(const Args& a) const {
  return 1e-2 * static_cast<double>(a.n * a.axes.d.out * a.axes.h.out * a.axes.w.out) *
         static_cast<double>(a.runs * a.run) * static_cast<double>(a.groups * a.oc);
}

}  // namespace maas
