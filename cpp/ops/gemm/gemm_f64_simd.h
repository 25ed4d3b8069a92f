#pragma once
// float64 products: a tile of rows times some columns of a panel, with all sums in registers. One chain of fused
// multiply-adds an element, k from 0 up, so the bits depend on nothing else.
#include "ops/gemm/gemm_kernels.h"
#include "simd/f64.h"

namespace maas {
namespace {

using simd::F64;

// Vectors of columns at once: 14 rows of two fill the registers of AVX-512, 6 rows of one those of AVX2.
constexpr int kF64Vectors = F64::kRegisters >= 32 ? 2 : 1;

template <int kRows>
MAAS_INLINE void f64_tile(const GemmArgs& g, const double* a, const double* b, int64_t ldb, double* c,
                          int64_t columns) {
  F64 sum[kRows][kF64Vectors];
  MAAS_UNROLL for (int r = 0; r < kRows; ++r) MAAS_UNROLL for (int v = 0; v < kF64Vectors; ++v) sum[r][v] = F64(0.0);
  for (int64_t k = 0; k < g.k; ++k, a += g.csa, b += ldb) {
    F64 row[kF64Vectors];
    MAAS_UNROLL for (int v = 0; v < kF64Vectors; ++v) row[v] = F64::load(b + v * F64::lanes);
    MAAS_UNROLL for (int r = 0; r < kRows; ++r) {
      const F64 x(a[r * g.rsa]);
      MAAS_UNROLL for (int v = 0; v < kF64Vectors; ++v) sum[r][v] = fma(x, row[v], sum[r][v]);
    }
  }
  MAAS_UNROLL for (int r = 0; r < kRows; ++r) MAAS_UNROLL for (int v = 0; v < kF64Vectors; ++v) {
    const int64_t left = columns - v * F64::lanes;
    double* to = c + r * g.ldc + v * F64::lanes;
    if (left >= F64::lanes)
      sum[r][v].store(to);
    else if (left > 0)
      sum[r][v].store(to, left);
  }
}

// As many rows at once as registers hold: whole tiles of kMost, then one of what is left.
template <int kMost>
MAAS_INLINE void f64_rows(const GemmArgs& g, const double* a, int64_t rows, const double* b, int64_t ldb, double* c,
                          int64_t columns) {
  if constexpr (kMost > 0) {
    if (rows == kMost)
      f64_tile<kMost>(g, a, b, ldb, c, columns);
    else
      f64_rows<kMost - 1>(g, a, rows, b, ldb, c, columns);
  }
}

static void run_gemm_f64(const GemmArgs& g, int64_t begin, int64_t end) {
  constexpr int64_t kMost = F64::kRegisters >= 32 ? 14 : 6, kStep = kF64Vectors * F64::lanes;
  const int64_t tiles = (g.m + g.mr - 1) / g.mr;
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t tile = unit % tiles, i0 = g.m * tile / tiles, i1 = g.m * (tile + 1) / tiles;
    const int64_t j0 = unit / tiles * 16, columns = g.n - j0 < 16 ? g.n - j0 : 16;
    const int64_t p0 = j0 / g.nr * g.nr, wide = g.n - p0 < g.nr ? g.n - p0 : g.nr, ldb = (wide + 15) / 16 * 16;
    const double* b = static_cast<const double*>(g.b) + p0 * g.k + j0 - p0;
    for (int64_t i = i0; i < i1; i += kMost) {
      const double* a = static_cast<const double*>(g.a) + i * g.rsa;
      double* c = static_cast<double*>(g.c) + i * g.ldc + j0;
      const int64_t rows = i1 - i < kMost ? i1 - i : kMost;
      for (int64_t j = 0; j < columns; j += kStep) f64_rows<kMost>(g, a, rows, b + j, ldb, c + j, columns - j);
    }
  }
}

}  // namespace
}  // namespace maas
