#pragma once
#include "graph/op.h"
#include "ops/attention/attention_kernels.h"

namespace maas {

// attention(q, k, v[, mask]): scaled dot-product attention. q (B, S, H, D) or, with heads_first, (B, H, S, D); k and v
// alike, with H a multiple of their heads. mask: bool, broadcast to (B, H, queries, keys), true = attend. scale 0: 1 /
// sqrt(D). Hidden output: log-sum-exp of the scores, (B, H, queries).
struct Attention {
  double scale = 0;
  bool causal = false, heads_first = false, masked = false;  // masked: the mask is among the inputs
  MAAS_PARAMS(scale, causal, heads_first, masked)
  using Args = AttentionArgs;
  static const KernelTable& kernels();

  Specs infer(const Inputs& in) const;
  int visible_outputs() const { return 1; }
  Nodes composition(const Nodes& inputs) const;
  Nodes lower(const Node& y) const;
  Nodes gradient(const Node& y, const Nodes& dys, const Needs& needs) const;
  InputLayout input_layout(int input) const { return input == 3 ? InputLayout::strided : InputLayout::rows; }
  bool accepts(const KernelRow& row, const Specs& in, const Specs& out) const;
  void bind(const Bind& b, const KernelRow& row, AttentionArgs& args) const;
  int64_t units(const AttentionArgs& a) const { return a.s.batch * a.s.heads * a.s.q_blocks(); }
  size_t scratch(const AttentionArgs& a) const { return static_cast<size_t>(a.scratch); }
  double work(const AttentionArgs& a) const;
};

// (q, k, v, y, dy, lse[, mask]) -> dq, dk, dv.
struct AttentionGrad {
  double scale = 0;
  bool causal = false, heads_first = false, masked = false;  // masked: the mask is among the inputs
  MAAS_PARAMS(scale, causal, heads_first, masked)
  using Args = AttentionGradArgs;
  static const KernelTable& kernels();

  Specs infer(const Inputs& in) const;
  int visible_outputs() const { return 3; }
  Nodes composition(const Nodes& inputs) const;
  Nodes gradient(const Node& y, const Nodes& dys, const Needs& needs) const;
  InputLayout input_layout(int input) const;
  bool accepts(const KernelRow& row, const Specs& in, const Specs& out) const;
  void bind(const Bind& b, const KernelRow& row, AttentionGradArgs& args) const;
  int64_t phases(const AttentionGradArgs&) const { return 3; }
  int64_t units(const AttentionGradArgs& a, int64_t phase) const;
  size_t scratch(const AttentionGradArgs& a) const { return static_cast<size_t>(a.scratch); }
  double work(const AttentionGradArgs& a) const;
  std::vector<Dim> workspaces(const Specs& in, const Specs& out) const;
};

}  // namespace maas
