#include <cstring>
#include <map>

#include "core/error.h"
#include "graph/op.h"
#include "graph/passes/passes.h"

namespace maas::passes {
namespace {

// Small constants with the same bytes are the same value.
std::string leaf_key(const NodeData& node) {
  if (node.leaf == Leaf::state) return text("state ", node.variable.get());
  if (node.leaf == Leaf::constant && node.constant.bytes() <= 256)
    return text("constant ", node.constant.dtype, to_string(node.outputs[0].shape), " ",
                std::string(static_cast<const char*>(node.constant.data()), node.constant.bytes()));
  return "";
}

}  // namespace

Graph merge_equal(const Graph& graph) {
  std::map<std::string, Node> known;
  std::unordered_map<const NodeData*, Node> leaves;
  auto first = [&](const Node& in) {
    if (in->op) return in;
    auto [it, fresh] = leaves.try_emplace(in.data(), in);
    if (fresh) {
      const std::string key = leaf_key(*in.data());
      if (!key.empty()) it->second = known.try_emplace(key, in).first->second;
    }
    return it->second;
  };
  Graph merged = rewrite(graph, [&](const Node& old, const Nodes& inputs) -> Nodes {
    std::string key = old->op->str();
    Nodes canonical;
    bool changed = false;
    for (size_t i = 0; i < inputs.size(); ++i) {
      canonical.push_back(first(inputs[i]));
      changed = changed || !(canonical.back() == old->inputs[i]);
      key += " " + std::to_string(canonical.back()->id) + "." + std::to_string(canonical.back().index());
    }
    auto it = known.find(key);
    if (it == known.end()) {
      const Node fresh = changed ? apply(old->op, std::move(canonical)) : old;
      it = known.emplace(std::move(key), fresh).first;
    }
    Nodes outputs;
    for (size_t i = 0; i < old->outputs.size(); ++i) outputs.push_back(it->second.output(static_cast<int>(i)));
    return outputs;
  });
  for (Node& n : merged.outputs) n = first(n);
  for (Update& u : merged.updates) u.value = first(u.value);
  return merged;
}

}  // namespace maas::passes
