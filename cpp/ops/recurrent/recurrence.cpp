// The recurrent part as nodes, and how arguments are filled.
#include <algorithm>

#include "core/threads.h"
#include "graph/op_model.h"
#include "ops/recurrent/recurrent.h"

#define MAAS_KERNELS "ops/recurrent/kernels.inc"
#define MAAS_KERNEL_ARGS RecurrenceArgs
#define MAAS_KERNEL_TABLE recurrence_kernels
#include "core/kernel_table.h"

#define MAAS_KERNELS "ops/recurrent/gradient_kernels.inc"
#define MAAS_KERNEL_ARGS RecurrenceGradientArgs
#define MAAS_KERNEL_TABLE recurrence_gradient_kernels
#include "core/kernel_table.h"

#define MAAS_KERNELS "ops/recurrent/pack_kernels.inc"
#define MAAS_KERNEL_ARGS RecurrentPackArgs
#define MAAS_KERNEL_TABLE recurrent_pack_kernels
#include "core/kernel_table.h"

namespace maas {
namespace {

Cell parse_cell(const std::string& name) {
  if (name == "lstm") return Cell::lstm;
  if (name == "simple_rnn") return Cell::simple_rnn;
  if (name == "gru") return Cell::gru;
  if (name == "gru_before") return Cell::gru_before;
  fail(ErrorKind::value, "recurrence: cell must be 'lstm', 'gru', 'gru_before' or 'simple_rnn', received '", name, "'");
}
using A = CellActivation;
constexpr std::pair<const char*, A> kActivations[] = {{"linear", A::linear},     {"tanh", A::tanh},
                                                      {"sigmoid", A::sigmoid},   {"relu", A::relu},
                                                      {"relu6", A::relu6},       {"hard_sigmoid", A::hard_sigmoid},
                                                      {"softsign", A::softsign}, {"elu", A::elu}};

CellActivation parse_activation(const std::string& name) {
  for (const auto& [known, value] : kActivations)
    if (name == known) return value;
  fail(ErrorKind::value,
       "recurrence: an activation must be 'linear', 'tanh', 'sigmoid', 'relu', 'relu6', 'hard_sigmoid', 'softsign' or "
       "'elu', received '",
       name, "'");
}
bool is_lstm(const std::string& cell) { return parse_cell(cell) == Cell::lstm; }
constexpr int64_t kPanelsInL2 = 1 << 20, kRowsPerThread = 4;
constexpr double kOneThread = 50e3;  // nanoseconds below which a team is not worth a barrier a step

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Nanoseconds: a tile reads the panels at L2 speed or computes, whichever is longer; then the activations.
double step_work(const RecurrenceShape& a) {
  const double panels = static_cast<double>(a.units * a.units * cell_gates(a.cell));
  const double rows = static_cast<double>(a.batch);
  return std::max(static_cast<double>(a.tiles) * panels * 4 / 150, rows * panels * 2 / 200) +
         rows * static_cast<double>(a.units * cell_gates(a.cell)) * 0.25;
}

void bind_shape(RecurrenceShape& a, const std::string& cell, const std::string& activation, const std::string& gate,
                bool reverse, int64_t block, int64_t vectors, const BoundValue& gates, int64_t widths) {
  a.cell = parse_cell(cell);
  a.activation = parse_activation(activation);
  a.gate = parse_activation(gate);
  a.reverse = reverse;
  a.batch = gates.shape[0];
  a.steps = gates.shape[1];
  a.units = gates.shape[2] / widths;
  a.blocks = ceil_div(a.units, block);
  a.tiles = ceil_div(a.batch, tile_rows(vectors));
  // By rows there is no barrier, but every worker reads all of the panels: where they fit its L2 and there are rows for
  // all, or where one thread does the work.
  const int64_t threads = ThreadPool::instance().size();
  const bool small = a.units * a.units * cell_gates(a.cell) * 4 <= kPanelsInL2;
  a.by_rows = a.steps == 0 || threads == 1 || (small && a.batch >= kRowsPerThread * threads) ||
              static_cast<double>(a.steps) * step_work(a) < kOneThread;
  if (a.by_rows && a.tiles >= threads) a.tiles = ceil_div(a.tiles, threads) * threads;
}

// tile[1] of a CUDA row: it has no second product within a step.
bool takes(const KernelRow& row, Cell cell, const Spec& state, int64_t widths) {
  if (row.dtype != state.dtype) return false;
  if (row.isa != Isa::cuda) return true;
  const Dim& width = state.shape.back();
  return width.is_constant() && width.constant() / widths <= row.tile[0] && !(cell == Cell::gru_before && row.tile[1]);
}

}  // namespace

bool known_activation(const std::string& name) {
  return std::any_of(std::begin(kActivations), std::end(kActivations), [&](const auto& a) { return name == a.first; });
}

// ---- panels

MAAS_DEFINE_OP(recurrent_pack, RecurrentPack)
const KernelTable& RecurrentPack::kernels() { return recurrent_pack_kernels; }

Specs RecurrentPack::infer(const Inputs& in) const {
  check(!in.empty(), "recurrent_pack: one operand is needed, received 0");
  const int64_t units = in[0].shape[0].constant();
  const int64_t columns = ceil_div(units, kRecurrentLanes) * kRecurrentLanes * cell_gates(parse_cell(cell));
  return {Spec{in[0].dtype, {Dim(units * columns)}, {}}};
}

void RecurrentPack::bind(const Bind& b, RecurrentPackArgs& a) const {
  const BoundValue& u = b.in(0);
  a = {b.read(0), b.write(0), u.strides[0], u.strides[1], u.shape[0], parse_cell(cell), transpose};
}

int64_t RecurrentPack::units(const RecurrentPackArgs& a) const {
  const int64_t blocks = ceil_div(a.units, a.transpose ? kBackUnits : block_units(a.cell));
  return gated(a.cell) || a.transpose ? blocks : blocks * cell_gates(a.cell);
}

// ---- forwards

MAAS_DEFINE_OP(recurrence, Recurrence)
const KernelTable& Recurrence::kernels() { return recurrence_kernels; }

bool Recurrence::accepts(const KernelRow& row, const Specs& in, const Specs&) const {
  return takes(row, parse_cell(cell), in[2], 1);
}

int Recurrence::visible_outputs() const { return (is_lstm(cell) ? 2 : 1) + (return_sequences ? 1 : 0); }

Specs Recurrence::infer(const Inputs& in) const {
  const Cell kind = parse_cell(cell);
  const Spec &xz = in[0], &state = in[2];
  const Spec sequence{xz.dtype, {xz.shape[0], xz.shape[1], state.shape[1]}, {}};
  const Spec kept{xz.dtype, {xz.shape[0], xz.shape[1], state.shape[1] * Dim(kept_gates(kind))}, {}};
  if (kind == Cell::lstm) return {state, state, sequence, sequence, kept, sequence};
  return {state, sequence, sequence, kept};
}

std::vector<Dim> Recurrence::workspaces(const Specs& in, const Specs&) const {
  const Dim two = product(in[2].shape) * Dim(2 * bit_size(in[2].dtype) / 8);
  return {two, parse_cell(cell) == Cell::gru_before ? two : Dim(0)};
}

void Recurrence::bind(const Bind& b, RecurrenceArgs& a) const {
  const Cell kind = parse_cell(cell);
  bind_shape(a, cell, activation, gate, reverse, block_units(kind), kind == Cell::gru ? 3 : 4, b.in(0),
             cell_gates(kind));
  const int states = kind == Cell::lstm ? 2 : 1;
  int next = 0;
  a.xz = b.read(next++);
  a.panels = b.read(next++);
  a.h0 = b.read(next++);
  a.c0 = states == 2 ? b.read(next++) : nullptr;
  a.recurrent_bias = use_bias ? b.read(next++) : nullptr;
  a.mask = use_mask ? b.read<uint8_t>(next++) : nullptr;
  a.h = b.write(0);
  a.c = states == 2 ? b.write(1) : nullptr;
  a.y = b.write(states);
  a.h_prev = b.write(states + 1);
  a.gates = b.write(states + 2);
  a.c_prev = states == 2 ? b.write(states + 3) : nullptr;
  a.state = b.workspace(0);
  a.update = b.workspace(1);
}

int64_t Recurrence::phases(const RecurrenceArgs& a) const { return a.by_rows ? 1 : a.steps * step_phases(a.cell); }
double Recurrence::work(const RecurrenceArgs& a) const { return static_cast<double>(a.steps) * step_work(a); }

// ---- backwards

MAAS_DEFINE_OP(recurrence_gradient, RecurrenceGradient)
const KernelTable& RecurrenceGradient::kernels() { return recurrence_gradient_kernels; }

Specs RecurrenceGradient::infer(const Inputs& in) const {
  const Cell kind = parse_cell(cell);
  const Spec& gates = in[0];
  const Dim units = floordiv(gates.shape[2], Dim(kept_gates(kind)));
  const Spec state{gates.dtype, {gates.shape[0], units}, {}};
  const Spec dxz{gates.dtype, {gates.shape[0], gates.shape[1], units * Dim(cell_gates(kind))}, {}};
  if (kind == Cell::lstm) return {dxz, state, state};
  if (kind == Cell::gru) return {dxz, state, dxz};
  return {dxz, state};
}

bool RecurrenceGradient::accepts(const KernelRow& row, const Specs& in, const Specs&) const {
  return takes(row, parse_cell(cell), in[0], kept_gates(parse_cell(cell)));
}

std::vector<Dim> RecurrenceGradient::workspaces(const Specs&, const Specs& out) const {
  const Spec& dxz = out[0];
  const Dim state =
      dxz.shape[0] * floordiv(dxz.shape[2], Dim(cell_gates(parse_cell(cell)))) * Dim(bit_size(dxz.dtype) / 8);
  return {state, parse_cell(cell) == Cell::lstm ? state : Dim(0)};
}

void RecurrenceGradient::bind(const Bind& b, RecurrenceGradientArgs& a) const {
  const Cell kind = parse_cell(cell);
  bind_shape(a, cell, activation, gate, reverse, kBackUnits, 4, b.in(0), kept_gates(kind));
  int next = 2;
  a.gates = b.read(0);
  a.panels = b.read(1);
  a.prev = kind == Cell::simple_rnn ? nullptr : b.read(next++);
  a.mask = use_mask ? b.read<uint8_t>(next++) : nullptr;
  a.dy = has_dy ? b.read(next++) : nullptr;
  a.dh = has_dh ? b.read(next++) : nullptr;
  a.dc = has_dc ? b.read(next++) : nullptr;
  a.dxz = b.write(0);
  a.dh0 = b.write(1);
  a.dc0 = kind == Cell::lstm ? b.write(2) : nullptr;
  a.dhz = kind == Cell::gru ? b.write(2) : nullptr;
  a.pass = b.workspace(0);
  a.dc_state = b.workspace(1);
}

int64_t RecurrenceGradient::phases(const RecurrenceGradientArgs& a) const {
  return a.by_rows ? 1 : a.steps * step_phases(a.cell) + 1;
}
double RecurrenceGradient::work(const RecurrenceGradientArgs& a) const {
  return static_cast<double>(a.steps) * step_work(a);
}

}  // namespace maas
