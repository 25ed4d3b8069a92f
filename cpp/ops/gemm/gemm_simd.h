#pragma once
// The register-tiled GEMM over 16-lane vectors: tiles of c stay in registers for a whole KC block.
#include "ops/elementwise/epilogue_rows.h"
#include "ops/gemm/gemm_kernels.h"
#include "ops/gemm/micro_simd.h"

namespace maas {
namespace {

// 512 rows of a panel of 64 columns are 128 KB: an eighth of L2, and the tile of a (6 x 512) stays in L1.
constexpr int64_t kKc = 512;

struct Tile : MicroTile {
  const float* a;
  const float* b;
  int64_t csa, k;
  template <class F>
  MAAS_MEMBER void each_run(F&& fn) const {
    fn(a, csa, b, k);
  }
};

void run_gemm(const GemmArgs& g, int64_t begin, int64_t end, const Exec& exec) {
  const int64_t tiles = (g.m + g.mr - 1) / g.mr;
  const EpilogueArgs& e = g.epilogue;
  const bool in_registers = e.kind != EpilogueArgs::chain;
  for (int64_t k0 = 0; k0 == 0 || k0 < g.k; k0 += kKc) {
    const int64_t kc = g.k - k0 < kKc ? g.k - k0 : kKc;
    const bool last = k0 + kc >= g.k;
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t i0 = unit % tiles * g.mr, j0 = unit / tiles * g.nr;
      const int64_t rows = g.m - i0 < g.mr ? g.m - i0 : g.mr, columns = g.n - j0 < g.nr ? g.n - j0 : g.nr;
      const int64_t vectors = (columns + kLanes - 1) / kLanes;
      Tile t;
      t.rsa = g.rsa;
      t.csa = g.csa;
      t.ldb = vectors * kLanes;
      t.a = static_cast<const float*>(g.a) + i0 * g.rsa + k0 * g.csa;
      t.b = static_cast<const float*>(g.b) + j0 * g.k + k0 * t.ldb;
      t.c = static_cast<float*>(g.c) + i0 * g.ldc + j0;
      t.ldc = g.ldc;
      t.k = kc;
      t.columns = columns;
      t.first = k0 == 0;
      t.bias = last && in_registers && e.bias_row ? e.bias_row + j0 : nullptr;
      t.relu = last && (e.kind == EpilogueArgs::relu || e.kind == EpilogueArgs::bias_relu);
      kMicro<Tile>[vectors][rows](t);
      if (last && !in_registers)
        apply_chain_rows(e, t.c, g.ldc, i0, rows, j0, columns, static_cast<float*>(exec.scratch));
    }
  }
}

void run_pack(const GemmPackArgs& p, int64_t begin, int64_t end) {
  for (int64_t panel = begin; panel < end; ++panel) {
    const int64_t j0 = panel * p.nr, columns = p.n - j0 < p.nr ? p.n - j0 : p.nr;
    pack_panel(static_cast<const float*>(p.x) + j0 * p.cs, p.rs, p.cs, p.k, columns,
               (columns + kLanes - 1) / kLanes * kLanes, static_cast<float*>(p.y) + j0 * p.k);
  }
}

void run_batched(const GemmBatchedArgs& g, int64_t begin, int64_t end, const Exec& exec) {
  const int64_t panels = (g.n + g.nr - 1) / g.nr;
  float* packed = static_cast<float*>(exec.scratch);
  for (int64_t unit = begin; unit < end; ++unit) {
    int64_t rest = unit / panels, pa = 0, pb = 0, pc = 0;
    for (int d = g.batch_rank; d-- > 0;) {
      const int64_t at = rest % g.batch[d];
      rest /= g.batch[d];
      pa += at * g.a_stride[d];
      pb += at * g.b_stride[d];
      pc += at * g.c_stride[d];
    }
    const int64_t j0 = unit % panels * g.nr, columns = g.n - j0 < g.nr ? g.n - j0 : g.nr;
    const int64_t vectors = (columns + kLanes - 1) / kLanes, width = vectors * kLanes, rows = tile_rows(columns, g.nr);
    pack_panel(static_cast<const float*>(g.b) + pb + j0 * g.csb, g.rsb, g.csb, g.k, columns, width, packed);
    Tile t;
    t.rsa = g.rsa;
    t.csa = g.csa;
    t.ldb = width;
    t.ldc = g.ldc;
    t.columns = columns;
    t.bias = nullptr;
    t.relu = false;
    for (int64_t k0 = 0; k0 == 0 || k0 < g.k; k0 += kKc) {
      t.k = g.k - k0 < kKc ? g.k - k0 : kKc;
      t.b = packed + k0 * width;
      t.first = k0 == 0;
      for (int64_t i = 0; i < g.m; i += rows) {
        t.a = static_cast<const float*>(g.a) + pa + i * g.rsa + k0 * g.csa;
        t.c = static_cast<float*>(g.c) + pc + i * g.ldc + j0;
        kMicro<Tile>[vectors][g.m - i < rows ? g.m - i : rows](t);
      }
    }
  }
}

}  // namespace
}  // namespace maas
