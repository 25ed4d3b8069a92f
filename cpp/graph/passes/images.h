#pragma once
#include <unordered_map>

#include "graph/passes/passes.h"

namespace maas::passes {

// What has become of nodes: a gradient is taken of a rewritten graph, and what else reads the old nodes must read the
// new ones, or a program would compute both.
class Images {
 public:
  // `recognize` that remembers; of a graph whose nodes were replaced by what is remembered already.
  Graph recognize(const Graph& graph);
  // The graph with the newest nodes in place of old ones.
  Graph apply(const Graph& graph) const;

  // One rewrite: `done` has the new outputs of every node of the graph.
  void record(const std::unordered_map<const NodeData*, Nodes>& done);
  // The one that rewrites of this thread report to; may be null.
  static Images*& current();

 private:
  using Map = std::unordered_map<const NodeData*, Nodes>;  // the outputs now; an empty Node where one is in no graph
  Map images_;
  Map fresh_;                                                                   // of the `recognize` that runs
  std::unordered_map<const NodeData*, std::shared_ptr<const NodeData>> alive_;  // whose addresses are keys
};

}  // namespace maas::passes
