#include "core/error.h"
#include "graph/op.h"
#include "graph/passes/passes.h"

namespace maas::passes {

Graph rewrite(const Graph& graph, const Rewrite& fn) {
  std::unordered_map<const NodeData*, Nodes> done;
  auto renew = [&](const Node& n) {
    const Node& fresh = done.at(n.data())[static_cast<size_t>(n.index())];
    if (!fresh)
      fail(ErrorKind::runtime, n->op->str(), ": a pass dropped an output that is read, received output ", n.index());
    return fresh;
  };
  const auto order = topological_order(graph.roots());
  for (const auto& node : order) {
    Nodes& outputs = done[node.get()];
    const Node old(node, 0);
    if (node->op) {
      Nodes inputs;
      bool changed = false;
      for (const Node& in : node->inputs) {
        inputs.push_back(renew(in));
        changed = changed || !(inputs.back() == in);
      }
      outputs = fn(old, inputs);
      if (outputs.empty() && changed) {
        const Node fresh = apply(node->op, std::move(inputs));
        for (size_t i = 0; i < node->outputs.size(); ++i) outputs.push_back(fresh.output(static_cast<int>(i)));
      }
    }
    if (outputs.empty())
      for (size_t i = 0; i < node->outputs.size(); ++i) outputs.push_back(old.output(static_cast<int>(i)));
  }
  Graph result{graph.inputs, {}, {}};
  for (const Node& n : graph.outputs) result.outputs.push_back(renew(n));
  for (const Update& u : graph.updates) result.updates.push_back({u.variable, renew(u.value)});
  return result;
}

Users::Users(const Graph& graph) {
  const auto roots = graph.roots();
  for (const auto& node : topological_order(roots)) {
    auto& e = entries_[node.get()];
    e.uses.resize(node->outputs.size());
    e.root.resize(node->outputs.size());
    for (const Node& in : node->inputs) ++entries_[in.data()].uses[static_cast<size_t>(in.index())];
  }
  for (const Node& r : roots) {
    auto& e = entries_[r.data()];
    ++e.uses[static_cast<size_t>(r.index())];
    e.root[static_cast<size_t>(r.index())] = true;
  }
}

int Users::count(const Node& v) const {
  auto it = entries_.find(v.data());
  return it == entries_.end() ? 0 : it->second.uses[static_cast<size_t>(v.index())];
}

bool Users::is_root(const Node& v) const {
  auto it = entries_.find(v.data());
  return it != entries_.end() && it->second.root[static_cast<size_t>(v.index())];
}

Graph simplify(const Graph& graph) {
  Graph g = merge_equal(graph);
  for (GraphPass pass : family_rewrites()) g = pass(g);
  return merge_equal(lower(g));
}

Graph optimize(const Graph& graph) { return fuse(simplify(graph)); }

}  // namespace maas::passes
