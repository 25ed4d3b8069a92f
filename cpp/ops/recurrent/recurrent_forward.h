#pragma once
#include "ops/recurrent/recurrent_gates.h"
#include "ops/recurrent/recurrent_tile.h"

namespace maas {
namespace {

// 16 units of one row at one step.
struct Spot {
  const RecurrenceArgs& a;
  int64_t s, at, row, u, left;
  const float* before;
  float* after;
  MAAS_MEMBER V old() const { return load_some<V>(before + row * a.units + u, left, 0.f); }
  MAAS_MEMBER void keep_gate(V v, int64_t gate) const {
    if (a.gates) store_some(v, out(a.gates) + (at * kept_gates(a.cell) + gate) * a.units + u, left);
  }
  MAAS_MEMBER void finish(V h) const {
    if (a.h_prev) store_some(old(), out(a.h_prev) + at * a.units + u, left);
    if (a.y) store_some(h, out(a.y) + (row * a.steps + s) * a.units + u, left);
    if (s + 1 == a.steps) store_some(h, out(a.h) + row * a.units + u, left);
    store_some(h, after + row * a.units + u, left);
  }
  MAAS_MEMBER V carry() const {
    const float* from = s ? in(a.c) : in(a.c0);
    const V c = load_some<V>(from + row * a.units + u, left, 0.f);
    if (a.c_prev) store_some(c, out(a.c_prev) + at * a.units + u, left);
    return c;
  }
  MAAS_MEMBER void set_carry(V c) const { store_some(c, out(a.c) + row * a.units + u, left); }
};

MAAS_INLINE V mix(V z, V h, V n) { return fma(z, h, (V(1.f) - z) * n); }

// i, f, o sigmoid and g tanh.
MAAS_INLINE bool usual(const RecurrenceShape& a) {
  return a.activation == CellActivation::tanh && a.gate == CellActivation::sigmoid;
}

MAAS_INLINE void usual_lstm_spot(const Spot& k, const float* z) {
  const Ratio i = sigmoid_ratio(V::load(z)), f = sigmoid_ratio(V::load(z + kLanes)),
              g = tanh_ratio(V::load(z + 2 * kLanes)), o = sigmoid_ratio(V::load(z + 3 * kLanes));
  const V forget = f.sigmoid(), c = fma(forget, k.carry(), (i.up() * g.p) / (i.down() * g.q));
  if (k.a.gates) {
    k.keep_gate(i.sigmoid(), 0);
    k.keep_gate(forget, 1);
    k.keep_gate(g.value(), 2);
    k.keep_gate(o.sigmoid(), 3);
  }
  k.set_carry(c);
  const Ratio t = tanh_ratio(c);
  k.finish((o.up() * t.p) / (o.down() * t.q));
}

void lstm_spot(const Spot& k, const float* z) {
  const CellActivation act = k.a.activation, gate = k.a.gate;
  const V i = activate(gate, V::load(z)), f = activate(gate, V::load(z + kLanes)),
          g = activate(act, V::load(z + 2 * kLanes)), o = activate(gate, V::load(z + 3 * kLanes));
  k.keep_gate(i, 0);
  k.keep_gate(f, 1);
  k.keep_gate(g, 2);
  k.keep_gate(o, 3);
  const V c = fma(f, k.carry(), i * g);
  k.set_carry(c);
  k.finish(o * activate(act, c));
}

void gru_spot(const Spot& k, const float* sums, const float* xz_n) {
  const V sz = V::load(sums), sr = V::load(sums + kLanes), q = V::load(sums + 2 * kLanes),
          xn = load_some<V>(xz_n, k.left, 0.f);
  V z, r, n;
  if (usual(k.a)) {
    z = sigmoid_ratio(sz).sigmoid();
    r = sigmoid_ratio(sr).sigmoid();
    n = tanh_ratio(fma(r, q, xn)).value();
  } else {
    z = activate(k.a.gate, sz);
    r = activate(k.a.gate, sr);
    n = activate(k.a.activation, fma(r, q, xn));
  }
  k.keep_gate(z, 0);
  k.keep_gate(r, 1);
  k.keep_gate(n, 2);
  k.keep_gate(q, 3);
  k.finish(mix(z, k.old(), n));
}

// One step of one tile and block. gru_before: `half` 0 sums z and r, 1 sums n.
struct Step {
  const RecurrenceArgs& a;
  int64_t s, time;
  Tile t;
  int64_t block;
  const float* before;
  float* after;

  Step(const RecurrenceArgs& args, int64_t tile, int64_t block_, int64_t s_)
      : a(args),
        s(s_),
        time(time_of(args, s_)),
        t(tile_of(args, tile, block_, block_units(args.cell))),
        block(block_),
        before(s_ ? in(args.state) + (s_ - 1) % 2 * args.batch * args.units : in(args.h0)),
        after(out(args.state) + s_ % 2 * args.batch * args.units) {}

  Spot spot(int64_t row, int64_t vector) const {
    const int64_t u = t.unit + vector * kLanes;
    return {a, s, row * a.steps + time, row, u, t.units - vector * kLanes, before, after};
  }

  void sleep(int64_t row) const {
    for (int64_t v = 0; v < t.vectors; ++v) {
      const Spot k = spot(row, v);
      for (int64_t g = 0; g < kept_gates(a.cell); ++g) k.keep_gate(V(0.f), g);
      if (a.c) k.set_carry(k.carry());
      k.finish(k.old());
    }
  }

  // Sum v of a row starts from xz of gate v of 16 units, or of units 16 v to 16 v + 15 of the block from `column` on.
  void start(Sums& sums, const Awake& rows, int64_t vectors, int64_t column) const {
    const int64_t H = a.units, wide = cell_gates(a.cell) * H, hop = gated(a.cell) ? H : kLanes;
    for (int64_t i = 0; i < rows.count; ++i) {
      const float* x = in(a.xz) + (rows.row[i] * a.steps + time) * wide + column + t.unit;
      for (int64_t v = 0; v < vectors; ++v)
        first_sum(x + v * hop, v, t.units - (gated(a.cell) ? 0 : v * kLanes))
            .store(sums.z + (i * vectors + v) * kLanes);
    }
  }
  // Vector v of the sums starts here; `left` elements remain.
  MAAS_MEMBER V first_sum(const float* x, int64_t v, int64_t left) const {
    const V z = load_some<V>(x, left, 0.f);
    if (a.cell != Cell::gru) return z;
    const V b = a.recurrent_bias ? load_some<V>(in(a.recurrent_bias) + v * a.units + t.unit, left, 0.f) : V(0.f);
    return v == 2 ? b : z + b;
  }

  template <bool kGru>
  MAAS_MEMBER void gated_spot(const Spot& k, const float* z) const {
    if constexpr (kGru)
      gru_spot(k, z, in(a.xz) + (k.at * 3 + 2) * a.units + k.u);
    else if (usual(a))
      usual_lstm_spot(k, z);
    else
      lstm_spot(k, z);
  }

  // All of a block of units with gates for MR rows: no sum meets memory before it is complete.
  template <int MR, int NV>
  void gated_rows(const Awake& rows) const {
    const int64_t H = a.units, wide = NV * H;
    // A row's next time lies far from this one, so no hardware fetches it early.
    const int64_t next = s + 1 < a.steps ? (a.reverse ? -wide : wide) : 0;
    simd::Block<V, MR * NV> acc;
    const float* x[MR];
    MAAS_UNROLL for (int r = 0; r < MR; ++r) {
      const float* xz = in(a.xz) + (rows.row[r] * a.steps + time) * wide + t.unit;
      x[r] = before + rows.row[r] * H;
      MAAS_UNROLL for (int v = 0; v < NV; ++v) {
        acc[r * NV + v] = first_sum(xz + v * H, v, t.units);
        _mm_prefetch(reinterpret_cast<const char*>(xz + v * H + next), _MM_HINT_T1);
      }
    }
    const float* panel = in(a.panels) + block * H * NV * kLanes;
    multiply_add<MR, NV>(acc, x, panel, H);
    alignas(64) float z[MR * NV * kLanes];
    acc.store(z);
    for (int r = 0; r < MR; ++r) gated_spot<NV == 3>(spot(rows.row[r], 0), z + r * NV * kLanes);
  }
  template <int NV>
  void gated_tile(const Awake& rows) const {
    switch (rows.count) {
      case 0:
        return;
      case 1:
        return gated_rows<1, NV>(rows);
      case 2:
        return gated_rows<2, NV>(rows);
      case 3:
        return gated_rows<3, NV>(rows);
      case 4:
        return gated_rows<4, NV>(rows);
      case 5:
        return gated_rows<5, NV>(rows);
      case 6:
        return gated_rows<6, NV>(rows);
      default:
        if constexpr (NV == 3) return rows.count == 7 ? gated_rows<7, NV>(rows) : gated_rows<8, NV>(rows);
    }
  }

  void add(Sums& sums, const Awake& rows, int64_t vectors, const float* x, const float* panels) const {
    for (int64_t i = 0; i < rows.count; ++i) sums.x[i] = x + rows.row[i] * a.units;
    sum_vectors(vectors, sums.z, rows.count, sums.x, panels, a.units);
  }

  void whole() const {
    const int64_t gates = gated(a.cell) ? cell_gates(a.cell) : t.vectors;
    const Awake rows(t, a.mask, a.steps, time, [&](int64_t row) { sleep(row); });
    if constexpr (V::kRegisters >= 32)
      if (gated(a.cell)) return a.cell == Cell::lstm ? gated_tile<4>(rows) : gated_tile<3>(rows);
    Sums sums;
    start(sums, rows, gates, 0);
    add(sums, rows, gates, before, in(a.panels) + block * a.units * (gated(a.cell) ? gates : 4) * kLanes);
    for (int64_t i = 0; i < rows.count; ++i)
      for (int64_t v = 0; v < t.vectors; ++v) {
        const Spot k = spot(rows.row[i], v);
        const float* z = sums.z + (i * gates + v) * kLanes;
        if (a.cell == Cell::gru) {
          gated_spot<true>(k, z);
        } else if (a.cell == Cell::lstm) {
          gated_spot<false>(k, z);
        } else {
          const V h = activate(a.activation, V::load(z));
          k.keep_gate(h, 0);
          k.finish(h);
        }
      }
  }

  void half_step(int64_t half) const {
    const int64_t H = a.units, padded = (H + kLanes - 1) / kLanes * kLanes;
    float *update = out(a.update), *reset = update + a.batch * H;
    Sums sums;
    const Awake rows(t, a.mask, a.steps, time, [&](int64_t row) {
      if (half) sleep(row);
    });
    for (int64_t gate = 2 * half; gate < 2 + half; ++gate) {
      start(sums, rows, t.vectors, gate * H);
      add(sums, rows, t.vectors, half ? reset : before, in(a.panels) + gate * H * padded + block * H * 64);
      for (int64_t i = 0; i < rows.count; ++i)
        for (int64_t v = 0; v < t.vectors; ++v) {
          const Spot k = spot(rows.row[i], v);
          const V z = V::load(sums.z + (i * t.vectors + v) * kLanes), y = activate(half ? a.activation : a.gate, z),
                  h = k.old();
          k.keep_gate(y, gate);
          float *to = update + k.row * H + k.u, *product = reset + k.row * H + k.u;
          if (gate == 0)
            store_some(y, to, k.left);
          else if (gate == 1)
            store_some(y * h, product, k.left);
          else
            k.finish(mix(load_some<V>(to, k.left, 0.f), h, y));
        }
    }
  }

  void phase(int64_t part) const { return a.cell == Cell::gru_before ? half_step(part) : whole(); }
};

void recurrence(const RecurrenceArgs& a, int64_t begin, int64_t end, const Exec& exec) {
  const int64_t parts = step_phases(a.cell);
  if (!a.by_rows) {
    const bool back = exec.phase / parts % 2;
    for (int64_t i = begin; i < end; ++i) {
      const int64_t unit = back ? begin + end - 1 - i : i;
      Step(a, unit % a.tiles, unit / a.tiles, exec.phase / parts).phase(exec.phase % parts);
    }
    return;
  }
  // A panel stays in L1 for all tiles of the worker.
  for (int64_t p = 0; p < a.steps * parts && !exec.stopped(); ++p)
    for (int64_t block = 0; block < a.blocks; ++block)
      for (int64_t tile = begin; tile < end; ++tile) Step(a, tile, block, p / parts).phase(p % parts);
  if (a.steps) return;
  for (int64_t i = a.batch * begin / a.tiles * a.units; i < a.batch * end / a.tiles * a.units; ++i) {
    out(a.h)[i] = in(a.h0)[i];
    if (a.c) out(a.c)[i] = in(a.c0)[i];
  }
}

}  // namespace
}  // namespace maas
