// Factors and summands per filter move into the parameters of the convolution before them, as batch normalisation with
// fixed statistics leaves them: (conv(x, k) + b) * s + t becomes conv(x, k * s) + (b * s + t). What is new depends on
// parameters alone, so plans prepare it once; what is left is a bias, which the kernel adds in registers.
#include <algorithm>
#include <unordered_set>

#include "graph/op.h"
#include "graph/passes/passes.h"
#include "ops/build.h"

namespace maas {
namespace {

bool is_op(const Node& n, const char* name) { return n->op && n->op->name() == name; }

class Folder {
 public:
  explicit Folder(const Graph& graph) : users_(graph) {
    std::unordered_set<const Variable*> written;
    for (const Update& u : graph.updates) written.insert(u.variable.get());
    for (const auto& node : topological_order(graph.roots())) {
      bool fixed = node->leaf == Leaf::constant || (node->leaf == Leaf::state && !written.count(node->variable.get()));
      if (node->op && !node->inputs.empty())
        fixed = std::all_of(node->inputs.begin(), node->inputs.end(), [&](const Node& in) { return is_fixed(in); });
      for (const Spec& s : node->outputs) fixed = fixed && is_constant(s.shape);
      if (fixed) fixed_.insert(node.get());
    }
  }

  // The new form of an elementwise node over `inputs`, or an empty Node.
  Node fold(const Node& old, const Nodes& inputs) {
    const bool times = is_op(old, "multiply");
    if (!times && !is_op(old, "add")) return {};
    for (size_t i = 0; i < 2; ++i) {
      const Node &value = inputs[i], &operand = inputs[1 - i];
      if (!users_once(old->inputs[i]) || !per_filter(operand, value)) continue;
      if (times && is_op(value, "conv")) return scaled(value, operand);
      if (!is_op(value, "add")) continue;
      for (size_t j = 0; j < 2; ++j) {
        const Node &conv = value.input(static_cast<int>(j)), &bias = value.input(static_cast<int>(1 - j));
        if (!is_op(conv, "conv") || !users_once(conv) || !per_filter(bias, conv)) continue;
        if (!times) return conv + known(bias + operand);
        if (const Node y = scaled(conv, operand)) return y + known(bias * operand);
      }
    }
    return {};
  }

 private:
  bool is_fixed(const Node& n) const { return fixed_.count(n.data()) > 0; }
  // Nodes made here are unknown to the graph; each has one user.
  bool users_once(const Node& n) const { return users_.count(n) <= 1 && !users_.is_root(n); }
  Node known(const Node& n) {
    fixed_.insert(n.data());
    return n;
  }
  // One number for each element of the last axis, or one for all.
  bool per_filter(const Node& p, const Node& value) const {
    if (!is_fixed(p) || p.dtype() != value.dtype() || p.rank() > value.rank()) return false;
    const Dim size = product(p.shape());
    return size.is(1) || (p.shape().back() == value.shape().back() && size == p.shape().back());
  }
  Node scaled(const Node& conv, const Node& factor) {
    const Node &x = conv.input(0), &kernel = conv.input(1);
    if (!is_fixed(kernel)) return {};
    return apply(conv->op, {x, known(kernel * reshape(factor, {product(factor.shape())}))});
  }

  passes::Users users_;
  std::unordered_set<const NodeData*> fixed_;
};

}  // namespace

Graph fold_conv_scale(const Graph& graph) {
  const auto order = topological_order(graph.roots());
  const bool any =
      std::any_of(order.begin(), order.end(), [](const auto& n) { return n->op && n->op->name() == "conv"; });
  if (!any) return graph;
  Folder folder(graph);
  return passes::rewrite(graph, [&](const Node& old, const Nodes& inputs) -> Nodes {
    const Node y = folder.fold(old, inputs);
    return y ? Nodes{y} : Nodes{};
  });
}

}  // namespace maas
