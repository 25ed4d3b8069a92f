#pragma once
#include <string>
#include <vector>

#include "graph/node.h"

namespace maas {

// After a run, `variable` holds `value`.
struct Update {
  VariablePtr variable;
  Node value;
};

// A function: inputs to outputs, and what it does to state.
struct Graph {
  Nodes inputs;
  Nodes outputs;
  std::vector<Update> updates;

  // Every root: outputs, then update values.
  Nodes roots() const;
  // One line a node: "%3 = matmul(%1, %2, transpose_b=false) : float32(None, 64)". For tests and `maas inspect`.
  std::string str() const;
};

// Gradients of sum(loss) for each target, in public ops; an empty Node where loss does not depend on the target.
Nodes gradients(const Node& loss, const Nodes& targets);
// The same with a given gradient of `loss`.
Nodes gradients(const Node& loss, const Node& dloss, const Nodes& targets);

}  // namespace maas
