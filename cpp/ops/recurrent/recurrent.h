#pragma once
#include "graph/op.h"
#include "ops/recurrent/recurrent_kernels.h"

namespace maas {

// Of the products of the states with the recurrent kernel.
inline double recurrent_flops(const RecurrenceShape& a) {
  return 2.0 * static_cast<double>(a.steps * a.batch) * static_cast<double>(a.units * a.units * cell_gates(a.cell));
}

// tile[0] of a CUDA row: the most units that it takes. Rows that spread U over multiprocessors take few and are fast.
inline double recurrent_cost(const KernelRow& row) {
  return row.isa == Isa::cuda ? static_cast<double>(row.tile[0]) : default_cost(row.isa);
}

// A whole layer. Inputs: x (B, T, I), h0 (B, H), [c0 (B, H)], kernel (I, G H), recurrent_kernel (H, G H), [bias (G H)],
// [mask (B, T) bool]. Outputs: h, [c], y (B, T, H) in the order of the steps; then residuals for the gradient.
struct Lstm {
  std::string activation = "tanh", recurrent_activation = "sigmoid";
  bool reverse = false, return_sequences = true, use_bias = true, use_mask = false;
  MAAS_PARAMS(activation, recurrent_activation, reverse, return_sequences, use_bias, use_mask)
  Specs infer(const Inputs& in) const;
  int visible_outputs() const { return return_sequences ? 3 : 2; }
  Nodes gradient(const Node& y, const Nodes& dys, const Needs& needs) const;
  Nodes lower(const Node& y) const;
};

struct SimpleRnn {
  std::string activation = "tanh";
  bool reverse = false, return_sequences = true, use_bias = true, use_mask = false;
  MAAS_PARAMS(activation, reverse, return_sequences, use_bias, use_mask)
  Specs infer(const Inputs& in) const;
  int visible_outputs() const { return return_sequences ? 2 : 1; }
  Nodes gradient(const Node& y, const Nodes& dys, const Needs& needs) const;
  Nodes lower(const Node& y) const;
};

// bias: (2, 3 H), of the input and of the recurrent product, with reset_after, else (3 H). Gates z r n.
struct Gru {
  std::string activation = "tanh", recurrent_activation = "sigmoid";
  bool reset_after = true, reverse = false, return_sequences = true, use_bias = true, use_mask = false;
  MAAS_PARAMS(activation, recurrent_activation, reset_after, reverse, return_sequences, use_bias, use_mask)
  Specs infer(const Inputs& in) const;
  int visible_outputs() const { return return_sequences ? 2 : 1; }
  Nodes gradient(const Node& y, const Nodes& dys, const Needs& needs) const;
  Nodes lower(const Node& y) const;
};

// Whether the fused cells know an activation of this name.
bool known_activation(const std::string& name);

// The recurrent kernel in panels; see recurrent_kernels.h.
struct RecurrentPack {
  std::string cell = "lstm";
  bool transpose = false;
  MAAS_PARAMS(cell, transpose)
  using Args = RecurrentPackArgs;
  static const KernelTable& kernels();
  Specs infer(const Inputs& in) const;
  InputLayout input_layout(int) const { return InputLayout::strided; }
  void bind(const Bind& b, RecurrentPackArgs& args) const;
  int64_t units(const RecurrentPackArgs& a) const;
};

// All steps of a cell. Inputs: xz (B, T, G H), panels, h0, [c0], [recurrent bias (G H) of gru], [mask]. Outputs: h,
// [c], y, h_prev, gates, [c_prev].
struct Recurrence {
  std::string cell = "lstm", activation = "tanh", gate = "sigmoid";
  bool reverse = false, return_sequences = true, use_mask = false, use_bias = false;  // use_bias: the recurrent one
  MAAS_PARAMS(cell, activation, gate, reverse, return_sequences, use_mask, use_bias)
  using Args = RecurrenceArgs;
  static const KernelTable& kernels();
  Specs infer(const Inputs& in) const;
  int visible_outputs() const;
  bool accepts(const KernelRow& row, const Specs& in, const Specs& out) const;
  double cost(const KernelRow& row, const Specs&, const Specs&) const { return recurrent_cost(row); }
  std::vector<Dim> workspaces(const Specs& in, const Specs& out) const;
  void bind(const Bind& b, RecurrenceArgs& args) const;
  int64_t phases(const RecurrenceArgs& a) const;
  int64_t units(const RecurrenceArgs& a) const { return a.by_rows ? a.tiles : a.tiles * a.blocks; }
  double work(const RecurrenceArgs& a) const;
  double flops(const RecurrenceArgs& a) const { return recurrent_flops(a); }
};

// Backwards. Inputs: gates, panels of the transposed kernel, [c_prev of lstm, h_prev of gru], [mask], [dy], [dh], [dc].
// Outputs: dxz, dh0, [dc0 of lstm, dhz of gru].
struct RecurrenceGradient {
  std::string cell = "lstm", activation = "tanh", gate = "sigmoid";
  bool reverse = false, use_mask = false, has_dy = true, has_dh = false, has_dc = false;
  MAAS_PARAMS(cell, activation, gate, reverse, use_mask, has_dy, has_dh, has_dc)
  using Args = RecurrenceGradientArgs;
  static const KernelTable& kernels();
  Specs infer(const Inputs& in) const;
  bool accepts(const KernelRow& row, const Specs& in, const Specs& out) const;
  double cost(const KernelRow& row, const Specs&, const Specs&) const { return recurrent_cost(row); }
  std::vector<Dim> workspaces(const Specs& in, const Specs& out) const;
  void bind(const Bind& b, RecurrenceGradientArgs& args) const;
  int64_t phases(const RecurrenceGradientArgs& a) const;
  int64_t units(const RecurrenceGradientArgs& a) const { return a.by_rows ? a.tiles : a.tiles * a.blocks; }
  double work(const RecurrenceGradientArgs& a) const;
  double flops(const RecurrenceGradientArgs& a) const { return recurrent_flops(a); }
};

}  // namespace maas
