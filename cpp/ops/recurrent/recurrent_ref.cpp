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
    case CellActivation::relu:
      return z != z || z > 0 ? z : 0;
    case CellActivation::sigmoid:
      return sigmoid(z);
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
    case CellActivation::relu:
      return y > 0;
    case CellActivation::sigmoid:
      return y * (1 - y);
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
  if (a.cell != Cell::lstm) return wide_element<T>(a, panels, a.units, k, u);
  return static_cast<double>((static_cast<const T*>(panels) + u / 16 * a.units * 64)[(k * 4 + gate) * 16 + u % 16]);
}

// fn(row, unit) for every element of a tile and a block of `wide` units.
template <class F>
void each(const RecurrenceShape& a, int64_t tile, int64_t block, int64_t wide, F&& fn) {
  for (int64_t b = a.batch * tile / a.tiles; b < a.batch * (tile + 1) / a.tiles; ++b)
    for (int64_t u = block * wide; u < std::min(a.units, (block + 1) * wide); ++u) fn(b, u);
}

template <class T>
void step(const RecurrenceArgs& a, int64_t tile, int64_t block, int64_t s) {
  const int64_t H = a.units, G = cell_gates(a.cell), plane = a.batch * H;
  const T* before = s ? static_cast<const T*>(a.state) + (s - 1) % 2 * plane : static_cast<const T*>(a.h0);
  T* after = static_cast<T*>(a.state) + s % 2 * plane;
  each(a, tile, block, block_units(a.cell), [&](int64_t b, int64_t u) {
    const int64_t at = b * a.steps + time_of(a, s), bu = b * H + u;
    double gate[4] = {};
    for (int64_t g = 0; g < G; ++g) {
      double z = static_cast<double>(static_cast<const T*>(a.xz)[at * G * H + g * H + u]);
      for (int64_t k = 0; k < H; ++k) z += static_cast<double>(before[b * H + k]) * element<T>(a, a.panels, k, g, u);
      gate[g] = a.cell != Cell::lstm ? activate(a.activation, z) : g == 2 ? std::tanh(z) : sigmoid(z);
      if (a.gates) static_cast<T*>(a.gates)[at * G * H + g * H + u] = static_cast<T>(gate[g]);
    }
    T h = static_cast<T>(gate[0]);
    const bool keep = a.mask && !a.mask[at];
    if (a.cell == Cell::lstm) {
      T* running = static_cast<T*>(a.c);
      const T c = s ? running[bu] : static_cast<const T*>(a.c0)[bu];
      if (a.c_prev) static_cast<T*>(a.c_prev)[at * H + u] = c;
      const double next = gate[1] * static_cast<double>(c) + gate[0] * gate[2];
      h = static_cast<T>(gate[3] * std::tanh(next));
      running[bu] = keep ? c : static_cast<T>(next);
    }
    if (keep) h = before[bu];
    if (a.h_prev) static_cast<T*>(a.h_prev)[at * H + u] = before[bu];
    if (a.y) static_cast<T*>(a.y)[(b * a.steps + s) * H + u] = h;
    if (s + 1 == a.steps) static_cast<T*>(a.h)[bu] = h;
    after[bu] = h;
  });
}

// Phase p: step T-1-p, or what is left after the first step.
template <class T>
void back(const RecurrenceGradientArgs& a, int64_t tile, int64_t block, int64_t p) {
  const int64_t H = a.units, G = cell_gates(a.cell), s = a.steps - 1 - p;
  T *pass = static_cast<T*>(a.pass), *dc_state = static_cast<T*>(a.dc_state), *dxz = static_cast<T*>(a.dxz);
  each(a, tile, block, kBackUnits, [&](int64_t b, int64_t u) {
    const int64_t bu = b * H + u;
    double dh = 0, dc = 0;
    if (p == 0) {
      if (a.dh) dh = static_cast<double>(static_cast<const T*>(a.dh)[bu]);
      if (a.dc) dc = static_cast<double>(static_cast<const T*>(a.dc)[bu]);
    } else {
      dh = static_cast<double>(pass[bu]);
      if (a.cell == Cell::lstm) dc = static_cast<double>(dc_state[bu]);
      const T* dz = dxz + (b * a.steps + time_of(a, s + 1)) * G * H;
      for (int64_t k = 0; k < G * H; ++k) dh += static_cast<double>(dz[k]) * wide_element<T>(a, a.panels, G * H, k, u);
    }
    if (s < 0) {
      if (a.dh0) static_cast<T*>(a.dh0)[bu] = static_cast<T>(dh);
      if (a.dc0) static_cast<T*>(a.dc0)[bu] = static_cast<T>(dc);
      return;
    }
    if (a.dy) dh += static_cast<double>(static_cast<const T*>(a.dy)[(b * a.steps + s) * H + u]);
    const int64_t at = b * a.steps + time_of(a, s);
    const bool keep = a.mask && !a.mask[at];
    const T* gate = static_cast<const T*>(a.gates) + at * G * H + u;
    double dz[4];
    if (a.cell == Cell::lstm) {
      const double i = static_cast<double>(gate[0]), f = static_cast<double>(gate[H]),
                   g = static_cast<double>(gate[2 * H]), o = static_cast<double>(gate[3 * H]),
                   c = static_cast<double>(static_cast<const T*>(a.c_prev)[at * H + u]);
      const double t = std::tanh(f * c + i * g), dct = dc + dh * o * (1 - t * t);
      dz[0] = dct * g * i * (1 - i);
      dz[1] = dct * c * f * (1 - f);
      dz[2] = dct * i * (1 - g * g);
      dz[3] = dh * t * o * (1 - o);
      dc_state[bu] = static_cast<T>(keep ? dc : dct * f);
    } else {
      dz[0] = dh * slope(a.activation, static_cast<double>(gate[0]));
    }
    for (int64_t g = 0; g < G; ++g) dxz[at * G * H + g * H + u] = keep ? T(0) : static_cast<T>(dz[g]);
    pass[bu] = keep ? static_cast<T>(dh) : T(0);
  });
}

template <class T>
void forward(const RecurrenceArgs& a, int64_t begin, int64_t end, const Exec& exec) {
  for (int64_t unit = begin; unit < end; ++unit) {
    if (!a.by_rows) {
      step<T>(a, unit % a.tiles, unit / a.tiles, exec.phase);
      continue;
    }
    for (int64_t s = 0; s < a.steps && !exec.stopped(); ++s)
      for (int64_t block = 0; block < a.blocks; ++block) step<T>(a, unit, block, s);
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
  for (int64_t unit = begin; unit < end; ++unit) {
    if (!a.by_rows) {
      back<T>(a, unit % a.tiles, unit / a.tiles, exec.phase);
      continue;
    }
    for (int64_t p = 0; p <= a.steps && !exec.stopped(); ++p)
      for (int64_t block = 0; block < a.blocks; ++block) back<T>(a, unit, block, p);
  }
}

template <class T>
void pack(const RecurrentPackArgs& a, int64_t begin, int64_t end) {
  const int64_t H = a.units, rows = a.transpose ? H * cell_gates(a.cell) : H;
  const bool gated = a.cell == Cell::lstm && !a.transpose;
  for (int64_t block = begin; block < end; ++block) {
    T* y = static_cast<T*>(a.y) + block * rows * 64;
    const int64_t vectors = gated ? 4 : std::min<int64_t>(4, (H - block * 64 + 15) / 16);
    for (int64_t k = 0; k < rows; ++k)
      for (int64_t v = 0; v < vectors; ++v)
        for (int64_t j = 0; j < 16; ++j) {
          const int64_t u = gated ? block * 16 + j : block * 64 + v * 16 + j;
          const int64_t row = a.transpose ? u : k, column = a.transpose ? k : gated ? v * H + u : u;
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
