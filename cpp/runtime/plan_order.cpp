#include <algorithm>

#include "graph/in_place.h"
#include "runtime/plan_parts.h"

namespace maas {
namespace {

void find_fixed(const Graph& graph, NodeOrder& order) {
  std::unordered_set<const Variable*> variables;
  for (const Update& u : graph.updates) variables.insert(u.variable.get());
  // Results are written to the caller's memory by every run, even if they depend on parameters alone.
  std::unordered_set<const NodeData*> roots;
  for (const Node& r : graph.roots()) roots.insert(r.data());
  for (const auto& node : order.nodes) {
    bool fixed = false;
    if (node->leaf == Leaf::constant) fixed = true;
    if (node->leaf == Leaf::state) fixed = !variables.count(node->variable.get());
    if (node->op) {
      fixed = std::all_of(node->inputs.begin(), node->inputs.end(),
                          [&](const Node& in) { return order.fixed.count(in.data()) > 0; }) &&
              !node->inputs.empty() && !node->op->control();
      fixed = fixed && !roots.count(node.get());
      for (const Spec& s : node->outputs) fixed = fixed && is_constant(s.shape);
    }
    if (fixed) order.fixed.insert(node.get());
  }
}

// Cheap ops that cannot fail, feeding nothing but updates.
void find_post(const Graph& graph, NodeOrder& order) {
  std::unordered_map<const NodeData*, std::vector<const NodeData*>> users;
  for (const auto& node : order.nodes)
    for (const Node& in : node->inputs) users[in.data()].push_back(node.get());
  std::unordered_set<const NodeData*> outputs, updates;
  for (const Node& n : graph.outputs) outputs.insert(n.data());
  for (const Update& u : graph.updates) updates.insert(u.value.data());
  for (auto it = order.nodes.rbegin(); it != order.nodes.rend(); ++it) {
    const NodeData* node = it->get();
    if (!node->op || order.fixed.count(node) || outputs.count(node) || !runs_behind_commit(*node->op)) continue;
    const auto& list = users[node];
    if (!updates.count(node) && list.empty()) continue;
    if (std::all_of(list.begin(), list.end(), [&](const NodeData* u) { return order.post.count(u) > 0; }))
      order.post.insert(node);
  }
  for (const auto& node : order.nodes)
    if (order.post.count(node.get()))
      for (const Node& in : node->inputs) {
        const NodeData* base = in.data();
        while (base->op && base->op->is_view()) base = base->inputs[0].data();
        if (base->leaf == Leaf::state) order.last_post_read[base->variable.get()] = order.position[node.get()];
      }
}

}  // namespace

NodeOrder order_nodes(const Graph& graph, bool body) {
  NodeOrder order;
  order.nodes = topological_order(graph.roots());
  for (size_t i = 0; i < order.nodes.size(); ++i) order.position[order.nodes[i].get()] = i;
  if (!body) find_fixed(graph, order);
  find_post(graph, order);
  return order;
}

}  // namespace maas
