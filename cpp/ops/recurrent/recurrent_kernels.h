#pragma once
// A recurrent cell over all steps, its input projection xz = x W + b done before. Step s of T reads time tau = s, or
// T-1-s with reverse; s counts the steps in the order they run. With h, c the state before the step, z = xz[tau] + h U,
// and b the recurrent bias:
//   lstm        i = gate(z_i), f = gate(z_f), g = act(z_g), o = gate(z_o); c' = f c + i g; h' = o act(c')
//   simple_rnn  h' = act(z)
//   gru         z = gate(z_z + b_z), r = gate(z_r + b_r), q = h U_n + b_n, n = act(xz_n + r q)
//   gru_before  z = gate(z_z), r = gate(z_r), n = act(xz_n + (r h) U_n)
// and h' = z h + (1 - z) n for both kinds of gru; act and gate are tanh and sigmoid unless the shape says otherwise.
// A row whose mask is false at tau keeps h and c, and its sums are not computed. Every z is one fma chain over k from 0
// up that starts from xz (q from b_n), so its bits depend neither on the batch, nor on tiles, cuts or threads, nor on
// AVX2 or AVX-512.
//
// U comes in panels of a block of hidden units: lstm 16 units x 4 gates, gru 16 units x 3 gates, the others 64 units;
// gru_before one matrix per gate, one after the other. Transposed (backwards) 64 units. Row k of a panel holds up to 4
// vectors of 16 (without gates: what is left in the last panel), padded with zeros: 64 columns keep all sums of a tile
// of 6 rows (48 of 8) in registers, and the cell is finished right there.
//
// Two schedules with the same bits. By steps: phase = step (gru_before: two phases a step), unit = block * tiles +
// tile, so that every worker keeps its share of U in its own L2; a barrier stands between phases. Odd steps go through
// the units backwards: of a share that is larger than L2, the part read last is still there. By rows (phases = 1):
// unit = tile of rows, all its steps, no barrier.
#include <cstdint>

#include "core/exec.h"

namespace maas {

enum class Cell : int8_t { simple_rnn, lstm, gru, gru_before };
// Those whose derivative follows from the result alone.
enum class CellActivation : int8_t { linear, tanh, sigmoid, relu, relu6, hard_sigmoid, softsign, elu };

// Rows of a tile at most: 6 x 4 (8 x 3) sums, 4 panel vectors and 1 broadcast fit 32 registers.
constexpr int64_t kRecurrentRows = 8;
constexpr int64_t tile_rows(int64_t vectors) { return vectors == 4 ? 6 : kRecurrentRows; }
constexpr int64_t kRecurrentLanes = 16;
constexpr int64_t kBackUnits = 64;

constexpr bool is_gru(Cell cell) { return cell == Cell::gru || cell == Cell::gru_before; }
// Whether the gates of a unit lie side by side in the panels.
constexpr bool gated(Cell cell) { return cell == Cell::lstm || cell == Cell::gru; }
constexpr int64_t cell_gates(Cell cell) { return cell == Cell::lstm ? 4 : is_gru(cell) ? 3 : 1; }
// Results kept for the gradient, in widths of H: lstm i f g o, simple_rnn h', gru z r n q, gru_before z r n.
constexpr int64_t kept_gates(Cell cell) { return cell == Cell::gru ? 4 : cell_gates(cell); }
constexpr int64_t block_units(Cell cell) { return gated(cell) ? 16 : 64; }  // forwards
constexpr int64_t step_phases(Cell cell) { return cell == Cell::gru_before ? 2 : 1; }

// B batch, T steps, H units, G gates, K kept gates. All dense; float32 or float64 as the row says.
struct RecurrenceShape {
  Cell cell;
  CellActivation activation, gate;  // gate: the recurrent activation
  bool reverse;
  bool by_rows;
  int64_t batch, steps, units, tiles, blocks;  // tile i has the rows from batch * i / tiles on
};

struct RecurrenceArgs : RecurrenceShape {
  const void* xz;              // (B, T, G H), index tau
  const void* panels;          // of U (H, G H)
  const void* h0;              // (B, H)
  const void* c0;              // (B, H), lstm
  const void* recurrent_bias;  // (G H) or null, gru
  const uint8_t* mask;         // (B, T), index tau, or null
  void* h;                     // (B, H) the last state
  void* c;                     // (B, H), lstm; the running state too
  // May be null: nobody reads them.
  void* y;       // (B, T, H) h' of every step, index s
  void* h_prev;  // (B, T, H) h, index tau
  void* gates;   // (B, T, K H) after their activations, index tau; zeros where masked
  void* c_prev;  // (B, T, H) c, index tau, lstm
  void* state;   // workspace, 2 x (B, H): h of even and of odd steps
  void* update;  // workspace, 2 x (B, H), gru_before: z and r h of the step
};

// Backwards: from dy (of y), dh, dc (of the last state) to dxz, dh0, dc0. Phase p < T is step T-1-p, phase T gives dh0
// and dc0 (gru_before: phases 2p and 2p+1). dh of step s is one chain over the G H columns of dhz at step s + 1, times
// U transposed, where dhz is the gradient of h U: dxz itself, but for gru.
struct RecurrenceGradientArgs : RecurrenceShape {
  const void* gates;
  const void* panels;  // of U transposed
  const void* prev;    // c_prev (lstm) or h_prev (gru)
  const uint8_t* mask;
  const void* dy;  // dy, dh, dc may be null: zeros
  const void* dh;
  const void* dc;
  void* dxz;
  void* dh0;       // may be null
  void* dc0;       // may be null
  void* dhz;       // (B, T, G H), gru
  void* pass;      // workspace (B, H): what of dh goes by the sums
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
