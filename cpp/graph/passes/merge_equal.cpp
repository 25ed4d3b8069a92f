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

// Nodes by what they read. Ops are compared only where that is the same: seldom, and texts of ops are slow to make.
size_t key_of(const std::string& name, const Nodes& inputs) {
  size_t key = std::hash<std::string>()(name);
  for (const Node& n : inputs)
    key = key * 1099511628211ull + std::hash<const void*>()(n.data()) + static_cast<size_t>(n.index());
  return key;
}

}  // namespace

Graph merge_equal(const Graph& graph) {
  std::map<std::string, Node> known_leaves;
  std::unordered_multimap<size_t, Node> known;
  std::unordered_map<const NodeData*, Node> leaves;
  auto first = [&](const Node& in) {
    if (in->op) return in;
    auto [it, fresh] = leaves.try_emplace(in.data(), in);
    if (fresh) {
      const std::string key = leaf_key(*in.data());
      if (!key.empty()) it->second = known_leaves.try_emplace(key, in).first->second;
    }
    return it->second;
  };
  Graph merged = rewrite(graph, [&](const Node& old, const Nodes& inputs) -> Nodes {
    Nodes canonical;
    for (const Node& in : inputs) canonical.push_back(first(in));
    const size_t key = key_of(old->op->name(), canonical);
    Node one;
    for (auto [it, end] = known.equal_range(key); it != end && !one; ++it)
      if (it->second->inputs == canonical && it->second->op->equals(*old->op)) one = it->second;
    if (!one) {
      one = canonical == old->inputs ? old : apply(old->op, std::move(canonical));
      known.emplace(key, one);
    }
    Nodes outputs;
    for (size_t i = 0; i < old->outputs.size(); ++i) outputs.push_back(one.output(static_cast<int>(i)));
    return outputs;
  });
  for (Node& n : merged.outputs) n = first(n);
  for (Update& u : merged.updates) u.value = first(u.value);
  return merged;
}

}  // namespace maas::passes
