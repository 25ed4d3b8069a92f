#include "graph/graph.h"

#include <unordered_map>

#include "core/error.h"
#include "graph/op.h"

namespace maas {

Nodes Graph::roots() const {
  Nodes roots = outputs;
  for (const Update& u : updates) roots.push_back(u.value);
  return roots;
}

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
        s += "constant";
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
  s += "return";
  for (const Node& n : outputs) s += " " + ref(n);
  for (const Update& u : updates) s += "\nupdate '" + u.variable->name + "' = " + ref(u.value);
  return s + "\n";
}

}  // namespace maas
