#pragma once
// The register-tiled GEMM over 16-lane vectors: tiles of c stay in registers for a whole KC block.
#include "ops/elementwise/epilogue_rows.h"
#include "ops/gemm/gemm_kernels.h"
#include "ops/gemm/micro_simd.h"

namespace maas {
namespace {

// Rows of a panel that pass at once. A block of 64 columns is 256 KB then, and stays in L2 while rows of a pass by; c
// comes and goes once a block. A narrow panel stays in L1.
constexpr int64_t kBlock = V::kRegisters >= 32 ? kKc : kKc / 2;

// Of gemm, of all of k or a block of it.
struct Tile : MicroTile {
  const float* a;
  const float* b;
  int64_t csa, k;
  static constexpr int kAhead = 4;
  template <class F>
  MAAS_MEMBER void each_run(F&& fn) const {
    fn(a, csa, b, k);
  }
};

// A tile that asks for the next panel. Memory would else wait for the tiles, and then they for it.
struct FarTile : Tile {
  const float* far;
  int64_t far_step, far_more;
  static constexpr bool kFar = true;
};

// Tiles [first, last) of one panel, all of k. `far`: panels are not in L2 yet.
MAAS_INLINE void run_panel(const GemmArgs& g, int64_t panel, int64_t first, int64_t last, int64_t tiles, bool far,
                           const Exec& exec) {
  const EpilogueArgs& e = g.epilogue;
  const bool in_registers = e.kind != EpilogueArgs::chain;
  const int64_t j0 = panel * g.nr, columns = g.n - j0 < g.nr ? g.n - j0 : g.nr;
  const int64_t vectors = (columns + kLanes - 1) / kLanes, width = vectors * kLanes;
  const int64_t blocks = last - first > 1 ? 1 + (g.k - 1) / kBlock : 1;
  FarTile t;
  t.rsa = g.rsa;
  t.csa = g.csa;
  t.ldb = width;
  t.ldc = g.ldc;
  t.columns = columns;
  t.b = static_cast<const float*>(g.b) + j0 * g.k;
  int64_t k0 = 0;
  for (int64_t block = 0; block < blocks; ++block, k0 += t.k, t.b += t.k * width) {
    t.k = (g.k - k0) / (blocks - block);
    const bool end = block + 1 == blocks;
    t.first = block == 0;
    t.bias = end && in_registers && e.bias_row ? e.bias_row + j0 : nullptr;
    t.relu = end && (e.kind == EpilogueArgs::relu || e.kind == EpilogueArgs::bias_relu);
    t.top = e.top;
    // The last tiles ask for the block after this one, of this panel or the next, each for its share: memory is slow,
    // so all of the time it takes is needed.
    constexpr int64_t kMostAskers = 16;
    const int64_t askers = last - first < kMostAskers ? last - first : kMostAskers;
    const bool asks = V::kRegisters >= 32 && far && askers > 1 && vectors == 4 && (!end || j0 + columns < g.n);
    int64_t i0 = g.m * first / tiles, i1;
    for (int64_t tile = first; tile < last; ++tile, i0 = i1) {
      i1 = g.m * (tile + 1) / tiles;
      t.a = static_cast<const float*>(g.a) + i0 * g.rsa + k0 * g.csa;
      t.c = static_cast<float*>(g.c) + i0 * g.ldc + j0;
      t.add = end && in_registers && e.add ? e.add + i0 * g.ldc + j0 : nullptr;
      if (asks && last - tile <= askers) {
        const int64_t asker = askers - (last - tile);
        t.far = t.b + (t.k + t.k * asker / askers) * width;
        t.far_step = (width + askers - 1) / askers;
        t.far_more = t.far_step > kLanes ? kLanes : 0;
        kMicro<FarTile>[vectors][i1 - i0](t);
      } else {
        kMicro<Tile>[vectors][i1 - i0](t);
      }
      if (end && !in_registers)
        apply_chain_rows(e, t.c, g.ldc, i0, i1 - i0, j0, columns, static_cast<float*>(exec.scratch));
    }
  }
}

// Tiles whose rows of a, 512 KB of them, stay in L2 while narrow panels pass by. A wide panel is used so often that a
// may come from L3.
MAAS_INLINE int64_t tiles_at_once(const GemmArgs& g, int64_t tiles) {
  return V::kRegisters >= 32 ? tiles : 1 + (1 << 17) / (g.mr * (g.k + 1));
}

// Units [begin, end) of a strip: `count` tiles from tile `top` on.
MAAS_INLINE void run_strip(const GemmArgs& g, int64_t top, int64_t count, int64_t begin, int64_t end, int64_t tiles,
                           bool far, const Exec& exec) {
  const int64_t vectors = (g.n + kLanes - 1) / kLanes, wide = g.nr / kLanes, of_panel = count * wide;
  const int64_t step = tiles_at_once(g, count),
                whole = end < count * vectors ? end / of_panel : (vectors + wide - 1) / wide;
  while (begin < end) {
    const int64_t panel = begin / of_panel, start = panel * of_panel;
    if (begin == start && whole > panel) {
      for (int64_t t = 0; t < count; t += step)
        for (int64_t p = panel; p < whole; ++p)
          run_panel(g, p, top + t, top + (count - t < step ? count : t + step), tiles, far, exec);
      begin = whole * of_panel;
    } else {
      const int64_t left = vectors - panel * wide, w = left < wide ? left : wide, stop = start + count * w;
      const int64_t until = end < stop ? end : stop;
      const int64_t first = (begin - start + w - 1) / w, last = (until - start + w - 1) / w;
      if (first < last) run_panel(g, panel, top + first, top + last, tiles, far, exec);
      begin = until;
    }
  }
}

void run_gemm(const GemmArgs& g, int64_t begin, int64_t end, const Exec& exec) {
  const int64_t tiles = (g.m + g.mr - 1) / g.mr, vectors = (g.n + kLanes - 1) / kLanes, of_strip = g.strip * vectors;
  for (bool far = true; begin < end; far = false) {
    const int64_t top = begin / of_strip * g.strip, start = top * vectors;
    const int64_t count = tiles - top < g.strip ? tiles - top : g.strip, stop = start + count * vectors;
    const int64_t until = end < stop ? end : stop;
    run_strip(g, top, count, begin - start, until - start, tiles, far, exec);
    begin = until;
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
    for (int64_t k0 = 0; k0 == 0 || k0 < g.k; k0 += kBlock) {
      const float* b = static_cast<const float*>(g.b) + u.b + k0 * g.rsb;
      t.k = g.k - k0 < kBlock ? g.k - k0 : kBlock;
      if (!in_place) pack_panel(b, g.rsb, g.csb, t.k, u.columns, width, packed);
      t.b = in_place ? b : packed;
      t.first = k0 == 0;
      int64_t left = u.rows;
      t.a = static_cast<const float*>(g.a) + u.a + k0 * g.csa;
      t.c = static_cast<float*>(g.c) + u.c;
      for (int64_t tiles = (u.rows + mr - 1) / mr; tiles > 0; --tiles) {
        const int64_t rows = left / tiles;  // of even height, as in gemm
        Tiles::run(t, rows);
        t.a += rows * g.rsa;
        t.c += rows * g.ldc;
        left -= rows;
      }
    }
  }
}

}  // namespace
}  // namespace maas
