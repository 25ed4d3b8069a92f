#include <unordered_set>

#include "core/device.h"
#include "core/error.h"
#include "graph/op.h"
#include "graph/passes/passes.h"
#include "graph/primitives.h"
#include "graph/rebuild.h"

namespace maas::passes {
namespace {

bool runs(const NodeData& node) {
  if (node.op->is_view() || node.op->elementwise_fn() >= 0) return true;
  // On a GPU a step that holds sub-Graphs runs on the host, where it is lowered as a program of its own.
  if (node.op->control() && !target().is_cpu()) return true;
  Specs in;
  for (const Node& n : node.inputs) in.push_back(n.spec());
  return choose_row(*node.op, in, node.outputs).row != nullptr;
}

// 16-bit floats that no kernel of the op takes are computed in float32; every result is rounded once.
Nodes widened(const Node& node) {
  auto half = [](DType t) { return t == DType::f16 || t == DType::bf16; };
  bool any = false;
  Nodes inputs;
  for (const Node& in : node->inputs) {
    any = any || half(in.dtype());
    inputs.push_back(half(in.dtype()) ? cast(in, DType::f32) : in);
  }
  if (!any || !node->op->kernels()) return {};
  const Node wide = apply(node->op, std::move(inputs));
  // What no row of a GPU takes in float32 either runs on the host as it is.
  if (!target().is_cpu() && !runs(*wide.data())) return {};
  Nodes outputs;
  for (size_t i = 0; i < node->outputs.size(); ++i) {
    const Node y = wide.output(static_cast<int>(i));
    outputs.push_back(y.dtype() == node->outputs[i].dtype ? y : cast(y, node->outputs[i].dtype));
  }
  return outputs;
}

// Replaces a node by what it lowers to, and that in turn, until every node has a kernel.
Nodes expand(const Node& node, int depth) {
  if (depth > 32)
    fail(ErrorKind::runtime, node->op->str(), " does not end up in kernels, received inputs of rank ",
         node->inputs.empty() ? 0 : node.input(0).rank());
  const bool on_host = node->op->control() && !target().is_cpu();
  Nodes next = on_host ? Nodes{} : node->op->lower(node);
  if (next.empty() && !runs(*node.data())) {
    next = widened(node);
    if (next.empty()) next = node->op->composition(node->inputs);
    // Its kernels also give what gradients read; a GPU has none of them, so the host runs it.
    if (!target().is_cpu() && next.size() < node->outputs.size() && node->op->kernels()) next.clear();
  }
  if (next.empty()) return {};
  // What it became may consist of several new nodes above the old inputs: expand those too.
  std::unordered_set<const NodeData*> old;
  for (const Node& in : node->inputs) old.insert(in.data());
  return rebuild(
      next, [&](const Node& n) { return n->id < node->id || old.count(n.data()) ? n : Node(); },
      [&](const Node& inner, const Nodes& inputs) { return expand(with_inputs(inner, inputs), depth + 1); });
}

}  // namespace

Graph lower(const Graph& graph) {
  return rewrite(graph, [](const Node& old, const Nodes& inputs) -> Nodes {
    const Node node = with_inputs(old, inputs);
    Nodes next = expand(node, 0);
    if (!next.empty()) {
      // Residual outputs that the lowered form does not give must not be read; a missing one fails here, not at run.
      while (next.size() < old->outputs.size()) next.push_back(Node());
      return next;
    }
    return all_outputs(node);
  });
}

}  // namespace maas::passes
