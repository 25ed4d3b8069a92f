#pragma once
// The sums of one tile (rows x 4 vectors) stay in registers over all k; the cell is finished from L1 right after.
#include "ops/recurrent/recurrent_kernels.h"
#include "simd/isa.h"

namespace maas {
namespace {

using simd::load_some;
using simd::Mask;
using simd::store_some;
using simd::V;

constexpr int64_t kLanes = kRecurrentLanes, kRows = kRecurrentRows;

MAAS_INLINE const float* in(const void* p) { return static_cast<const float*>(p); }
MAAS_INLINE float* out(void* p) { return static_cast<float*>(p); }
MAAS_INLINE int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
MAAS_INLINE int64_t time_of(const RecurrenceShape& a, int64_t step) { return a.reverse ? a.steps - 1 - step : step; }

// acc[r][v] += sum_k x[r][k] * panel[k][v], one fma chain.
template <int MR, int NV>
MAAS_INLINE void multiply_add(simd::Block<V, MR * NV>& acc, const float* const* x, const float* panel, int64_t n) {
  for (int64_t k = 0; k < n; ++k, panel += NV * kLanes) {
    simd::Block<V, NV> b;
    b.load(panel);
    MAAS_UNROLL for (int r = 0; r < MR; ++r) {
      const V one(x[r][k]);
      MAAS_UNROLL for (int v = 0; v < NV; ++v) acc[r * NV + v] = fma(one, b[v], acc[r * NV + v]);
    }
  }
}

template <int MR, int NV>
void sum_rows(float* z, const float* const* rows, const float* panel, int64_t n) {
  simd::Block<V, MR * NV> acc;
  acc.load(z);
  const float* x[MR];
  MAAS_UNROLL for (int r = 0; r < MR; ++r) x[r] = rows[r];
  multiply_add<MR, NV>(acc, x, panel, n);
  acc.store(z);
}

// AVX2 has registers for one row; more rows run one after the other over a panel that stays in L1.
template <int NV>
void sum_tile(float* z, int64_t rows, const float* const* x, const float* panel, int64_t n) {
  if constexpr (V::kRegisters >= 32) {
    switch (rows) {
      case 0:
        return;
      case 1:
        return sum_rows<1, NV>(z, x, panel, n);
      case 2:
        return sum_rows<2, NV>(z, x, panel, n);
      case 3:
        return sum_rows<3, NV>(z, x, panel, n);
      case 4:
        return sum_rows<4, NV>(z, x, panel, n);
      case 5:
        return sum_rows<5, NV>(z, x, panel, n);
      case 6:
        return sum_rows<6, NV>(z, x, panel, n);
      default:
        if constexpr (NV < 4) return rows == 7 ? sum_rows<7, NV>(z, x, panel, n) : sum_rows<8, NV>(z, x, panel, n);
    }
  } else {
    for (int64_t r = 0; r < rows; ++r) sum_rows<1, NV>(z + r * NV * kLanes, x + r, panel, n);
  }
}

void sum_vectors(int64_t vectors, float* z, int64_t rows, const float* const* x, const float* panel, int64_t n) {
  switch (vectors) {
    case 1:
      return sum_tile<1>(z, rows, x, panel, n);
    case 2:
      return sum_tile<2>(z, rows, x, panel, n);
    case 3:
      return sum_tile<3>(z, rows, x, panel, n);
    default:
      return sum_tile<4>(z, rows, x, panel, n);
  }
}

__attribute__((noinline)) V activate_other(CellActivation a, V z) {
  switch (a) {
    case CellActivation::relu:
      return max_nan(z, V(0.f));
    case CellActivation::relu6:
      return min_nan(max_nan(z, V(0.f)), V(6.f));
    case CellActivation::hard_sigmoid:
      return min_nan(max_nan(z + V(3.f), V(0.f)), V(6.f)) / V(6.f);
    case CellActivation::softsign:
      return z / (abs(z) + V(1.f));
    case CellActivation::elu:
      return elu(z, V(1.f));
    default:
      return z;
  }
}
MAAS_INLINE V activate(CellActivation a, V z) {
  if (a == CellActivation::tanh) return tanh(z);
  if (a == CellActivation::sigmoid) return sigmoid(z);
  return activate_other(a, z);
}

// The derivative from the result.
__attribute__((noinline)) V slope_other(CellActivation a, V y) {
  const V one(1.f), zero(0.f), apart = one - abs(y);
  switch (a) {
    case CellActivation::relu:
      return select(y > zero, one, zero);
    case CellActivation::relu6:
      return select((y > zero) & (y < V(6.f)), one, zero);
    case CellActivation::hard_sigmoid:
      return select((y > zero) & (y < one), one / V(6.f), zero);
    case CellActivation::softsign:
      return apart * apart;
    case CellActivation::elu:
      return select(y > zero, one, y + one);
    default:
      return one;
  }
}
MAAS_INLINE V slope(CellActivation a, V y) {
  if (a == CellActivation::tanh) return fnma(y, y, V(1.f));
  if (a == CellActivation::sigmoid) return y * (V(1.f) - y);
  return slope_other(a, y);
}

// Where a tile and a block lie.
struct Tile {
  int64_t row, rows, unit, units, vectors;  // vectors: 16 units each
};
MAAS_INLINE Tile tile_of(const RecurrenceShape& a, int64_t tile, int64_t block, int64_t wide) {
  const int64_t row = a.batch * tile / a.tiles, rows = a.batch * (tile + 1) / a.tiles - row;
  const int64_t unit = block * wide, units = smaller(wide, a.units - unit);
  return {row, rows, unit, units, (units + kLanes - 1) / kLanes};
}

// The rows of a tile that a time does not mask, side by side, so that nothing is summed for the others.
struct Awake {
  int64_t row[kRows], count = 0;
  template <class F>
  MAAS_MEMBER Awake(const Tile& t, const uint8_t* mask, int64_t steps, int64_t time, F&& asleep) {
    for (int64_t r = t.row; r < t.row + t.rows; ++r)
      if (!mask || mask[r * steps + time])
        row[count++] = r;
      else
        asleep(r);
  }
};

struct Sums {
  alignas(64) float z[kRows * 4 * kLanes];
  const float* x[kRows];
};

}  // namespace
}  // namespace maas
