#pragma once
#include <functional>
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
  // What must hold of sizes, also in sub-Graphs; each once.
  std::vector<Guard> guards() const;
  // One line a node: "%3 = matmul(%1, %2, transpose_b=false) : float32(None, 64)". For tests and `maas inspect`.
  std::string str() const;
};

// The outputs of `graph` for these inputs: its nodes, made anew where they depend on them.
Nodes call(const Graph& graph, const Nodes& inputs);
// A Graph of `roots` in which values from outside (nodes older than `start`, constants aside, and leaves of state)
// become inputs: `capture` gives the input node that stands for one.
Nodes close_over(const Nodes& roots, int64_t start, const std::function<Node(const Node& outside)>& capture);

// Gradients of sum(loss) for each target, in public ops; an empty Node where loss does not depend on the target.
Nodes gradients(const Node& loss, const Nodes& targets);
// The same with a given gradient of `loss`.
Nodes gradients(const Node& loss, const Node& dloss, const Nodes& targets);
// The same for several values; an empty Node among `dys` is a zero.
Nodes gradients(const Nodes& ys, const Nodes& dys, const Nodes& targets);

}  // namespace maas
