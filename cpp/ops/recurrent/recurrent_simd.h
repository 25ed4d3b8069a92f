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

// z[r][v] += sum_k x[r][k] * panel[k][v], one fma chain from z on.
template <int MR, int NV>
void sum_rows(float* z, const float* x, int64_t ldx, const float* panel, int64_t n) {
  simd::Block<V, MR * NV> acc;
  acc.load(z);
  for (int64_t k = 0; k < n; ++k, panel += NV * kLanes) {
    simd::Block<V, NV> b;
    b.load(panel);
    MAAS_UNROLL for (int r = 0; r < MR; ++r) {
      const V one(x[r * ldx + k]);
      MAAS_UNROLL for (int v = 0; v < NV; ++v) acc[r * NV + v] = fma(one, b[v], acc[r * NV + v]);
    }
  }
  acc.store(z);
}

// AVX2 has registers for one row; more rows run one after the other over a panel that stays in L1.
template <int NV>
void sum_tile(float* z, int64_t rows, const float* x, int64_t ldx, const float* panel, int64_t n) {
  if constexpr (V::kRegisters >= 32) {
    switch (rows) {
      case 1:
        return sum_rows<1, NV>(z, x, ldx, panel, n);
      case 2:
        return sum_rows<2, NV>(z, x, ldx, panel, n);
      case 3:
        return sum_rows<3, NV>(z, x, ldx, panel, n);
      case 4:
        return sum_rows<4, NV>(z, x, ldx, panel, n);
      case 5:
        return sum_rows<5, NV>(z, x, ldx, panel, n);
      default:
        return sum_rows<6, NV>(z, x, ldx, panel, n);
    }
  } else {
    for (int64_t r = 0; r < rows; ++r) sum_rows<1, NV>(z + r * NV * kLanes, x + r * ldx, ldx, panel, n);
  }
}

void sum_vectors(int64_t vectors, float* z, int64_t rows, const float* x, int64_t ldx, const float* panel, int64_t n) {
  switch (vectors) {
    case 1:
      return sum_tile<1>(z, rows, x, ldx, panel, n);
    case 2:
      return sum_tile<2>(z, rows, x, ldx, panel, n);
    case 3:
      return sum_tile<3>(z, rows, x, ldx, panel, n);
    default:
      return sum_tile<4>(z, rows, x, ldx, panel, n);
  }
}

V activate(CellActivation a, V z) {
  switch (a) {
    case CellActivation::tanh:
      return tanh(z);
    case CellActivation::relu:
      return max_nan(z, V(0.f));
    case CellActivation::sigmoid:
      return sigmoid(z);
    default:
      return z;
  }
}

V slope(CellActivation a, V y) {
  switch (a) {
    case CellActivation::tanh:
      return fnma(y, y, V(1.f));
    case CellActivation::relu:
      return select(y > V(0.f), V(1.f), V(0.f));
    case CellActivation::sigmoid:
      return y * (V(1.f) - y);
    default:
      return V(1.f);
  }
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

// ---- forwards

struct Kept {  // what the end of a step shares
  const RecurrenceArgs& a;
  int64_t s, at, row, u, left;
  bool keep, last;
  MAAS_MEMBER void finish(V h, const float* before, float* after) const {
    const V old = load_some<V>(before, left, 0.f);
    if (keep) h = old;
    if (a.h_prev) store_some(old, out(a.h_prev) + at * a.units + u, left);
    if (a.y) store_some(h, out(a.y) + (row * a.steps + s) * a.units + u, left);
    if (last) store_some(h, out(a.h) + row * a.units + u, left);
    store_some(h, after, left);
  }
};

void lstm_row(const Kept& k, const float* z, const float* before, float* after) {
  const RecurrenceArgs& a = k.a;
  const V i = sigmoid(V::load(z)), f = sigmoid(V::load(z + kLanes)), g = tanh(V::load(z + 2 * kLanes)),
          o = sigmoid(V::load(z + 3 * kLanes));
  float* running = out(a.c) + k.row * a.units + k.u;
  const V c = load_some<V>(k.s ? running : in(a.c0) + k.row * a.units + k.u, k.left, 0.f);
  const V next = fma(f, c, i * g);
  if (a.gates) {
    float* gates = out(a.gates) + k.at * 4 * a.units + k.u;
    store_some(i, gates, k.left);
    store_some(f, gates + a.units, k.left);
    store_some(g, gates + 2 * a.units, k.left);
    store_some(o, gates + 3 * a.units, k.left);
  }
  if (a.c_prev) store_some(c, out(a.c_prev) + k.at * a.units + k.u, k.left);
  store_some(k.keep ? c : next, running, k.left);
  k.finish(o * tanh(next), before, after);
}

void rnn_row(const Kept& k, const float* z, const float* before, float* after) {
  const RecurrenceArgs& a = k.a;
  const V h = activate(a.activation, V::load(z));
  if (a.gates) store_some(h, out(a.gates) + k.at * a.units + k.u, k.left);
  k.finish(h, before, after);
}

void step(const RecurrenceArgs& a, int64_t tile, int64_t block, int64_t s) {
  const Tile t = tile_of(a, tile, block, block_units(a.cell));
  const bool lstm = a.cell == Cell::lstm;
  const int64_t H = a.units, wide = (lstm ? 4 : 1) * H, plane = a.batch * H, time = time_of(a, s);
  // Sum v is gate v of 16 units, or units 16 v to 16 v + 15 of the block.
  const int64_t hop = lstm ? H : kLanes, shrink = lstm ? 0 : kLanes, sums = lstm ? 4 : t.vectors;
  alignas(64) float z[kRows * 4 * kLanes];
  for (int64_t r = 0; r < t.rows; ++r) {
    const float* x = in(a.xz) + ((t.row + r) * a.steps + time) * wide + t.unit;
    for (int64_t v = 0; v < sums; ++v)
      load_some<V>(x + v * hop, t.units - v * shrink, 0.f).store(z + (r * sums + v) * kLanes);
  }
  const float* before = s ? in(a.state) + (s - 1) % 2 * plane : in(a.h0);
  float* after = out(a.state) + s % 2 * plane;
  sum_vectors(sums, z, t.rows, before + t.row * H, H, in(a.panels) + block * H * 64, H);
  for (int64_t r = 0; r < t.rows; ++r) {
    const int64_t row = t.row + r, at = row * a.steps + time;
    const bool keep = a.mask && !a.mask[at], last = s + 1 == a.steps;
    for (int64_t v = 0; v < t.vectors; ++v) {
      const int64_t u = t.unit + v * kLanes;
      const Kept k{a, s, at, row, u, t.units - v * kLanes, keep, last};
      const float* sum = z + (r * sums + v) * kLanes;
      if (lstm)
        lstm_row(k, sum, before + row * H + u, after + row * H + u);
      else
        rnn_row(k, sum, before + row * H + u, after + row * H + u);
    }
  }
}

void recurrence(const RecurrenceArgs& a, int64_t begin, int64_t end, const Exec& exec) {
  if (!a.by_rows) {
    for (int64_t unit = begin; unit < end; ++unit) step(a, unit % a.tiles, unit / a.tiles, exec.phase);
    return;
  }
  // A panel stays in L1 for all tiles of the worker.
  for (int64_t s = 0; s < a.steps && !exec.stopped(); ++s)
    for (int64_t block = 0; block < a.blocks; ++block)
      for (int64_t tile = begin; tile < end; ++tile) step(a, tile, block, s);
  if (a.steps) return;
  for (int64_t i = a.batch * begin / a.tiles * a.units; i < a.batch * end / a.tiles * a.units; ++i) {
    out(a.h)[i] = in(a.h0)[i];
    if (a.c) out(a.c)[i] = in(a.c0)[i];
  }
}

// ---- backwards

struct Place {
  int64_t s, at, row, u, left;
  bool keep;
};

void lstm_back(const RecurrenceGradientArgs& a, const Place& k, V dh, V dc) {
  const int64_t H = a.units;
  const float* gates = in(a.gates) + k.at * 4 * H + k.u;
  const V i = load_some<V>(gates, k.left, 0.f), f = load_some<V>(gates + H, k.left, 0.f),
          g = load_some<V>(gates + 2 * H, k.left, 0.f), o = load_some<V>(gates + 3 * H, k.left, 0.f),
          c = load_some<V>(in(a.c_prev) + k.at * H + k.u, k.left, 0.f);
  const V one(1.f), zero(0.f), t = tanh(fma(f, c, i * g)), dct = fma(dh * o, fnma(t, t, one), dc);
  float* dz = out(a.dxz) + k.at * 4 * H + k.u;
  store_some(k.keep ? zero : dct * g * (i * (one - i)), dz, k.left);
  store_some(k.keep ? zero : dct * c * (f * (one - f)), dz + H, k.left);
  store_some(k.keep ? zero : dct * i * fnma(g, g, one), dz + 2 * H, k.left);
  store_some(k.keep ? zero : dh * t * (o * (one - o)), dz + 3 * H, k.left);
  store_some(k.keep ? dc : dct * f, out(a.dc_state) + k.row * H + k.u, k.left);
}

void rnn_back(const RecurrenceGradientArgs& a, const Place& k, V dh) {
  const int64_t at = k.at * a.units + k.u;
  const V dz = dh * slope(a.activation, load_some<V>(in(a.gates) + at, k.left, 0.f));
  store_some(k.keep ? V(0.f) : dz, out(a.dxz) + at, k.left);
}

// Phase p: step T-1-p, or what is left after the first step.
void back(const RecurrenceGradientArgs& a, int64_t tile, int64_t block, int64_t p) {
  const Tile t = tile_of(a, tile, block, kBackUnits);
  const bool lstm = a.cell == Cell::lstm;
  const int64_t H = a.units, wide = (lstm ? 4 : 1) * H, s = a.steps - 1 - p;
  alignas(64) float z[kRows * 4 * kLanes];
  const float* start = p ? in(a.pass) : in(a.dh);
  for (int64_t r = 0; r < t.rows; ++r)
    for (int64_t v = 0; v < t.vectors; ++v) {
      V from(0.f);
      if (start) from = load_some<V>(start + (t.row + r) * H + t.unit + v * kLanes, t.units - v * kLanes, 0.f);
      from.store(z + (r * t.vectors + v) * kLanes);
    }
  if (p) {
    const float* dz = in(a.dxz) + (t.row * a.steps + time_of(a, s + 1)) * wide;
    sum_vectors(t.vectors, z, t.rows, dz, a.steps * wide, in(a.panels) + block * wide * kBackUnits, wide);
  }
  for (int64_t r = 0; r < t.rows; ++r) {
    const int64_t row = t.row + r, at = s < 0 ? 0 : row * a.steps + time_of(a, s);
    const bool keep = s >= 0 && a.mask && !a.mask[at];
    for (int64_t v = 0; v < t.vectors; ++v) {
      const int64_t u = t.unit + v * kLanes, left = t.units - v * kLanes, bu = row * H + u;
      V dh = V::load(z + (r * t.vectors + v) * kLanes), dc(0.f);
      if (lstm && p) dc = load_some<V>(in(a.dc_state) + bu, left, 0.f);
      if (lstm && !p && a.dc) dc = load_some<V>(in(a.dc) + bu, left, 0.f);
      if (s < 0) {
        if (a.dh0) store_some(dh, out(a.dh0) + bu, left);
        if (a.dc0) store_some(dc, out(a.dc0) + bu, left);
        continue;
      }
      if (a.dy) dh = dh + load_some<V>(in(a.dy) + (row * a.steps + s) * H + u, left, 0.f);
      const Place k{s, at, row, u, left, keep};
      if (lstm)
        lstm_back(a, k, dh, dc);
      else
        rnn_back(a, k, dh);
      store_some(keep ? dh : V(0.f), out(a.pass) + bu, left);
    }
  }
}

void recurrence_gradient(const RecurrenceGradientArgs& a, int64_t begin, int64_t end, const Exec& exec) {
  if (!a.by_rows) {
    for (int64_t unit = begin; unit < end; ++unit) back(a, unit % a.tiles, unit / a.tiles, exec.phase);
    return;
  }
  for (int64_t p = 0; p <= a.steps && !exec.stopped(); ++p)
    for (int64_t block = 0; block < a.blocks; ++block)
      for (int64_t tile = begin; tile < end; ++tile) back(a, tile, block, p);
}

}  // namespace
}  // namespace maas
