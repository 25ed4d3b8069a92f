#pragma once
// c[i][j] = epilogue(sum_k a[i][k] * b[k][j]), one fused multiply-add chain over k from 0 up for every element, so that
// the bits depend neither on m nor on tiles, KC blocks or threads. KC blocks reload c into the accumulators. a: element
// (i, k) at a[i * rsa + k * csa]; not packed. b: panels of nr columns as gemm_pack writes them: panel p holds rows k of
// its columns, padded with zeros to a multiple of 16. c: m x n, row stride ldc, no overlap with a or b. One unit = mr
// rows x one panel of c; units go down a panel first, so that a KC block of it stays in L2 while rows of a pass by. m
// is a run-time size. k >= 0 (0 gives zeros).
#include <cstdint>

#include "core/exec.h"
#include "ops/elementwise/epilogue_args.h"

namespace maas {

// Columns a panel holds; the last one only what is left, rounded up to 16.
constexpr int64_t kPanelAvx512 = 64, kPanelNarrow = 16;

// Rows of a tile that keep all sums in registers: fewer vectors a row leave room for more rows, and so for enough
// independent sums. n columns of a panel of nr.
static constexpr int64_t tile_rows(int64_t n, int64_t nr) {
  const int64_t columns = n < nr ? n : nr;
  return nr == kPanelNarrow ? 6 : columns <= 16 ? 14 : columns <= 32 ? 12 : columns <= 48 ? 8 : 6;
}

struct GemmArgs {
  const void* a;
  int64_t rsa, csa;
  const void* b;
  void* c;
  int64_t ldc, m, n, k;
  int64_t nr;  // panel width
  int64_t mr;  // rows of a tile
  EpilogueArgs epilogue;
};

// y = panels of x; x is k x n at x[i * rs + j * cs]. One unit = one panel.
struct GemmPackArgs {
  const void* x;
  void* y;
  int64_t rs, cs, k, n, nr;
};

// c[t] = a[t] * b[t] for every batch t, b packed by each worker as it goes. One unit = one panel of one batch.
struct GemmBatchedArgs {
  static constexpr int max_batch_rank = 4;
  const void* a;
  const void* b;
  void* c;
  int64_t m, n, k, rsa, csa, rsb, csb, ldc, nr, mr;
  int batch_rank;
  int64_t batch[max_batch_rank], a_stride[max_batch_rank], b_stride[max_batch_rank], c_stride[max_batch_rank];
};

}  // namespace maas
