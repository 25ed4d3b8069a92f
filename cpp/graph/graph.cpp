#include "graph/graph.h"

#include <algorithm>
#include <charconv>
#include <unordered_map>

#include "core/error.h"
#include "graph/op.h"
#include "graph/rebuild.h"

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
  std::unordered_map<const NodeData*, Node> given;
  for (size_t i = 0; i < inputs.size(); ++i) given[graph.inputs[i].data()] = inputs[i];
  return rebuild(graph.outputs, [&](const Node& n) {
    const auto it = given.find(n.data());
    return it == given.end() ? Node() : it->second;
  });
}

Nodes close_over(const Nodes& roots, int64_t start, const std::function<Node(const Node&)>& capture) {
  return rebuild(roots, [&](const Node& n) {
    const bool outside = n->leaf == Leaf::state || (n->id < start && n->leaf != Leaf::constant);
    return outside ? capture(n) : Node();
  });
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
