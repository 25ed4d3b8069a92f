#include "graph/passes/images.h"

#include <utility>

namespace maas::passes {

Images*& Images::current() {
  thread_local Images* images = nullptr;
  return images;
}

Graph Images::recognize(const Graph& graph) {
  const Graph g = apply(graph);
  fresh_.clear();
  for (const auto& node : topological_order(g.roots())) {
    alive_[node.get()] = node;
    for (size_t i = 0; i < node->outputs.size(); ++i) fresh_[node.get()].emplace_back(node, static_cast<int>(i));
  }
  struct Scope {
    explicit Scope(Images* images) : before(std::exchange(current(), images)) {}
    ~Scope() { current() = before; }
    Images* before;
  };
  const Graph result = [&] {
    const Scope scope(this);
    return passes::recognize(g);
  }();
  for (auto& [node, outputs] : images_)
    for (Node& n : outputs)
      if (auto it = n ? fresh_.find(n.data()) : fresh_.end(); it != fresh_.end())
        n = it->second[static_cast<size_t>(n.index())];
  images_.merge(fresh_);
  return result;
}

void Images::record(const Map& done) {
  for (auto& [node, outputs] : fresh_)
    for (Node& n : outputs) {
      auto it = n ? done.find(n.data()) : done.end();
      n = it == done.end() ? Node() : it->second[static_cast<size_t>(n.index())];
    }
}

Graph Images::apply(const Graph& graph) const {
  if (images_.empty()) return graph;
  return rewrite(graph, [&](const Node& old, const Nodes&) -> Nodes {
    auto it = images_.find(old.data());
    if (it == images_.end()) return {};
    for (const Node& n : it->second)
      if (!n) return {};
    return it->second;
  });
}

}  // namespace maas::passes
