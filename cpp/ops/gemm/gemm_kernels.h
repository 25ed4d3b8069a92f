#pragma once
// c[i][j] = epilogue(sum_k a[i][k] * b[k][j]), one fused multiply-add chain over k from 0 up for every element, so that
// the bits depend neither on m nor on tiles, KC blocks or threads. KC blocks reload c into the accumulators. a: element
// (i, k) at a[i * rsa + k * csa]; not packed. b: panels of nr columns as gemm_pack writes them: panel p holds rows k of
// its columns, padded with zeros to a multiple of 16. c: m x n, row stride ldc, no overlap with a or b. m is a run-time
// size, cut into ceil(m / mr) tiles whose heights differ by at most one. One unit = one tile of rows x 16 columns of c,
// so that ranges of units cost about the same; whoever has a tile's first 16 columns of a panel does all. Units go by
// strip of tiles, then down a panel: with one strip a KC block of a panel stays in L2 while rows of a pass by, with
// many a panel's rows come from L2 again, and threads have neighbouring rows. k >= 0 (0 gives zeros).
#include <cstdint>

#include "core/exec.h"
#include "cuda/product.h"
#include "ops/elementwise/epilogue_args.h"

namespace maas {

// Columns a panel holds; the last one only what is left, rounded up to 16.
constexpr int64_t kPanelAvx512 = 64, kPanelNarrow = 16;

// Rows of a tile that keep all sums in registers: fewer vectors a row leave room for more rows, and so for enough
// independent sums. n columns of a panel of nr.
static constexpr int64_t tile_rows(int64_t n, int64_t nr) {
  const int64_t columns = n < nr ? n : nr;
  return nr == kPanelNarrow ? 6 : columns <= 16 ? 14 : columns <= 32 ? 13 : columns <= 48 ? 8 : 6;
}

struct GemmArgs {
  const void* a;
  int64_t rsa, csa;
  const void* b;
  void* c;
  int64_t ldc, m, n, k;
  int64_t nr;     // panel width
  int64_t item;   // bytes of an element
  int64_t mr;     // rows of a tile
  int64_t strip;  // tiles of a strip
  EpilogueArgs epilogue;
};

// y = panels of x; x is k x n at x[i * rs + j * cs]. One unit = one panel.
struct GemmPackArgs {
  const void* x;
  void* y;
  int64_t rs, cs, k, n, nr;
};

// c[t] = a[t] * b[t] for every batch t, through any strides. Float: the sum of GemmArgs. Integers: exact modulo 2 to
// the number of their bits. One unit = block_rows rows x one panel of one batch; units go down a panel, then to the
// next, then to the next batch. Scratch of a worker: kKc rows of a panel, where the kernel packs what of b it cannot
// read in place.
constexpr int64_t kKc = 1024;  // at most; a panel of 64 columns is 256 KB then, an eighth of L2
struct GemmBatchedArgs {
  static constexpr int max_batch_rank = 6;
  static constexpr int64_t block_rows = 168;  // whole tiles of 14, 12, 8, 6 and 4 rows
  const void* a;
  const void* b;
  void* c;
  int64_t m, n, k, rsa, csa, rsb, csb, ldc, nr;
  int batch_rank;
  int64_t batch[max_batch_rank], a_stride[max_batch_rank], b_stride[max_batch_rank], c_stride[max_batch_rank];
  ProductEpilogue epilogue;  // of CUDA rows
};

// Rows of one panel: where c lies, and its operands from k = 0 on; offsets in elements.
struct GemmBatchedPart {
  int64_t a, b, c, rows, columns;
  int64_t end;  // the first unit behind it
};
// The units from `unit` on, at most to `end`, that share a panel.
inline __attribute__((always_inline)) GemmBatchedPart batched_part(const GemmBatchedArgs& g, int64_t unit,
                                                                   int64_t end) {
  const int64_t blocks = (g.m + g.block_rows - 1) / g.block_rows, panels = (g.n + g.nr - 1) / g.nr;
  const int64_t panel = unit / blocks, first = panel * blocks;
  const int64_t i = (unit - first) * g.block_rows, j = panel % panels * g.nr;
  GemmBatchedPart p{i * g.rsa, j * g.csb, i * g.ldc + j, g.m - i, g.n - j < g.nr ? g.n - j : g.nr, first + blocks};
  if (end < p.end) {
    p.end = end;
    p.rows = (end - unit) * g.block_rows;
  }
  int64_t rest = panel / panels;
  for (int d = g.batch_rank; d-- > 0; rest /= g.batch[d]) {
    const int64_t at = rest % g.batch[d];
    p.a += at * g.a_stride[d];
    p.b += at * g.b_stride[d];
    p.c += at * g.c_stride[d];
  }
  return p;
}

}  // namespace maas
