// Transposes move down through what does not care for the order of axes, until they meet their inverse. So a model
// that is written channels first, as transposes around every convolution, runs channels last with one transpose at each
// end. Only where it saves copies: counted in elements, for regions of nodes that change together.
#include "graph/passes/layout.h"

#include <algorithm>
#include <numeric>
#include <unordered_set>

#include "graph/op.h"
#include "graph/passes/passes.h"
#include "graph/primitives.h"

namespace maas::passes {
namespace {

bool is_identity(const Axes& p) {
  for (size_t i = 0; i < p.size(); ++i)
    if (p[i] != static_cast<int64_t>(i)) return false;
  return true;
}
Axes inverse(const Axes& p) {
  Axes q(p.size());
  for (size_t i = 0; i < p.size(); ++i) q[static_cast<size_t>(p[i])] = static_cast<int64_t>(i);
  return q;
}
// transpose(transpose(x, p), q).
Axes after(const Axes& p, const Axes& q) {
  Axes r;
  for (int64_t a : q) r.push_back(p[static_cast<size_t>(a)]);
  return r;
}

// What it costs to have v where its order p is at hand, or the other way round. Axes of size 1 move for nothing.
double cost(const Node& v, const Axes& p) {
  int64_t last = -1;
  for (size_t i = 0, skip = p.size() - v.shape().size(); i < v.shape().size(); ++i) {
    if (v.shape()[i].is(1)) continue;
    if (p[i + skip] < last) return elements(v);
    last = p[i + skip];
  }
  return 0;
}

class Layout {
 public:
  explicit Layout(const Graph& graph) : graph_(graph), order_(topological_order(graph.roots())) {}

  Graph run() {
    find_orders();
    if (places_.empty()) return graph_;
    find_wanted();
    find_regions();
    if (std::none_of(gain_.begin(), gain_.end(), [](const auto& g) { return g.second > 0; })) return graph_;
    return rewrite(graph_, [&](const Node& old, const Nodes& inputs) { return renew(old, inputs); });
  }

 private:
  struct Place {
    Axes order;                        // in which output 0 can be had
    std::optional<Reordered> changed;  // of a node; empty for a transpose
    bool wanted = false;
  };
  using Key = const NodeData*;

  const Place* place(const Node& n) const {
    auto it = places_.find(n.data());
    return it == places_.end() || n.index() != 0 ? nullptr : &it->second;
  }

  // The order of every value that a transpose above offers.
  void find_orders() {
    for (const auto& node : order_) {
      if (!node->op) continue;
      const Node n(node, 0);
      if (const auto seen = order_of(n)) {
        const Place* above = place(n.input(0));
        const bool cancels = above && is_identity(after(above->order, *seen));
        places_[node.get()] = {cancels ? after(above->order, *seen) : *seen, {}, false};
        continue;
      }
      if (auto changed = reordered(n)) {
        Axes out = changed->output;
        places_[node.get()] = {std::move(out), std::move(changed), false};
      }
    }
  }

  std::optional<Reordered> reordered(const Node& n) const {
    const bool elementwise = n->op->elementwise_fn() >= 0;
    const Axes* p = nullptr;
    for (const Node& in : n->inputs) {
      const Place* above = place(in);
      if (above && !is_identity(above->order) && (!elementwise || in.shape() == n.shape())) p = &above->order;
      if (p || !elementwise) break;
    }
    if (!p) return {};
    if (elementwise) return Reordered{n->op, std::vector<Axes>(n->inputs.size(), *p), *p};
    const AxesRule rule = axes_rule(n->op->name());
    return rule ? rule(n, *p) : std::nullopt;
  }

  // A transpose that gives what its input is made from.
  bool is_sink(const Node& n) const {
    const Place* p = place(n);
    return p && !p->changed && place(n.input(0)) && is_identity(p->order);
  }
  bool reads_in_order(const Node& user, size_t input) const {
    const Place *mine = place(user), *above = place(user.input(static_cast<int>(input)));
    return mine && mine->changed && above && above->order == mine->changed->inputs[input] && above->order.size() > 0;
  }

  // Upwards from what gains: a transpose that cancels, or a result that can be had in any order.
  void find_wanted() {
    for (auto it = order_.rbegin(); it != order_.rend(); ++it) {
      const Node n(*it, 0);
      auto found = places_.find(it->get());
      if (found == places_.end()) continue;
      Place& p = found->second;
      if (p.changed && cost(n, p.order) == 0) p.wanted = true;
      if (is_sink(n)) want(n.input(0));
      if (!p.wanted || !p.changed) continue;
      for (size_t i = 0; i < n->inputs.size(); ++i)
        if (reads_in_order(n, i)) want(n->inputs[i]);
    }
  }
  void want(const Node& n) { places_.at(n.data()).wanted = true; }

  // ---- regions: nodes that change together, and what that saves
  Key root(Key k) {
    while (parent_.count(k) && parent_[k] != k) k = parent_[k];
    return k;
  }
  void join(Key a, Key b) { parent_[root(a)] = root(b); }

  void find_regions() {
    for (const auto& node : order_) {
      const Node n(node, 0);
      const Place* p = place(n);
      if (!p) continue;
      if (p->wanted && p->changed)
        for (size_t i = 0; i < n->inputs.size(); ++i)
          if (reads_in_order(n, i)) join(node.get(), n->inputs[i].data());
      if (is_sink(n)) join(node.get(), n.input(0).data());
    }
    const Users users(graph_);
    std::unordered_map<Key, int> reads;  // of output 0, that the region keeps to itself
    for (const auto& node : order_) {
      const Node n(node, 0);
      const Place* p = place(n);
      if (!p) continue;
      double& gain = gain_[root(node.get())];
      if (is_sink(n)) {
        gain += cost(n, *order_of(n));
        ++reads[n.input(0).data()];
      }
      if (!p->wanted || !p->changed) continue;
      for (size_t i = 0; i < n->inputs.size(); ++i)
        if (reads_in_order(n, i))
          ++reads[n->inputs[i].data()];
        else if (!p->changed->inputs[i].empty() && !depends_on_state_alone(n->inputs[i]))
          gain -= cost(n->inputs[i], p->changed->inputs[i]);
    }
    for (const auto& node : order_) {
      const Node n(node, 0);
      const Place* p = place(n);
      if (!p || !p->wanted) continue;
      const bool kept = reads[node.get()] == users.count(n) && !users.is_root(n);
      if (p->changed)
        gain_[root(node.get())] -= kept ? 0 : cost(n, p->order);
      else
        gain_[root(node.get())] += kept ? cost(n, p->order) : 0;
    }
  }
  bool depends_on_state_alone(const Node& n) {
    auto [it, fresh] = fixed_.try_emplace(n.data(), n->leaf == Leaf::constant || n->leaf == Leaf::state);
    if (!fresh || !n->op) return it->second;
    bool fixed = !n->inputs.empty();
    for (const Node& in : n->inputs) fixed = fixed && depends_on_state_alone(in);
    return fixed_[n.data()] = fixed;
  }

  // ---- the graph anew
  Nodes renew(const Node& old, const Nodes& inputs) {
    const Place* p = place(old);
    if (!p) return {};
    const bool changes = gain_[root(old.data())] > 0;
    if (!p->changed) {
      if (!is_sink(old)) {
        kept_[old.data()] = inputs[0];
        return {};
      }
      auto above = kept_.find(old.input(0).data());
      return above == kept_.end() ? Nodes{} : Nodes{above->second};
    }
    if (!p->wanted || !changes) return {};
    Nodes operands;
    for (size_t i = 0; i < inputs.size(); ++i) {
      const Axes& wanted = p->changed->inputs[i];
      auto above = kept_.find(old->inputs[i].data());
      const bool had = above != kept_.end() && place(old->inputs[i]) && place(old->inputs[i])->order == wanted;
      operands.push_back(had ? above->second : put_in_order(inputs[i], wanted));
    }
    const Node y = apply(p->changed->op, std::move(operands));
    Nodes outputs{y};
    if (!is_identity(p->order)) {
      kept_[old.data()] = y;
      outputs[0] = in_order(y, p->order);
    }
    for (size_t i = 1; i < old->outputs.size(); ++i) {
      const Node more = y.output(static_cast<int>(i));
      const bool moved = i <= p->changed->further.size() && !is_identity(p->changed->further[i - 1]);
      outputs.push_back(moved ? in_order(more, p->changed->further[i - 1]) : more);
    }
    return outputs;
  }
  // u, so that x = transpose(u, p); x may have fewer axes, as operands that broadcast do.
  static Node put_in_order(const Node& x, const Axes& p) {
    if (p.empty() || x.rank() == 0) return x;
    Shape shape = x.shape();
    shape.insert(shape.begin(), p.size() - shape.size(), Dim(1));
    return in_order(reshape(x, shape), inverse(p));
  }

  const Graph& graph_;
  const std::vector<std::shared_ptr<const NodeData>> order_;
  std::unordered_map<Key, Place> places_;
  std::unordered_map<Key, Key> parent_;
  std::unordered_map<Key, double> gain_;
  std::unordered_map<Key, bool> fixed_;
  std::unordered_map<Key, Node> kept_;  // output 0 in its place's order
};

}  // namespace

Axes order_without(const Axes& p, const Axes& axes) {
  std::vector<bool> gone(p.size());
  for (int64_t a : axes) gone[static_cast<size_t>(p[static_cast<size_t>(a)])] = true;
  Axes left;
  for (int64_t a : p)
    if (!gone[static_cast<size_t>(a)])
      left.push_back(a - std::count(gone.begin(), gone.begin() + static_cast<std::ptrdiff_t>(a), true));
  return left;
}

Graph layout(const Graph& graph) { return Layout(graph).run(); }

}  // namespace maas::passes
