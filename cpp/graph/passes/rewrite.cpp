#include "graph/passes/images.h"
#include "graph/rebuild.h"

namespace maas::passes {

Graph rewrite(const Graph& graph, const Rewrite& fn) {
  Images* const images = Images::current();
  RebuiltNodes done;
  Nodes fresh = rebuild(graph.roots(), {}, fn, images ? &done : nullptr);
  if (images) images->record(done);
  const auto first_update = fresh.begin() + static_cast<std::ptrdiff_t>(graph.outputs.size());
  Graph result{graph.inputs, {fresh.begin(), first_update}, {}};
  for (size_t i = 0; i < graph.updates.size(); ++i)
    result.updates.push_back({graph.updates[i].variable, fresh[graph.outputs.size() + i]});
  return result;
}

double elements(const Node& value) {
  std::vector<std::pair<int64_t, std::string>> symbols;
  for (const Dim& d : value.shape()) d.collect_symbols(symbols);
  SymbolValues values;
  for (const auto& s : symbols) values.set(s.first, 16);
  return static_cast<double>(product(value.shape()).eval(values));
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

}  // namespace maas::passes
