#pragma once
#include "graph/op.h"
#include "ops/attention/attention_kernels.h"

namespace maas {

// What both directions are told; attention_kernels.h says what it means.
struct AttentionOptions {
  double scale = 0, soft_cap = 0, dropout = 0;  // scale 0: 1 / sqrt(D)
  int64_t window = 0, stream = 0;
  bool causal = false, at_end = false, heads_first = false;
  bool masked = false, biased = false, with_lengths = false;  // which further inputs there are
  MAAS_PARAMS(scale, soft_cap, dropout, window, stream, causal, at_end, heads_first, masked, biased, with_lengths)

  // Where further inputs stand after the first n, or -1.
  struct Further {
    int mask, bias, lengths, state, count;
  };
  Further further(int n) const {
    Further f{-1, -1, -1, -1, n};
    if (masked) f.mask = f.count++;
    if (biased) f.bias = f.count++;
    if (with_lengths) f.lengths = f.count++;
    if (dropout > 0) f.state = f.count++;
    return f;
  }
};

// attention(q, k, v[, mask][, bias][, lengths][, state]): scaled dot-product attention. q (B, S, H, D) or, with
// heads_first, (B, H, S, D); k and v alike, with H a multiple of their heads. mask: bool, true = attend, and bias, of
// the dtype of q: broadcast to (B, H, queries, keys). lengths: int32 (B). state: of dropout. Hidden output: log-sum-exp
// of the scores, (B, H, queries).
struct Attention : AttentionOptions {
  using Args = AttentionArgs;
  static const KernelTable& kernels();

  Specs infer(const Inputs& in) const;
  int visible_outputs() const { return 1; }
  Nodes composition(const Nodes& inputs) const;
  Nodes lower(const Node& y) const;
  Nodes gradient(const Node& y, const Nodes& dys, const Needs& needs) const;
  InputLayout input_layout(int input) const;
  bool accepts(const KernelRow& row, const Specs& in, const Specs& out) const;
  void bind(const Bind& b, const KernelRow& row, AttentionArgs& args) const;
  int64_t units(const AttentionArgs& a) const { return a.s.forward_units(); }
  size_t scratch(const AttentionArgs& a) const { return static_cast<size_t>(a.scratch); }
  double work(const AttentionArgs& a) const;
  double flops(const AttentionArgs& a) const;
};

// (q, k, v, y, dy, lse[, mask][, bias][, lengths][, state]) -> dq, dk, dv; hidden: the gradient of the scores, (B, H,
// queries, keys), like lse in float32 where the others are halves.
struct AttentionGrad : AttentionOptions {
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
  double flops(const AttentionGradArgs& a) const;
  std::vector<Dim> workspaces(const Specs& in, const Specs& out) const;
};

}  // namespace maas
