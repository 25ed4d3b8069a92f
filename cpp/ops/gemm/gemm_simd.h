#pragma once
// The register-tiled GEMM over 16-lane vectors. A tile of R rows x C vectors of c lives in registers for a whole KC
// block; a is read in place and broadcast, b comes from packed panels.
#include "ops/elementwise/epilogue_rows.h"
#include "ops/gemm/gemm_kernels.h"
#include "ops/gemm/pack_simd.h"

namespace maas {
namespace {

using simd::Block;

// 512 rows of a panel of 64 columns are 128 KB: an eighth of L2, and the tile of a (6 x 512) stays in L1.
constexpr int64_t kKc = 512;

struct Tile {
  const float* a;
  int64_t rsa, csa;
  const float* b;
  int64_t ldb;
  float* c;
  int64_t ldc;
  int64_t k;
  int64_t columns;    // of c in this tile, 1 .. 16 C
  bool first;         // start from 0, else from c
  const float* bias;  // added at the end if not null
  bool relu;
};

// One fma chain over k per element, whatever R and C: the bits are those of any other tile.
template <int R, int C>
void micro(const Tile& t) {
  Block<V, R * C> acc;
  const Tail tail(t.columns - (C - 1) * kLanes);
  if (t.first) {
    acc.fill(V(0.f));
  } else {
    MAAS_UNROLL for (int i = 0; i < R; ++i) MAAS_UNROLL for (int j = 0; j < C; ++j) {
      const float* c = t.c + i * t.ldc + j * kLanes;
      acc[i * C + j] = j == C - 1 ? V::load(c, tail, 0.f) : V::load(c);
    }
  }
  const float* a = t.a;
  const float* b = t.b;
  for (int64_t k = 0; k < t.k; ++k, a += t.csa, b += t.ldb) {
    Block<V, C> row;
    row.load(b);
    MAAS_UNROLL for (int i = 0; i < R; ++i) {
      // One broadcast serves C products: as a memory operand of every fma the loads would be the limit.
      const V x(a[i * t.rsa]);
      MAAS_UNROLL for (int j = 0; j < C; ++j) acc[i * C + j] = fma(x, row[j], acc[i * C + j]);
    }
  }
  MAAS_UNROLL for (int j = 0; j < C; ++j) {
    const bool last = j == C - 1;
    if (t.bias) {
      const V bias = last ? V::load(t.bias + j * kLanes, tail, 0.f) : V::load(t.bias + j * kLanes);
      MAAS_UNROLL for (int i = 0; i < R; ++i) acc[i * C + j] = acc[i * C + j] + bias;
    }
    MAAS_UNROLL for (int i = 0; i < R; ++i) {
      V v = acc[i * C + j];
      if (t.relu) v = max_nan(v, V(0.f));
      float* c = t.c + i * t.ldc + j * kLanes;
      if (last)
        v.store(c, tail);
      else
        v.store(c);
    }
  }
}

using Micro = void (*)(const Tile&);
// Row counts that keep all sums in registers: 14, 12, 8 and 6 rows for 1 to 4 vectors (AVX-512); 6 rows of 1 (AVX2).
#if defined(__AVX512F__)
const Micro kMicro1[] = {nullptr,      micro<1, 1>,  micro<2, 1>,  micro<3, 1>,  micro<4, 1>,
                         micro<5, 1>,  micro<6, 1>,  micro<7, 1>,  micro<8, 1>,  micro<9, 1>,
                         micro<10, 1>, micro<11, 1>, micro<12, 1>, micro<13, 1>, micro<14, 1>};
const Micro kMicro2[] = {nullptr,     micro<1, 2>, micro<2, 2>, micro<3, 2>,  micro<4, 2>,  micro<5, 2>, micro<6, 2>,
                         micro<7, 2>, micro<8, 2>, micro<9, 2>, micro<10, 2>, micro<11, 2>, micro<12, 2>};
const Micro kMicro3[] = {nullptr,     micro<1, 3>, micro<2, 3>, micro<3, 3>, micro<4, 3>,
                         micro<5, 3>, micro<6, 3>, micro<7, 3>, micro<8, 3>};
const Micro kMicro4[] = {nullptr, micro<1, 4>, micro<2, 4>, micro<3, 4>, micro<4, 4>, micro<5, 4>, micro<6, 4>};
const Micro* const kMicro[] = {nullptr, kMicro1, kMicro2, kMicro3, kMicro4};
#else
const Micro kMicro1[] = {nullptr, micro<1, 1>, micro<2, 1>, micro<3, 1>, micro<4, 1>, micro<5, 1>, micro<6, 1>};
const Micro* const kMicro[] = {nullptr, kMicro1};
#endif

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
      kMicro[vectors][rows](t);
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
        kMicro[vectors][g.m - i < rows ? g.m - i : rows](t);
      }
    }
  }
}

}  // namespace
}  // namespace maas
