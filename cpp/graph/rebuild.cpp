#include "graph/rebuild.h"

#include <utility>

#include "core/error.h"
#include "graph/op.h"

namespace maas {

Node with_inputs(const Node& old, Nodes inputs) {
  return !old->op || inputs == old->inputs ? old.output(0) : apply(old->op, std::move(inputs));
}

Nodes all_outputs(const Node& node) {
  Nodes outputs;
  outputs.reserve(node->outputs.size());
  for (size_t i = 0; i < node->outputs.size(); ++i) outputs.push_back(node.output(static_cast<int>(i)));
  return outputs;
}

Nodes rebuild(const Nodes& roots, const RebuildEnd& end, const RebuildNode& make, RebuiltNodes* all) {
  RebuiltNodes done;
  const auto renew = [&](const Node& n) {
    if (end)
      if (Node there = end(n)) return there;
    const Node& fresh = done.at(n.data())[static_cast<size_t>(n.index())];
    if (!fresh)
      fail(ErrorKind::runtime, n->op->str(), ": a pass dropped an output that is read, received output ", n.index());
    return fresh;
  };
  struct Frame {
    Node node;
    Nodes* outputs;  // in `done`, whose entries do not move
    size_t next = 0;
  };
  std::vector<Frame> stack;
  const auto visit = [&](const Node& n) {
    if (end && end(n)) return;
    if (const auto [it, fresh] = done.try_emplace(n.data()); fresh) stack.push_back({n.output(0), &it->second});
  };
  for (const Node& root : roots) {
    if (root) visit(root);
    while (!stack.empty()) {
      Frame& top = stack.back();
      if (top.next < top.node->inputs.size()) {
        visit(top.node->inputs[top.next++]);
        continue;
      }
      const Node old = std::move(top.node);
      Nodes* outputs = top.outputs;
      stack.pop_back();
      Nodes inputs;
      inputs.reserve(old->inputs.size());
      for (const Node& in : old->inputs) inputs.push_back(renew(in));
      if (make && old->op) *outputs = make(old, inputs);
      if (outputs->empty()) *outputs = all_outputs(with_inputs(old, std::move(inputs)));
    }
  }
  Nodes fresh;
  fresh.reserve(roots.size());
  for (const Node& n : roots) fresh.push_back(n ? renew(n) : n);
  if (all) *all = std::move(done);
  return fresh;
}

}  // namespace maas
