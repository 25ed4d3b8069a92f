#pragma once
#include "graph/op.h"
#include "ops/loss/ctc_kernels.h"

namespace maas {

// Inputs: logits (batch, time, classes), int32 labels (batch, width), label_lengths (batch), time_lengths (batch).
// Output: loss (batch). Hidden: its gradient for the logits.
struct CtcLoss {
  int64_t blank = 0;
  MAAS_PARAMS(blank)
  using Args = CtcArgs;
  static const KernelTable& kernels();
  Specs infer(const Inputs& in) const;
  int visible_outputs() const { return 1; }
  Nodes gradient(const Node& y, const Nodes& dys, const Needs& needs) const;
  void bind(const Bind& b, CtcArgs& a) const;
  int64_t units(const CtcArgs& a) const { return a.batch; }
  size_t scratch(const CtcArgs& a) const { return a.batch ? static_cast<size_t>(ctc_scratch(a.time, a.width)) : 0; }
  double work(const CtcArgs& a) const {
    return static_cast<double>(a.batch * a.time) * static_cast<double>(10 * a.classes + 200 * a.width);
  }
};

}  // namespace maas
