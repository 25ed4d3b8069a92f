#pragma once
#include "ops/recurrent/recurrent_tile.h"

namespace maas {
namespace {

struct BackSpot {
  const RecurrenceGradientArgs& a;
  int64_t at, row, u, left;
  MAAS_MEMBER V gate(int64_t g) const {
    return load_some<V>(in(a.gates) + (at * kept_gates(a.cell) + g) * a.units + u, left, 0.f);
  }
  MAAS_MEMBER V before() const { return load_some<V>(in(a.prev) + at * a.units + u, left, 0.f); }
  MAAS_MEMBER void set(void* to, int64_t g, V v) const {
    store_some(v, out(to) + (at * cell_gates(a.cell) + g) * a.units + u, left);
  }
  MAAS_MEMBER V of_row(const void* p) const { return load_some<V>(in(p) + row * a.units + u, left, 0.f); }
  MAAS_MEMBER void set_row(void* p, V v) const { store_some(v, out(p) + row * a.units + u, left); }
};

void lstm_back(const BackSpot& k, V dh, V dc) {
  const V i = k.gate(0), f = k.gate(1), g = k.gate(2), o = k.gate(3), c = k.before();
  const CellActivation act = k.a.activation, gate = k.a.gate;
  const V t = activate(act, fma(f, c, i * g)), dct = fma(dh * o, slope(act, t), dc);
  k.set(k.a.dxz, 0, dct * g * slope(gate, i));
  k.set(k.a.dxz, 1, dct * c * slope(gate, f));
  k.set(k.a.dxz, 2, dct * i * slope(act, g));
  k.set(k.a.dxz, 3, dh * t * slope(gate, o));
  k.set_row(k.a.dc_state, dct * f);
  k.set_row(k.a.pass, V(0.f));
}

void gru_back(const BackSpot& k, V dh) {
  const V z = k.gate(0), n = k.gate(2), h = k.before(), one(1.f);
  const V dz = dh * (h - n) * slope(k.a.gate, z), dn = dh * (one - z) * slope(k.a.activation, n);
  k.set(k.a.dxz, 0, dz);
  k.set(k.a.dxz, 2, dn);
  k.set_row(k.a.pass, dh * z);
  if (k.a.cell == Cell::gru_before) return;  // r comes when d(r h) is known
  const V r = k.gate(1), q = k.gate(3), dr = dn * q * slope(k.a.gate, r);
  k.set(k.a.dxz, 1, dr);
  k.set(k.a.dhz, 0, dz);
  k.set(k.a.dhz, 1, dr);
  k.set(k.a.dhz, 2, dn * r);
}

// Step s = T - 1 - p of one tile and block; p = T: what is left after the first step.
struct BackStep {
  const RecurrenceGradientArgs& a;
  int64_t p, s, time, block;
  Tile t;

  BackStep(const RecurrenceGradientArgs& args, int64_t tile, int64_t block_, int64_t p_)
      : a(args),
        p(p_),
        s(args.steps - 1 - p_),
        time(s < 0 ? 0 : time_of(args, s)),
        block(block_),
        t(tile_of(args, tile, block_, kBackUnits)) {}

  BackSpot spot(int64_t row, int64_t vector) const {
    return {a, row * a.steps + time, row, t.unit + vector * kLanes, t.units - vector * kLanes};
  }

  // Adds columns [from, from + n) of `dz` at `when`, times U transposed, to the sums of these rows.
  void add(Sums& sums, const Awake& rows, const void* dz, int64_t when, int64_t from, int64_t n) const {
    const int64_t wide = cell_gates(a.cell) * a.units;
    for (int64_t i = 0; i < rows.count; ++i) sums.x[i] = in(dz) + (rows.row[i] * a.steps + when) * wide + from;
    const float* panel = in(a.panels) + block * wide * kBackUnits + from * t.vectors * kLanes;
    sum_vectors(t.vectors, sums.z, rows.count, sums.x, panel, n);
  }

  void set(const BackSpot& k, V dh) const {
    V dc(0.f);
    if (a.cell == Cell::lstm && p) dc = k.of_row(a.dc_state);
    if (a.cell == Cell::lstm && !p && a.dc) dc = k.of_row(a.dc);
    if (s < 0) {
      if (a.dh0) k.set_row(a.dh0, dh);
      if (a.dc0) k.set_row(a.dc0, dc);
      return;
    }
    if (a.dy) dh = dh + load_some<V>(in(a.dy) + (k.row * a.steps + s) * a.units + k.u, k.left, 0.f);
    if (a.mask && !a.mask[k.at]) {
      for (int64_t g = 0; g < cell_gates(a.cell); ++g) {
        k.set(a.dxz, g, V(0.f));
        if (a.cell == Cell::gru) k.set(a.dhz, g, V(0.f));
      }
      if (a.cell == Cell::lstm) k.set_row(a.dc_state, dc);
      k.set_row(a.pass, dh);
    } else if (a.cell == Cell::lstm) {
      lstm_back(k, dh, dc);
    } else if (is_gru(a.cell)) {
      gru_back(k, dh);
    } else {
      k.set(a.dxz, 0, dh * slope(a.activation, k.gate(0)));
      k.set_row(a.pass, V(0.f));
    }
  }

  void whole() const {
    const void* start = p ? a.pass : a.dh;
    const auto state = [&](int64_t row, int64_t v) { return start ? spot(row, v).of_row(start) : V(0.f); };
    if (!p) {
      for (int64_t r = t.row; r < t.row + t.rows; ++r)
        for (int64_t v = 0; v < t.vectors; ++v) set(spot(r, v), state(r, v));
      return;
    }
    // A row that slept at step s + 1 has nothing to sum.
    Sums sums;
    const int64_t when = time_of(a, s + 1), columns = (a.cell == Cell::gru_before ? 2 : cell_gates(a.cell)) * a.units;
    const Awake rows(t, a.mask, a.steps, when, [&](int64_t row) {
      for (int64_t v = 0; v < t.vectors; ++v) set(spot(row, v), state(row, v));
    });
    for (int64_t i = 0; i < rows.count; ++i)
      for (int64_t v = 0; v < t.vectors; ++v) state(rows.row[i], v).store(sums.z + (i * t.vectors + v) * kLanes);
    add(sums, rows, a.cell == Cell::gru ? a.dhz : a.dxz, when, 0, columns);
    for (int64_t i = 0; i < rows.count; ++i)
      for (int64_t v = 0; v < t.vectors; ++v) set(spot(rows.row[i], v), V::load(sums.z + (i * t.vectors + v) * kLanes));
  }

  // gru_before: d(r h) = dn U_n^T, from which dr and the rest of dh come.
  void reset() const {
    Sums sums;
    const Awake rows(t, a.mask, a.steps, time, [](int64_t) {});
    for (int64_t i = 0; i < rows.count * t.vectors; ++i) V(0.f).store(sums.z + i * kLanes);
    add(sums, rows, a.dxz, time, 2 * a.units, a.units);
    for (int64_t i = 0; i < rows.count; ++i)
      for (int64_t v = 0; v < t.vectors; ++v) {
        const BackSpot k = spot(rows.row[i], v);
        const V d = V::load(sums.z + (i * t.vectors + v) * kLanes), r = k.gate(1);
        k.set(a.dxz, 1, d * k.before() * slope(a.gate, r));
        k.set_row(a.pass, fma(d, r, k.of_row(a.pass)));
      }
  }

  void phase(int64_t part) const { return part ? reset() : whole(); }
};

void recurrence_gradient(const RecurrenceGradientArgs& a, int64_t begin, int64_t end, const Exec& exec) {
  const int64_t parts = step_phases(a.cell);
  if (!a.by_rows) {
    for (int64_t unit = begin; unit < end; ++unit)
      BackStep(a, unit % a.tiles, unit / a.tiles, exec.phase / parts).phase(exec.phase % parts);
    return;
  }
  for (int64_t p = 0; p <= a.steps * parts && !exec.stopped(); ++p)
    for (int64_t block = 0; block < a.blocks; ++block)
      for (int64_t tile = begin; tile < end; ++tile) BackStep(a, tile, block, p / parts).phase(p % parts);
}

}  // namespace
}  // namespace maas
