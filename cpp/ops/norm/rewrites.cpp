// A product with one factor per channel right after a convolution or matrix product moves into its weights, as in
// inference batch normalization: (x w + b) s = x (w s) + b s. Only where weights and factors are parameters that the
// graph does not update, so that the new weights are prepared once.
#include <unordered_set>

#include "graph/op.h"
#include "graph/passes/passes.h"
#include "ops/build.h"

namespace maas {
namespace {

class Fixed {
 public:
  explicit Fixed(const Graph& graph) {
    for (const Update& u : graph.updates) written_.insert(u.variable.get());
  }
  // Whether the value depends on parameters and constants alone.
  bool operator()(const Node& n) {
    auto known = memo_.find(n.data());
    if (known != memo_.end()) return known->second;
    bool fixed = n->leaf == Leaf::constant || (n->leaf == Leaf::state && !written_.count(n->variable.get()));
    if (n->op) {
      fixed = !n->inputs.empty() && is_constant(n.shape());
      for (const Node& in : n->inputs) fixed = fixed && (*this)(in);
    }
    return memo_[n.data()] = fixed;
  }

 private:
  std::unordered_set<const Variable*> written_;
  std::unordered_map<const NodeData*, bool> memo_;
};

// Sizes (1, ..., 1, channels), known channels, and as many axes as the product's result at most.
bool per_channel(const Node& s, const Node& y) {
  if (s.rank() < 1 || s.rank() > y.rank() || s.dtype() != y.dtype() || !(s.shape().back() == y.shape().back()))
    return false;
  return s.shape().back().is_constant() && product(s.shape()) == s.shape().back();
}

// The axis of the weights (input 1) that runs over the result's channels, or -1.
int64_t channel_axis(const Node& y) {
  if (!y->op) return -1;
  const Node* w = y->inputs.size() == 2 ? &y.input(1) : nullptr;
  if (!w) return -1;
  if (y->op->name() == "conv") return w->rank() - 1;
  if (y->op->name() != "matmul" || w->rank() != 2) return -1;
  for (const auto& [name, value] : y->op->params())
    if (name == "transpose_b") return std::get<bool>(value) ? 0 : 1;
  return -1;
}

bool is(const Node& n, const char* name) { return n->op && n->op->name() == name; }

// y scaled by s through its weights; empty if y is nothing to fold into. Every value on the way has one user. `old` is
// y in the graph as it was, which users and fixed know; y differs from it only further up.
Node fold(const Node& old, const Node& y, const Node& s, const passes::Users& users, Fixed& fixed) {
  if (!old->op || users.count(old) != 1 || users.is_root(old) || !per_channel(s, old)) return {};
  if (is(old, "add"))
    for (int i = 0; i < 2; ++i) {
      const Node &product = old.input(i), &bias = old.input(1 - i);
      if (product.shape() != old.shape() || !fixed(bias) || !per_channel(bias, old)) continue;
      const Node scaled = fold(product, y.input(i), s, users, fixed);
      if (scaled) return scaled + y.input(1 - i) * reshape(s, {s.shape().back()});
    }
  const int64_t axis = channel_axis(old);
  if (axis < 0 || !fixed(old.input(1))) return {};
  const Node& w = y.input(1);
  Shape shape(w.shape().size(), Dim(1));
  shape[static_cast<size_t>(axis)] = s.shape().back();
  return apply(y->op, {y.input(0), w * reshape(s, shape)});
}

}  // namespace

Graph fold_channel_scale(const Graph& graph) {
  const passes::Users users(graph);
  Fixed fixed(graph);
  return passes::rewrite(graph, [&](const Node& old, const Nodes& inputs) -> Nodes {
    if (!is(old, "multiply")) return {};
    for (size_t i = 0; i < 2; ++i) {
      const Node &x = old->inputs[i], &s = old->inputs[1 - i];
      if (x.shape() != old.shape() || !fixed(s)) continue;
      const Node scaled = fold(x, inputs[i], inputs[1 - i], users, fixed);
      if (scaled) return {scaled};
    }
    return {};
  });
}

}  // namespace maas
