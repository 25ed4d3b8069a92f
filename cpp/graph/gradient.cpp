#include <unordered_map>
#include <unordered_set>

#include "core/error.h"
#include "graph/graph.h"
#include "graph/op.h"
#include "graph/primitives.h"

namespace maas {

Nodes gradients(const Node& loss, const Nodes& targets) {
  check(is_floating(loss.dtype()), "gradients: loss must be floating, received ", loss.dtype());
  Node one = scalar_node(loss.dtype(), 1.0);
  if (loss.rank() > 0) one = broadcast_to(one, loss.shape());
  return gradients(loss, one, targets);
}

namespace {

// `stop`: below the targets nothing is followed. So a composition is differentiated for its own inputs alone, even
// where one of them is made from another.
Nodes differentiate(const Nodes& ys, const Nodes& dys_of_ys, const Nodes& targets, bool stop) {
  const auto order = topological_order(ys);
  // Only nodes on a path from a target to the loss take part.
  std::unordered_set<const NodeData*> wanted;
  for (const Node& t : targets) wanted.insert(t.data());
  std::unordered_set<const NodeData*> active;
  for (const auto& node : order) {
    bool on_path = wanted.count(node.get()) > 0;
    for (const Node& in : node->inputs) on_path = on_path || (active.count(in.data()) && is_floating(in.dtype()));
    if (on_path) active.insert(node.get());
  }

  std::unordered_map<const NodeData*, Nodes> grads;
  auto accumulate = [&](const Node& value, const Node& dy) {
    Nodes& g = grads[value.data()];
    g.resize(value->outputs.size());
    Node& slot = g[static_cast<size_t>(value.index())];
    slot = slot ? add(slot, dy) : dy;
  };
  for (size_t i = 0; i < ys.size(); ++i)
    if (dys_of_ys[i] && active.count(ys[i].data())) accumulate(ys[i], dys_of_ys[i]);

  for (auto it = order.rbegin(); it != order.rend(); ++it) {
    const auto& node = *it;
    auto found = grads.find(node.get());
    if (found == grads.end() || !node->op || !active.count(node.get()) || (stop && wanted.count(node.get()))) continue;
    Needs needs(node->inputs.size());
    bool any = false;
    for (size_t i = 0; i < needs.size(); ++i) {
      needs[i] = active.count(node->inputs[i].data()) && is_floating(node->inputs[i].dtype());
      any = any || needs[i];
    }
    if (!any) continue;
    const Nodes dys = found->second;
    if (!node->op->is_differentiable()) {
      // A fused op without a gradient of its own has that of its composition.
      Nodes plain = node->op->composition(node->inputs);
      if (plain.empty())
        fail(ErrorKind::not_implemented, node->op->name(), " has no gradient, received a request for one");
      Nodes inputs;
      for (size_t i = 0; i < needs.size(); ++i)
        if (needs[i]) inputs.push_back(node->inputs[i]);
      for (size_t k = 0; k < plain.size() && k < dys.size(); ++k) {
        if (!dys[k]) continue;
        Nodes ds = differentiate({plain[k]}, {dys[k]}, inputs, true);
        for (size_t j = 0; j < ds.size(); ++j)
          if (ds[j]) accumulate(inputs[j], ds[j]);
      }
      continue;
    }
    Nodes dxs = node->op->gradient(Node(node, 0), dys, needs);
    for (size_t i = 0; i < dxs.size() && i < needs.size(); ++i) {
      if (!needs[i] || !dxs[i]) continue;
      // Sizes that a guard made equal carry the names of the one side only.
      if (dxs[i].shape() != node->inputs[i].shape() && dxs[i].rank() == node->inputs[i].rank() &&
          !is_constant(dxs[i].shape()) && dxs[i].dtype() == node->inputs[i].dtype())
        dxs[i] = reshape(dxs[i], node->inputs[i].shape());
      if (dxs[i].shape() != node->inputs[i].shape() || dxs[i].dtype() != node->inputs[i].dtype())
        fail(ErrorKind::runtime, node->op->name(), ": the gradient of input ", i, " must be ", node->inputs[i].dtype(),
             to_string(node->inputs[i].shape()), ", received ", dxs[i].dtype(), to_string(dxs[i].shape()));
      accumulate(node->inputs[i], dxs[i]);
    }
  }

  Nodes result;
  for (const Node& t : targets) {
    auto found = grads.find(t.data());
    result.push_back(found == grads.end() ? Node() : found->second[static_cast<size_t>(t.index())]);
  }
  return result;
}

}  // namespace

Nodes gradients(const Node& loss, const Node& dloss, const Nodes& targets) {
  return differentiate({loss}, {dloss}, targets, false);
}

Nodes gradients(const Nodes& ys, const Nodes& dys, const Nodes& targets) {
  return differentiate(ys, dys, targets, false);
}

}  // namespace maas
