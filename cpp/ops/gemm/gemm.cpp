// What gemm and its packed panels are as nodes, and how arguments are filled.
#include "ops/gemm/gemm.h"

#include "graph/op_model.h"
#include "ops/elementwise/elementwise.h"
#include "ops/elementwise/epilogue.h"

#define MAAS_KERNELS "ops/gemm/kernels.inc"
#define MAAS_KERNEL_ARGS GemmArgs
#define MAAS_KERNEL_TABLE gemm_kernels
#include "core/kernel_table.h"

#define MAAS_KERNELS "ops/gemm/pack_kernels.inc"
#define MAAS_KERNEL_ARGS GemmPackArgs
#define MAAS_KERNEL_TABLE gemm_pack_kernels
#include "core/kernel_table.h"

namespace maas {

// ---- panels

MAAS_DEFINE_OP(gemm_pack, GemmPack)
const KernelTable& GemmPack::kernels() { return gemm_pack_kernels; }

namespace {
// Elements of all panels: whole ones, and the last one rounded up to 16 columns.
Dim packed_size(const Dim& k, const Dim& n, int64_t nr) {
  if (n.is_constant()) {
    const int64_t whole = n.constant() / nr, left = n.constant() % nr;
    return k * Dim(whole * nr + (left + 15) / 16 * 16);
  }
  return k * floordiv(n + Dim(nr - 1), Dim(nr)) * Dim(nr);
}
}  // namespace

Specs GemmPack::infer(const Inputs& in) const {
  check(in.size() == 1, "gemm_pack: one operand is needed, received ", in.size());
  const Shape& x = in[0].shape;
  return {Spec{in[0].dtype, {packed_size(transpose ? x[1] : x[0], transpose ? x[0] : x[1], nr)}, {}}};
}

void GemmPack::bind(const Bind& b, GemmPackArgs& a) const {
  const BoundValue& x = b.in(0);
  const int row = transpose ? 1 : 0, column = transpose ? 0 : 1;
  a = {b.read(0), b.write(0), x.strides[row], x.strides[column], x.shape[row], x.shape[column], nr};
}

// ---- gemm

MAAS_DEFINE_OP(gemm, Gemm)
const KernelTable& Gemm::kernels() { return gemm_kernels; }

Specs Gemm::infer(const Inputs& in) const {
  check(in.size() >= 2, "gemm: at least two operands are needed, received ", in.size());
  check_chain(epilogue, in.size() - 1, true);
  Shape out = in[0].shape;
  if (transpose_a) out = {out[1], out[0]};
  out.back() = Dim(n);
  return {Spec{in[0].dtype, std::move(out), {}}};
}

OpPtr Gemm::with_epilogue(const Chain& chain, const Specs&, const Specs& extra, const Spec& result) const {
  if (!epilogue.empty() || !epilogue_fits(chain, extra, result)) return nullptr;
  Gemm fused = *this;
  fused.epilogue = chain;
  return std::make_shared<OpModel<Gemm>>(std::move(fused));
}

InputLayout Gemm::input_layout(int input) const {
  return input == 0 && matrix ? InputLayout::strided : InputLayout::dense;
}

bool Gemm::accepts(const KernelRow& row, const Specs& in, const Specs&) const {
  return row.dtype == in[0].dtype && (row.isa == Isa::none || row.tile[1] == nr);
}

void Gemm::bind(const Bind& b, const KernelRow& row, GemmArgs& a) const {
  const BoundValue& x = b.in(0);
  a.a = b.read(0);
  a.b = b.read(1);
  a.c = b.write(0);
  if (matrix) {
    const int row = transpose_a ? 1 : 0, column = transpose_a ? 0 : 1;
    a.m = x.shape[row];
    a.k = x.shape[column];
    a.rsa = x.strides[row];
    a.csa = x.strides[column];
  } else {
    a.k = x.shape[x.rank - 1];
    a.m = x.size(0, x.rank - 1);
    a.rsa = a.k;
    a.csa = 1;
  }
  a.n = n;
  a.nr = nr;
  a.item = byte_size(x.dtype, 1);
  a.ldc = n;
  a.mr = tile_rows(n, nr);
  // Where rows of a and c are the larger part and panels stay in L2, threads share out rows: what one wrote, it reads
  // again in the next step. Strips are so low that their rows of c are written one after the other.
  constexpr int64_t kStrip = 8, kNear = 256 * 1024;
  const int64_t tiles = (a.m + a.mr - 1) / a.mr;
  a.strip = 5 * a.m * (a.k + n) >= 4 * a.k * n && a.k * n <= kNear ? std::min(kStrip, tiles) : tiles;
  if (epilogue.empty()) return;
  bind_epilogue(epilogue, b, 2, row.isa, a.epilogue, row.isa == Isa::none ? InRegisters::rows : InRegisters::sums);
}

// Few rows wait for the panels, which come from L2 with 100 bytes a nanosecond or from far with 28; many for the FMA
// units.
double Gemm::work(const GemmArgs& a) const {
  constexpr double kNear = 1.5e6;
  const double bytes = static_cast<double>(a.n) * static_cast<double>(a.k + 8) * static_cast<double>(a.item);
  return std::max(2.5e-3 * static_cast<double>(a.m), bytes < kNear ? 0.01 : 0.035) * bytes;
}

size_t Gemm::scratch(const GemmArgs& a) const { return epilogue_scratch(a.epilogue, a.nr); }

}  // namespace maas
