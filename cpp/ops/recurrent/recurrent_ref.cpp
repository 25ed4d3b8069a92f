// Plain loops; sums in double.
#include <algorithm>
#include <cmath>

#include "ops/recurrent/recurrent_kernels.h"

namespace maas {
namespace {

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

double activate(CellActivation a, double z) {
  switch (a) {
    case CellActivation::tanh:
      return std::tanh(z);
    case CellActivation::sigmoid:
      return sigmoid(z);
    case CellActivation::relu:
      return z != z || z > 0 ? z : 0;
    case CellActivation::relu6:
      return z != z ? z : std::min(std::max(z, 0.0), 6.0);
    case CellActivation::hard_sigmoid:
      return activate(CellActivation::relu6, z + 3) / 6;
    case CellActivation::softsign:
      return z / (std::abs(z) + 1);
    case CellActivation::elu:
      return z > 0 ? z : std::expm1(z);
    case CellActivation::linear:
      break;
  }
  return z;
}

// The derivative from the result.
double slope(CellActivation a, double y) {
  switch (a) {
    case CellActivation::tanh:
      return 1 - y * y;
    case CellActivation::sigmoid:
      return y * (1 - y);
    case CellActivation::relu:
      return y > 0;
    case CellActivation::relu6:
      return y > 0 && y < 6;
    case CellActivation::hard_sigmoid:
      return y > 0 && y < 1 ? 1.0 / 6 : 0;
    case CellActivation::softsign:
      return (1 - std::abs(y)) * (1 - std::abs(y));
    case CellActivation::elu:
      return y > 0 ? 1 : y + 1;
    case CellActivation::linear:
      break;
  }
  return 1;
}

int64_t time_of(const RecurrenceShape& a, int64_t step) { return a.reverse ? a.steps - 1 - step : step; }

// Column u of row k in panels of 64 columns out of a.units, `rows` rows each.
template <class T>
double wide_element(const RecurrenceShape& a, const void* panels, int64_t rows, int64_t k, int64_t u) {
  const int64_t block = u / 64, width = std::min<int64_t>(64, (a.units - block * 64 + 15) / 16 * 16);
  return static_cast<double>((static_cast<const T*>(panels) + block * rows * 64)[k * width + u % 64]);
}
template <class T>
double element(const RecurrenceShape& a, const void* panels, int64_t k, int64_t gate, int64_t u) {
  const int64_t H = a.units, G = cell_gates(a.cell);
  if (!gated(a.cell))
    return wide_element<T>(a, static_cast<const T*>(panels) + gate * H * ((H + 15) / 16 * 16), H, k, u);
  return static_cast<double>((static_cast<const T*>(panels) + u / 16 * H * G * 16)[(k * G + gate) * 16 + u % 16]);
}

// fn(row, unit) for every element of a tile and a block of `wide` units.
template <class F>
void each(const RecurrenceShape& a, int64_t tile, int64_t block, int64_t wide, F&& fn) {
  for (int64_t b = a.batch * tile / a.tiles; b < a.batch * (tile + 1) / a.tiles; ++b)
    for (int64_t u = block * wide; u < std::min(a.units, (block + 1) * wide); ++u) fn(b, u);
}

// `part`: gru_before finds z and r first, n after all of r h is known.
template <class T>
void step(const RecurrenceArgs& a, int64_t tile, int64_t block, int64_t s, int64_t part) {
  const int64_t H = a.units, G = cell_gates(a.cell), K = kept_gates(a.cell), plane = a.batch * H;
  const T* before = s ? static_cast<const T*>(a.state) + (s - 1) % 2 * plane : static_cast<const T*>(a.h0);
  T *after = static_cast<T*>(a.state) + s % 2 * plane, *update = static_cast<T*>(a.update), *reset = update + plane;
  each(a, tile, block, block_units(a.cell), [&](int64_t b, int64_t u) {
    const int64_t at = b * a.steps + time_of(a, s), bu = b * H + u;
    const bool keep = a.mask && !a.mask[at];
    const auto project = [&](int64_t g) {
      return static_cast<double>(static_cast<const T*>(a.xz)[at * G * H + g * H + u]);
    };
    const auto bias = [&](int64_t g) {
      return a.recurrent_bias ? static_cast<double>(static_cast<const T*>(a.recurrent_bias)[g * H + u]) : 0.0;
    };
    const auto recur = [&](const T* state, int64_t g) {
      double z = 0;
      for (int64_t k = 0; k < H; ++k) z += static_cast<double>(state[b * H + k]) * element<T>(a, a.panels, k, g, u);
      return z;
    };
    const auto gate = [&](int64_t g, double value) {
      if (a.gates) static_cast<T*>(a.gates)[(at * K + g) * H + u] = keep ? T(0) : static_cast<T>(value);
    };
    const double old = static_cast<double>(before[bu]);
    double h = 0;
    if (a.cell == Cell::lstm) {
      double y[4];
      for (int64_t g = 0; g < 4; ++g) {
        const double z = project(g) + recur(before, g);
        gate(g, y[g] = activate(g == 2 ? a.activation : a.gate, z));
      }
      T* running = static_cast<T*>(a.c);
      const T c = s ? running[bu] : static_cast<const T*>(a.c0)[bu];
      if (a.c_prev) static_cast<T*>(a.c_prev)[at * H + u] = c;
      const double next = y[1] * static_cast<double>(c) + y[0] * y[2];
      running[bu] = keep ? c : static_cast<T>(next);
      h = y[3] * activate(a.activation, next);
    } else if (a.cell == Cell::gru) {
      const double z = activate(a.gate, project(0) + bias(0) + recur(before, 0)),
                   r = activate(a.gate, project(1) + bias(1) + recur(before, 1)), q = bias(2) + recur(before, 2),
                   n = activate(a.activation, project(2) + r * q);
      const double kept[] = {z, r, n, q};
      for (int64_t g = 0; g < 4; ++g) gate(g, kept[g]);
      h = z * old + (1 - z) * n;
    } else if (a.cell == Cell::gru_before && part == 0) {
      const double z = activate(a.gate, project(0) + recur(before, 0)),
                   r = activate(a.gate, project(1) + recur(before, 1));
      gate(0, z);
      gate(1, r);
      update[bu] = static_cast<T>(z);
      reset[bu] = static_cast<T>(r * old);
      return;
    } else if (a.cell == Cell::gru_before) {
      const double z = static_cast<double>(update[bu]), n = activate(a.activation, project(2) + recur(reset, 2));
      gate(2, n);
      h = z * old + (1 - z) * n;
    } else {
      gate(0, h = activate(a.activation, project(0) + recur(before, 0)));
    }
    const T next = keep ? before[bu] : static_cast<T>(h);
    if (a.h_prev) static_cast<T*>(a.h_prev)[at * H + u] = before[bu];
    if (a.y) static_cast<T*>(a.y)[(b * a.steps + s) * H + u] = next;
    if (s + 1 == a.steps) static_cast<T*>(a.h)[bu] = next;
    after[bu] = next;
  });
}

// Phase p: step T-1-p, or what is left after the first step. `part` 1: r of gru_before.
template <class T>
void back(const RecurrenceGradientArgs& a, int64_t tile, int64_t block, int64_t p, int64_t part) {
  const int64_t H = a.units, G = cell_gates(a.cell), K = kept_gates(a.cell), s = a.steps - 1 - p;
  T *pass = static_cast<T*>(a.pass), *dc_state = static_cast<T*>(a.dc_state), *dxz = static_cast<T*>(a.dxz);
  T* dhz = a.cell == Cell::gru ? static_cast<T*>(a.dhz) : dxz;
  each(a, tile, block, kBackUnits, [&](int64_t b, int64_t u) {
    const int64_t bu = b * H + u, at = s < 0 ? 0 : b * a.steps + time_of(a, s);
    const bool keep = s >= 0 && a.mask && !a.mask[at];
    const auto gate = [&](int64_t g) {
      return static_cast<double>(static_cast<const T*>(a.gates)[(at * K + g) * H + u]);
    };
    const auto set = [&](T* to, int64_t g, double value) {
      to[(at * G + g) * H + u] = keep ? T(0) : static_cast<T>(value);
    };
    const auto chain = [&](int64_t time, int64_t from, int64_t to) {
      double sum = 0;
      const T* dz = dhz + (b * a.steps + time) * G * H;
      for (int64_t k = from; k < to; ++k) sum += static_cast<double>(dz[k]) * wide_element<T>(a, a.panels, G * H, k, u);
      return sum;
    };
    const double h = is_gru(a.cell) && s >= 0 ? static_cast<double>(static_cast<const T*>(a.prev)[at * H + u]) : 0;
    if (part == 1) {
      if (keep) return;
      const double d = chain(time_of(a, s), 2 * H, 3 * H), r = gate(1);
      set(dxz, 1, d * h * slope(a.gate, r));
      pass[bu] = static_cast<T>(static_cast<double>(pass[bu]) + d * r);
      return;
    }
    double dh = 0, dc = 0;
    if (p == 0) {
      if (a.dh) dh = static_cast<double>(static_cast<const T*>(a.dh)[bu]);
      if (a.dc) dc = static_cast<double>(static_cast<const T*>(a.dc)[bu]);
    } else {
      dh = static_cast<double>(pass[bu]) + chain(time_of(a, s + 1), 0, a.cell == Cell::gru_before ? 2 * H : G * H);
      if (a.cell == Cell::lstm) dc = static_cast<double>(dc_state[bu]);
    }
    if (s < 0) {
      if (a.dh0) static_cast<T*>(a.dh0)[bu] = static_cast<T>(dh);
      if (a.dc0) static_cast<T*>(a.dc0)[bu] = static_cast<T>(dc);
      return;
    }
    if (a.dy) dh += static_cast<double>(static_cast<const T*>(a.dy)[(b * a.steps + s) * H + u]);
    double through = 0;
    if (a.cell == Cell::lstm) {
      const double i = gate(0), f = gate(1), g = gate(2), o = gate(3),
                   c = static_cast<double>(static_cast<const T*>(a.prev)[at * H + u]);
      const double t = activate(a.activation, f * c + i * g), dct = dc + dh * o * slope(a.activation, t);
      set(dxz, 0, dct * g * slope(a.gate, i));
      set(dxz, 1, dct * c * slope(a.gate, f));
      set(dxz, 2, dct * i * slope(a.activation, g));
      set(dxz, 3, dh * t * slope(a.gate, o));
      dc_state[bu] = static_cast<T>(keep ? dc : dct * f);
    } else if (is_gru(a.cell)) {
      const double z = gate(0), n = gate(2), dz = dh * (h - n) * slope(a.gate, z),
                   dn = dh * (1 - z) * slope(a.activation, n);
      set(dxz, 0, dz);
      set(dxz, 2, dn);
      through = dh * z;
      if (a.cell == Cell::gru) {
        const double r = gate(1), dr = dn * gate(3) * slope(a.gate, r);
        set(dxz, 1, dr);
        set(dhz, 0, dz);
        set(dhz, 1, dr);
        set(dhz, 2, dn * r);
      } else if (keep) {
        set(dxz, 1, 0);
      }
    } else {
      set(dxz, 0, dh * slope(a.activation, gate(0)));
    }
    pass[bu] = static_cast<T>(keep ? dh : through);
  });
}

template <class T>
void forward(const RecurrenceArgs& a, int64_t begin, int64_t end, const Exec& exec) {
  const int64_t parts = step_phases(a.cell);
  for (int64_t unit = begin; unit < end; ++unit) {
    if (!a.by_rows) {
      step<T>(a, unit % a.tiles, unit / a.tiles, exec.phase / parts, exec.phase % parts);
      continue;
    }
    for (int64_t p = 0; p < a.steps * parts && !exec.stopped(); ++p)
      for (int64_t block = 0; block < a.blocks; ++block) step<T>(a, unit, block, p / parts, p % parts);
    if (!a.steps)
      for (int64_t block = 0; block < a.blocks; ++block)
        each(a, unit, block, block_units(a.cell), [&](int64_t b, int64_t u) {
          static_cast<T*>(a.h)[b * a.units + u] = static_cast<const T*>(a.h0)[b * a.units + u];
          if (a.c) static_cast<T*>(a.c)[b * a.units + u] = static_cast<const T*>(a.c0)[b * a.units + u];
        });
  }
}

template <class T>
void gradient(const RecurrenceGradientArgs& a, int64_t begin, int64_t end, const Exec& exec) {
  const int64_t parts = step_phases(a.cell);
  for (int64_t unit = begin; unit < end; ++unit) {
    if (!a.by_rows) {
      back<T>(a, unit % a.tiles, unit / a.tiles, exec.phase / parts, exec.phase % parts);
      continue;
    }
    for (int64_t p = 0; p <= a.steps * parts && !exec.stopped(); ++p)
      for (int64_t block = 0; block < a.blocks; ++block) back<T>(a, unit, block, p / parts, p % parts);
  }
}

template <class T>
void pack(const RecurrentPackArgs& a, int64_t begin, int64_t end) {
  const int64_t H = a.units, G = cell_gates(a.cell), rows = a.transpose ? H * G : H;
  const bool side_by_side = gated(a.cell) && !a.transpose;
  const int64_t blocks = (H + 63) / 64;
  for (int64_t unit = begin; unit < end; ++unit) {
    // Without gates side by side: unit = gate * blocks + block.
    const int64_t gate = side_by_side ? 0 : unit / blocks, block = side_by_side ? unit : unit % blocks;
    const int64_t vectors = side_by_side ? G : std::min<int64_t>(4, (H - block * 64 + 15) / 16);
    T* y = static_cast<T*>(a.y);
    y += side_by_side ? block * rows * G * 16 : gate * H * ((H + 15) / 16 * 16) + block * rows * 64;
    for (int64_t k = 0; k < rows; ++k)
      for (int64_t v = 0; v < vectors; ++v)
        for (int64_t j = 0; j < 16; ++j) {
          const int64_t u = side_by_side ? block * 16 + j : block * 64 + v * 16 + j;
          const int64_t row = a.transpose ? u : k, column = a.transpose ? k : (side_by_side ? v : gate) * H + u;
          *y++ = u < H ? static_cast<const T*>(a.u)[row * a.rs + column * a.cs] : T(0);
        }
  }
}

}  // namespace

void recurrence_f32_ref(const RecurrenceArgs& a, int64_t begin, int64_t end, const Exec& exec) {
  forward<float>(a, begin, end, exec);
}
void recurrence_f64_ref(const RecurrenceArgs& a, int64_t begin, int64_t end, const Exec& exec) {
  forward<double>(a, begin, end, exec);
}
void recurrence_gradient_f32_ref(const RecurrenceGradientArgs& a, int64_t begin, int64_t end, const Exec& exec) {
  gradient<float>(a, begin, end, exec);
}
void recurrence_gradient_f64_ref(const RecurrenceGradientArgs& a, int64_t begin, int64_t end, const Exec& exec) {
  gradient<double>(a, begin, end, exec);
}
void recurrent_pack_f32(const RecurrentPackArgs& a, int64_t begin, int64_t end, const Exec&) {
  pack<float>(a, begin, end);
}
void recurrent_pack_f64(const RecurrentPackArgs& a, int64_t begin, int64_t end, const Exec&) {
  pack<double>(a, begin, end);
}

}  // namespace maas
