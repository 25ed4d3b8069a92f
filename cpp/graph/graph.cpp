#include "graph/graph.h"

#include <algorithm>
#include <charconv>
#include <unordered_map>

#include "core/error.h"
#include "graph/op.h"

namespace maas {

Nodes Graph::roots() const {
  Nodes roots = outputs;
  for (const Update& u : updates) roots.push_back(u.value);
  return roots;
}

std::vector<Guard> Graph::guards() const {
  std::vector<Guard> all;
  auto add = [&](const std::vector<Guard>& guards) {
    for (const Guard& g : guards)
      if (std::find(all.begin(), all.end(), g) == all.end()) all.push_back(g);
  };
  for (const auto& node : topological_order(roots())) {
    add(node->guards);
    if (!node->op) continue;
    if (const auto control = node->op->control())
      for (const Body& body : control->bodies) add(body->guards());
  }
  return all;
}

bool Body::operator==(const Body& other) const { return graph == other.graph || graph->str() == other.graph->str(); }

Nodes call(const Graph& graph, const Nodes& inputs) {
  std::unordered_map<const NodeData*, Nodes> done;
  for (size_t i = 0; i < inputs.size(); ++i) done[graph.inputs[i].data()] = {inputs[i]};
  auto renew = [&](const Node& n) {
    auto it = done.find(n.data());
    return it == done.end() ? n : it->second[static_cast<size_t>(n.index())];
  };
  for (const auto& node : topological_order(graph.outputs)) {
    if (!node->op) continue;
    Nodes fresh;
    bool changed = false;
    for (const Node& in : node->inputs) {
      fresh.push_back(renew(in));
      changed = changed || !(fresh.back() == in);
    }
    if (!changed) continue;
    const Node made = apply(node->op, std::move(fresh));
    Nodes& outputs = done[node.get()];
    for (size_t i = 0; i < node->outputs.size(); ++i) outputs.push_back(made.output(static_cast<int>(i)));
  }
  Nodes outputs;
  for (const Node& n : graph.outputs) outputs.push_back(renew(n));
  return outputs;
}

Nodes close_over(const Nodes& roots, int64_t start, const std::function<Node(const Node&)>& capture) {
  auto outside = [&](const Node& n) { return n->leaf == Leaf::state || (n->id < start && n->leaf != Leaf::constant); };
  std::unordered_map<const NodeData*, Nodes> done;
  auto renew = [&](const Node& n) {
    if (outside(n)) return capture(n);
    return done.at(n.data())[static_cast<size_t>(n.index())];
  };
  std::vector<std::pair<std::shared_ptr<const NodeData>, size_t>> stack;
  auto visit = [&](const Node& n) {
    if (!outside(n) && done.try_emplace(n.data()).second) stack.emplace_back(n.pointer(), 0);
  };
  for (const Node& root : roots) {
    visit(root);
    while (!stack.empty()) {
      const auto [node, next] = stack.back();
      if (next < node->inputs.size()) {
        ++stack.back().second;
        visit(node->inputs[next]);
        continue;
      }
      stack.pop_back();
      Node made(node, 0);
      if (node->op) {
        Nodes inputs;
        bool changed = false;
        for (const Node& in : node->inputs) {
          inputs.push_back(renew(in));
          changed = changed || !(inputs.back() == in);
        }
        if (changed) made = apply(node->op, std::move(inputs));
      }
      for (size_t i = 0; i < node->outputs.size(); ++i) done[node.get()].push_back(made.output(static_cast<int>(i)));
    }
  }
  Nodes result;
  for (const Node& n : roots) result.push_back(renew(n));
  return result;
}

namespace {

// All of it where that is little, else a fingerprint (FNV-1a): graphs are compared by their text.
std::string constant_text(const Array& a) {
  if (a.size() <= 16) {
    std::string s;
    char digits[32];
    for (int64_t i = 0; i < a.size(); ++i)
      s += (i ? ", " : "") + std::string(digits, std::to_chars(digits, digits + sizeof digits, read_element(a, i)).ptr);
    return s;
  }
  uint64_t hash = 14695981039346656037ull;
  for (size_t i = 0; i < a.bytes(); ++i) hash = (hash ^ a.as<unsigned char>()[i]) * 1099511628211ull;
  return text("#", hash);
}

}  // namespace

std::string Graph::str() const {
  std::string s;
  std::unordered_map<const NodeData*, int> number;
  auto ref = [&](const Node& n) {
    return text("%", number.at(n.data()), n.index() ? "." + std::to_string(n.index()) : "");
  };
  for (const auto& node : topological_order(roots())) {
    const int id = static_cast<int>(number.size());
    number[node.get()] = id;
    s += text("%", id, " = ");
    switch (node->leaf) {
      case Leaf::input:
        s += "input '" + node->name + "'";
        break;
      case Leaf::constant:
        s += "constant " + constant_text(node->constant);
        break;
      case Leaf::state:
        s += "state '" + node->name + "'";
        break;
      case Leaf::none: {
        s += node->op->name() + "(";
        bool first = true;
        for (const Node& in : node->inputs) {
          s += (first ? "" : ", ") + ref(in);
          first = false;
        }
        for (const auto& [key, value] : node->op->params()) {
          s += (first ? "" : ", ") + key + "=" + to_string(value);
          first = false;
        }
        s += ")";
      }
    }
    s += " :";
    for (const Spec& spec : node->outputs) s += text(" ", spec.dtype, to_string(spec.shape));
    s += "\n";
  }
  for (const Guard& g : guards()) s += text("guard ", g.a, " == ", g.b, " (", g.text, ")\n");
  s += "return";
  for (const Node& n : outputs) s += " " + ref(n);
  for (const Update& u : updates) s += "\nupdate '" + u.variable->name + "' = " + ref(u.value);
  return s + "\n";
}

}  // namespace maas
