#pragma once
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "graph/graph.h"

namespace maas::passes {

// Rebuilds a graph node by node, inputs first. `fn` gets an old node and its new inputs and returns the new outputs, or
// nothing to keep the node (with the new inputs). Leaves are kept.
using Rewrite = std::function<Nodes(const Node& old, const Nodes& inputs)>;
Graph rewrite(const Graph& graph, const Rewrite& fn);

// Elements of a value; a size that is unknown counts as 16.
double elements(const Node& value);

// How often each value is used, outputs and updates included.
class Users {
 public:
  explicit Users(const Graph& graph);
  int count(const Node& value) const;
  bool is_root(const Node& value) const;

 private:
  struct Entry {
    std::vector<int> uses;
    std::vector<bool> root;
  };
  std::unordered_map<const NodeData*, Entry> entries_;
};

// Equal nodes become one (and nodes nobody needs are gone, as in every pass).
Graph merge_equal(const Graph& graph);
// What families make of graphs of public ops: lines MAAS_RECOGNIZE and MAAS_REWRITE of ops.inc, in their order.
using GraphPass = Graph (*)(const Graph& graph);
const std::vector<GraphPass>& recognitions();
const std::vector<GraphPass>& family_rewrites();
// What families make of neighbouring steps: lines MAAS_JOIN.
const std::vector<GraphPass>& joins();
Graph recognize(const Graph& graph);
// Transposes cancel across what does not care for the order of axes.
Graph layout(const Graph& graph);
// Families' own rewrites of a node: Op::lower, and the composition where an op has no kernels.
Graph lower(const Graph& graph);
// Casts cancel and move to where they touch fewer elements.
Graph precision(const Graph& graph);
// Whether the op only moves elements of its first input, so that a cast may come before or after: lines MAAS_MOVES of
// ops.inc. Views do, too.
bool moves(const std::string& op);
// Elementwise nodes become chains, chains move into the epilogue of the op that makes their operand.
Graph fuse(const Graph& graph);
// All but fuse: nodes that have kernels or are elementwise.
Graph simplify(const Graph& graph);
// All of them in the order a Plan wants.
Graph optimize(const Graph& graph);

// Whether graphs are changed more than they must be to run: tests compare the two. Off: nodes are lowered, and every
// elementwise node is a step. Starts off where MAAS_PASSES=off.
bool enabled();
void set_enabled(bool on);

}  // namespace maas::passes
