#pragma once
// A recurrent cell over all steps, its input projection xz = x W + b done before. Step s of T reads time tau = s, or
// T-1-s with reverse; s counts the steps in the order they run. With h, c the state before the step and z = xz[tau] + h
// U:
//   lstm        i = sigmoid(z_i), f = sigmoid(z_f), g = tanh(z_g), o = sigmoid(z_o); c' = f c + i g; h' = o tanh(c')
//   simple_rnn  h' = activation(z)
// A row whose mask is false at tau keeps h and c. Every z is one fma chain over k from 0 up that starts from xz, so its
// bits depend neither on the batch, nor on tiles, cuts or threads, nor on AVX2 or AVX-512.
//
// U comes in panels of a block of hidden units: lstm 16 units x 4 gates, simple_rnn 64 units, transposed (backwards) 64
// units. Row k of a panel holds 4 vectors of 16 (without gates: what is left in the last panel), padded with zeros: 64
// columns keep all sums of a tile of 6 rows in registers, and the cell is finished right there.
//
// Two schedules with the same bits. By steps: phase = step, unit = block * tiles + tile, so that every worker keeps its
// share of U in its own L2; a barrier stands between steps. By rows (phases = 1): unit = tile of rows, all its steps,
// no barrier.
#include <cstdint>

#include "core/exec.h"

namespace maas {

enum class Cell : int8_t { simple_rnn, lstm };
enum class CellActivation : int8_t { linear, tanh, relu, sigmoid };  // of simple_rnn

constexpr int64_t kRecurrentRows =
    6;  // at most, of a tile: 6 x 4 sums + 4 panel vectors + 1 broadcast fit 32 registers
constexpr int64_t kRecurrentLanes = 16;

constexpr int64_t cell_gates(Cell cell) { return cell == Cell::lstm ? 4 : 1; }
constexpr int64_t block_units(Cell cell) { return cell == Cell::lstm ? 16 : 64; }  // forwards
constexpr int64_t kBackUnits = 64;

// B batch, T steps, H units, G gates. All dense; float32 or float64 as the row says.
struct RecurrenceShape {
  Cell cell;
  CellActivation activation;
  bool reverse;
  bool by_rows;
  int64_t batch, steps, units, tiles, blocks;  // tile i has the rows from batch * i / tiles on
};

struct RecurrenceArgs : RecurrenceShape {
  const void* xz;       // (B, T, G H), index tau
  const void* panels;   // of U (H, G H)
  const void* h0;       // (B, H)
  const void* c0;       // (B, H), lstm
  const uint8_t* mask;  // (B, T), index tau, or null
  void* h;              // (B, H) the last state
  void* c;              // (B, H), lstm; the running state too
  // May be null: nobody reads them.
  void* y;       // (B, T, H) h' of every step, index s
  void* h_prev;  // (B, T, H) h, index tau
  void* gates;   // (B, T, G H) after their activations, index tau
  void* c_prev;  // (B, T, H) c, index tau, lstm
  void* state;   // workspace, 2 x (B, H): h of even and of odd steps
};

// Backwards: from dy (of y), dh, dc (of the last state) to dxz, dh0, dc0. Phase p < T is step T-1-p, phase T gives dh0
// and dc0. dh of step s is one chain over the G H columns of dxz at step s + 1, times U transposed.
struct RecurrenceGradientArgs : RecurrenceShape {
  const void* gates;
  const void* panels;  // of U transposed
  const void* c_prev;  // lstm
  const uint8_t* mask;
  const void* dy;  // dy, dh, dc may be null: zeros
  const void* dh;
  const void* dc;
  void* dxz;
  void* dh0;       // may be null
  void* dc0;       // may be null
  void* pass;      // workspace (B, H): dh of masked steps, which goes by the cell
  void* dc_state;  // workspace (B, H), lstm
};

// panels of u (H x G H, row stride rs, column stride cs) or of its transpose; one unit = one block.
struct RecurrentPackArgs {
  const void* u;
  void* y;
  int64_t rs, cs, units;
  Cell cell;
  bool transpose;
};

}  // namespace maas
