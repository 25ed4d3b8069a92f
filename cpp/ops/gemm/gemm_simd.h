#pragma once
// The register-tiled GEMM over 16-lane vectors: tiles of c stay in registers for a whole KC block.
#include "ops/elementwise/epilogue_rows.h"
#include "ops/gemm/gemm_kernels.h"
#include "ops/gemm/micro_simd.h"

namespace maas {
namespace {

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

struct FloatTiles {
  static constexpr int64_t rows(int64_t columns, int64_t nr) { return tile_rows(columns, nr); }
  MAAS_INLINE void run(const Tile& t, int64_t rows) { kMicro<Tile>[(t.columns + kLanes - 1) / kLanes][rows](t); }
};

// 32-bit integers, whose bits the tile's pointers carry. Products and sums wrap, so signed and unsigned are one.
template <int R>
void integer_micro(const Tile& t) {
  using simd::I;
  const int32_t* const b0 = reinterpret_cast<const int32_t*>(t.b);
  int32_t* const c0 = reinterpret_cast<int32_t*>(t.c);
  for (int64_t j = 0; j < t.columns; j += kLanes) {
    const Tail tail(t.columns - j > kLanes ? kLanes : t.columns - j);
    I acc[R];
    MAAS_UNROLL for (int i = 0; i < R; ++i) acc[i] = t.first ? I(0) : I::load(c0 + i * t.ldc + j, tail, 0);
    const int32_t* a = reinterpret_cast<const int32_t*>(t.a);
    const int32_t* b = b0 + j;
    for (int64_t k = 0; k < t.k; ++k, a += t.csa, b += t.ldb) {
      const I row = I::load(b);
      MAAS_UNROLL for (int i = 0; i < R; ++i) acc[i] = acc[i] + I(a[i * t.rsa]) * row;
    }
    MAAS_UNROLL for (int i = 0; i < R; ++i) acc[i].store(c0 + i * t.ldc + j, tail);
  }
}

struct IntegerTiles {
  static constexpr int64_t rows(int64_t, int64_t) { return 4; }
  MAAS_INLINE void run(const Tile& t, int64_t rows) {
    constexpr void (*kRows[])(const Tile&) = {nullptr, integer_micro<1>, integer_micro<2>, integer_micro<3>,
                                              integer_micro<4>};
    kRows[rows](t);
  }
};

template <class Tiles>
void run_batched(const GemmBatchedArgs& g, int64_t begin, int64_t end, const Exec& exec) {
  float* packed = static_cast<float*>(exec.scratch);
  GemmBatchedPart u;
  for (int64_t unit = begin; unit < end; unit = u.end) {
    u = batched_part(g, unit, end);
    const int64_t mr = Tiles::rows(u.columns, g.nr), width = (u.columns + kLanes - 1) / kLanes * kLanes;
    // A panel that is read once, or that lies there like a packed one, needs no copy.
    const bool in_place = g.csb == 1 && width == u.columns && (u.rows <= mr || g.rsb == width);
    Tile t;
    t.rsa = g.rsa;
    t.csa = g.csa;
    t.ldb = in_place ? g.rsb : width;
    t.ldc = g.ldc;
    t.columns = u.columns;
    t.bias = nullptr;
    t.relu = false;
    for (int64_t k0 = 0; k0 == 0 || k0 < g.k; k0 += kKc) {
      const float* b = static_cast<const float*>(g.b) + u.b + k0 * g.rsb;
      t.k = g.k - k0 < kKc ? g.k - k0 : kKc;
      if (!in_place) pack_panel(b, g.rsb, g.csb, t.k, u.columns, width, packed);
      t.b = in_place ? b : packed;
      t.first = k0 == 0;
      for (int64_t i = 0; i < u.rows; i += mr) {
        t.a = static_cast<const float*>(g.a) + u.a + i * g.rsa + k0 * g.csa;
        t.c = static_cast<float*>(g.c) + u.c + i * g.ldc;
        Tiles::run(t, u.rows - i < mr ? u.rows - i : mr);
      }
    }
  }
}

}  // namespace
}  // namespace maas
