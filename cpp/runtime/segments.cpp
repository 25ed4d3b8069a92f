#include "runtime/segments.h"

#include <algorithm>
#include <unordered_map>

#include "core/error.h"
#include "graph/op.h"

namespace maas {

bool ends_segment(const NodeData& node) {
  static const OpInfo* trim = find_op("trim");
  return node.op && &node.op->info() == trim;
}

namespace {

using Symbols = std::vector<std::pair<int64_t, std::string>>;

// Symbols of a node's results and parameters.
Symbols symbols_of(const NodeData& node) {
  Symbols found;
  for (const Spec& s : node.outputs)
    for (const Dim& d : s.shape) d.collect_symbols(found);
  if (node.op)
    for (const auto& [_, value] : node.op->params())
      if (const Shape* shape = std::get_if<Shape>(&value))
        for (const Dim& d : *shape) d.collect_symbols(found);
  return found;
}

struct Splitter {
  const Graph& graph;
  std::vector<std::shared_ptr<const NodeData>> order = topological_order(graph.roots());
  std::unordered_map<const NodeData*, int> level = {};
  std::unordered_map<int64_t, int> symbol_level = {};
  std::unordered_map<const NodeData*, int> cut_of = {};
  Nodes cut_nodes = {};
  int last = 0;

  int reach(const NodeData& node) {
    int at = 0;
    for (const Node& in : node.inputs) at = std::max(at, level[in.data()]);
    for (const auto& [id, _] : symbols_of(node))
      if (auto it = symbol_level.find(id); it != symbol_level.end()) at = std::max(at, it->second);
    return at;
  }

  void assign() {
    // A trim lies between two levels: what it is made of in the lower one, its result in the upper.
    for (const auto& node : order) {
      if (!ends_segment(*node)) continue;
      for (const auto& [id, _] : symbols_of(*node))
        if (!symbol_level.count(id)) symbol_level[id] = 0;
    }
    // Symbols used before their trim comes in the order (a shape built from them) push levels up: repeat until stable.
    for (bool changed = true; changed;) {
      changed = false;
      for (const auto& node : order) {
        int at = reach(*node);
        if (ends_segment(*node)) {
          at = 0;
          for (const Node& in : node->inputs) at = std::max(at, level[in.data()]);
          ++at;
          auto symbols = symbols_of(*node);
          const Dim size = node->outputs[0].shape[0];
          int& known = symbol_level[*size.as_symbol()];
          if (known < at) {
            known = at;
            changed = true;
          }
        }
        int& mine = level[node.get()];
        if (mine < at) {
          mine = at;
          changed = true;
        }
        last = std::max(last, mine);
        if (last > 1000) fail(ErrorKind::value, "sizes that depend on values depend on each other, received a cycle");
      }
    }
  }

  Segments split() {
    assign();
    Segments out;
    for (const auto& node : order)
      if (ends_segment(*node)) cut_nodes.push_back(Node(node, 0));
    std::stable_sort(cut_nodes.begin(), cut_nodes.end(),
                     [&](const Node& a, const Node& b) { return level[a.data()] < level[b.data()]; });
    for (size_t i = 0; i < cut_nodes.size(); ++i) cut_of[cut_nodes[i].data()] = static_cast<int>(i);

    // Who must hand what on: by value, the place among its segment's outputs.
    std::vector<Nodes> results(static_cast<size_t>(last) + 1);
    auto place = [&](const Node& n) -> SegmentValue {
      for (size_t i = 0; i < graph.inputs.size(); ++i)
        if (graph.inputs[i] == n) return {SegmentValue::input, 0, static_cast<int>(i)};
      if (auto it = cut_of.find(n.data()); it != cut_of.end()) return {SegmentValue::trimmed, 0, it->second};
      const int segment = level[n.data()];
      Nodes& list = results[static_cast<size_t>(segment)];
      auto it = std::find(list.begin(), list.end(), n);
      if (it == list.end()) it = list.insert(it, n);
      return {SegmentValue::output, segment, static_cast<int>(it - list.begin())};
    };
    for (const Node& n : graph.outputs) out.outputs.push_back(place(n));
    for (const Node& n : cut_nodes) out.cuts.push_back({place(n.input(0)), place(n.input(1))});

    std::vector<Segment> list(static_cast<size_t>(last) + 1);
    // From the last back, since later segments decide what earlier ones must give.
    for (int k = last; k >= 0; --k) {
      Segment& s = list[static_cast<size_t>(k)];
      std::unordered_map<const NodeData*, Nodes> inside;
      auto stand_in = [&](const Node& n, SegmentValue from) {
        Nodes& slots = inside[n.data()];
        slots.resize(n->outputs.size());
        Node& slot = slots[static_cast<size_t>(n.index())];
        slot = input_node({n.dtype(), n.shape(), n.spec().value}, n->name.empty() ? text("value ", n->id) : n->name);
        s.graph.inputs.push_back(slot);
        s.inputs.push_back(from);
        return slot;
      };
      for (size_t i = 0; i < graph.inputs.size(); ++i) stand_in(graph.inputs[i], place(graph.inputs[i]));
      for (const Node& c : cut_nodes)
        if (level[c.data()] <= k) {
          stand_in(c, place(c));
          ++s.cuts;
        }
      auto want = [&](const Node& n) -> Node {
        if (auto it = inside.find(n.data()); it != inside.end() && it->second[static_cast<size_t>(n.index())])
          return it->second[static_cast<size_t>(n.index())];
        if (!n->op) return n;
        return stand_in(n, place(n));
      };
      for (const auto& node : order) {
        if (!node->op || ends_segment(*node) || level[node.get()] != k) continue;
        Nodes inputs;
        for (const Node& in : node->inputs) inputs.push_back(want(in));
        const Node made = apply(node->op, std::move(inputs));
        Nodes& slots = inside[node.get()];
        slots.clear();
        for (size_t i = 0; i < node->outputs.size(); ++i) slots.push_back(made.output(static_cast<int>(i)));
      }
      if (k == last)
        for (const Update& u : graph.updates) s.graph.updates.push_back({u.variable, want(u.value)});
      for (const Node& n : results[static_cast<size_t>(k)]) s.graph.outputs.push_back(want(n));
    }
    out.list = std::move(list);
    return out;
  }
};

}  // namespace

Segments split(const Graph& graph) {
  Splitter splitter{graph};
  const bool any =
      std::any_of(splitter.order.begin(), splitter.order.end(), [](const auto& node) { return ends_segment(*node); });
  if (!any) return {};
  return splitter.split();
}

}  // namespace maas
