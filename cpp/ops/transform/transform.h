#pragma once
#include "graph/op.h"

// Ops that tell gradients and passes what a function wants done with its nodes. None of them computes anything.
namespace maas {

// y = x, but only when the other inputs are known. Equal nodes on its two sides stay apart.
struct Barrier {
  MAAS_PARAMS()
  Specs infer(const Inputs& in) const;
  bool view(const Specs& in, const Spec& out, const Layout& input, Layout& output) const;
  InputLayout input_layout(int) const { return InputLayout::unused; }
  Nodes lower(const Node& y) const;
  Nodes gradient(const Node& y, const Nodes& dys, const Needs&) const;
};

// (value, old) -> value, which a variable that held `old` is given. A gradient does not go into what was assigned: for
// the variable, what reads it later counts as what read it before.
struct Assigned {
  MAAS_PARAMS()
  Specs infer(const Inputs& in) const;
  Nodes lower(const Node& y) const { return {y.input(0)}; }
  Nodes gradient(const Node& y, const Nodes& dys, const Needs&) const;
};

// Inputs: the first `outputs` are results, the others are what they are computed from. Outputs: the results. The
// gradient computes the nodes between them again, so that nothing between them is kept for the backward pass.
// Reference: Chen et al., 2016, "Training deep nets with sublinear memory cost", arXiv:1604.06174.
struct Remat {
  int outputs = 1;
  MAAS_PARAMS(outputs)
  Specs infer(const Inputs& in) const;
  int visible_outputs() const { return outputs; }
  Nodes lower(const Node& y) const;
  Nodes gradient(const Node& y, const Nodes& dys, const Needs& needs) const;
};

// Stands for the gradient that will arrive at y. `tag` tells two of them apart.
struct Cotangent {
  int64_t tag = 0;
  MAAS_PARAMS(tag)
  Specs infer(const Inputs& in) const;
  Nodes lower(const Node& y) const { return {y.input(0)}; }
};

// Results with a gradient of the user's own. Inputs: `outputs` results, the operands x that have a gradient, a
// Cotangent of each result, and dx of each x, written with the Cotangents. Outputs: the results.
struct CustomGradient {
  int outputs = 1, operands = 0;
  MAAS_PARAMS(outputs, operands)
  Specs infer(const Inputs& in) const;
  int visible_outputs() const { return outputs; }
  Nodes lower(const Node& y) const;
  Nodes gradient(const Node& y, const Nodes& dys, const Needs& needs) const;
};

// What the values of `roots` are computed from: values of nodes older than `start`, inputs and state.
Nodes boundary(const Nodes& roots, int64_t start);

}  // namespace maas
