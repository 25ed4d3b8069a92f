#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "graph/graph.h"
#include "graph/rebuild.h"
#include "ops/control/control.h"

namespace maas {

Node BodyBuilder::input(const Spec& like) {
  graph.inputs.push_back(input_node({like.dtype, like.shape, {}}, ""));
  return graph.inputs.back();
}

Nodes BodyBuilder::inputs(const Nodes& like) {
  Nodes made;
  for (const Node& n : like) made.push_back(input(n.spec()));
  return made;
}

Body BodyBuilder::finish(Nodes outputs) {
  graph.outputs = std::move(outputs);
  return {std::make_shared<const Graph>(std::move(graph))};
}

Bodies share(std::vector<Graph> bodies) {
  Bodies out;
  for (Graph& g : bodies) out.push_back({std::make_shared<const Graph>(std::move(g))});
  return out;
}

void hoist(std::vector<Graph>& bodies, const std::vector<size_t>& fixed, Nodes& captures,
           const std::function<bool(const Node&)>& stays, const std::function<bool(const NodeData&)>& moves) {
  std::vector<Nodes> added(bodies.size());  // inputs that a body itself asked for, by position behind the old captures
  const size_t old_captures = captures.size();
  for (size_t b = 0; b < bodies.size(); ++b) {
    Graph& body = bodies[b];
    std::unordered_map<const NodeData*, Nodes> outside;  // what the node is in the graph around
    for (size_t i = fixed[b]; i < body.inputs.size(); ++i)
      if (const Node& capture = captures[i - fixed[b]]; !stays(capture)) outside[body.inputs[i].data()] = {capture};
    for (const auto& node : topological_order(body.outputs)) {
      if (node->leaf == Leaf::constant) outside[node.get()] = {Node(node, 0)};
      if (!node->op) continue;
      const bool same = std::all_of(node->inputs.begin(), node->inputs.end(),
                                    [&](const Node& in) { return outside.count(in.data()) > 0; });
      if (!same || !(node->op->is_view() || moves(*node))) continue;
      Nodes inputs;
      for (const Node& in : node->inputs) inputs.push_back(outside[in.data()][static_cast<size_t>(in.index())]);
      const Node made = apply(node->op, std::move(inputs));
      for (size_t i = 0; i < node->outputs.size(); ++i) outside[node.get()].push_back(made.output(static_cast<int>(i)));
    }
    std::unordered_map<const NodeData*, Nodes> asked;  // the inputs that stand for what is computed outside now
    body.outputs = rebuild(body.outputs, [&](const Node& n) -> Node {
      if (!n->op) return n;
      if (n->op->is_view() || !outside.count(n.data())) return {};
      Nodes& slots = asked[n.data()];
      slots.resize(n->outputs.size());
      Node& in = slots[static_cast<size_t>(n.index())];
      if (in) return in;
      in = input_node({n.dtype(), n.shape(), n.spec().value}, "");
      captures.push_back(outside.at(n.data())[static_cast<size_t>(n.index())]);
      for (size_t other = 0; other < bodies.size(); ++other)
        added[other].push_back(other == b ? in : input_node({n.dtype(), n.shape(), {}}, ""));
      return in;
    });
  }
  for (size_t b = 0; b < bodies.size(); ++b) {
    bodies[b].inputs.resize(fixed[b] + old_captures);
    bodies[b].inputs.insert(bodies[b].inputs.end(), added[b].begin(), added[b].end());
  }
}

void drop_unread(std::vector<Graph>& bodies, const std::vector<size_t>& fixed, Nodes& captures) {
  std::unordered_set<const NodeData*> read;
  for (const Graph& g : bodies)
    for (const auto& node : topological_order(g.outputs)) read.insert(node.get());
  for (size_t k = captures.size(); k-- > 0;) {
    bool used = false;
    for (size_t b = 0; b < bodies.size(); ++b) used = used || read.count(bodies[b].inputs[fixed[b] + k].data());
    if (used) continue;
    captures.erase(captures.begin() + static_cast<std::ptrdiff_t>(k));
    for (size_t b = 0; b < bodies.size(); ++b)
      bodies[b].inputs.erase(bodies[b].inputs.begin() + static_cast<std::ptrdiff_t>(fixed[b] + k));
  }
}

}  // namespace maas
