#pragma once
// What rewrites ask of nodes.
#include <cmath>
#include <initializer_list>
#include <optional>
#include <string_view>
#include <unordered_map>

#include "core/error.h"
#include "graph/op.h"
#include "graph/passes/passes.h"

namespace maas::match {

inline bool is(const Node& n, std::string_view name) { return n->op && n->op->name() == name; }

// The value of a constant of one element.
inline std::optional<double> scalar(const Node& n) {
  if (n->leaf != Leaf::constant || n->constant.size() != 1 || !is_readable(n.dtype())) return {};
  return read_element(n->constant, 0);
}
inline bool is_scalar(const Node& n, double value) {
  const auto v = scalar(n);
  return v && *v == value;
}

template <class T>
T param(const Node& n, std::string_view name) {
  for (const auto& [key, value] : n->op->params())
    if (key == name) return std::get<T>(value);
  fail(ErrorKind::runtime, n->op->name(), " has no such parameter, received '", name, "'");
}

// n's op with other values for some of its parameters.
inline OpPtr changed(const Node& n, const ParamList& values) {
  ParamList params = n->op->params();
  for (auto& [key, value] : params)
    for (const auto& [name, other] : values)
      if (key == name) value = other;
  return make_op(n->op->name(), params);
}

// Nobody else sees the value, so it need not exist.
inline bool only_here(const Node& n, const passes::Users& users) { return users.count(n) == 1 && !users.is_root(n); }

// Whether the graph has one of these ops: most graphs have nothing for most patterns, which is quick to see.
inline bool has(const Graph& graph, std::initializer_list<std::string_view> names) {
  for (const auto& node : topological_order(graph.roots()))
    for (const std::string_view name : names)
      if (is(Node(node, 0), name)) return true;
  return false;
}

// Rewrites a graph by patterns that are read in it as it was, where users are known. `find` gets a node and `renew`,
// which says what has become of a value further up, and returns the new outputs, or nothing to keep the node.
template <class Find>
Graph rewrite(const Graph& graph, const Find& find) {
  std::unordered_map<const NodeData*, Nodes> done;
  auto renew = [&](const Node& n) {
    auto it = done.find(n.data());
    return it == done.end() ? n : it->second[static_cast<size_t>(n.index())];
  };
  return passes::rewrite(graph, [&](const Node& old, const Nodes& inputs) {
    Nodes outputs = find(old, renew);
    if (outputs.empty()) {
      const Node n = inputs == old->inputs ? old : apply(old->op, inputs);
      for (size_t i = 0; i < old->outputs.size(); ++i) outputs.push_back(n.output(static_cast<int>(i)));
    }
    done[old.data()] = outputs;
    return outputs;
  });
}

// A product as a number and factors, read upwards through products and quotients that nobody else reads. Factors have
// the shape of the whole or broadcast to it; no step rounds to another dtype.
struct Product {
  double scale = 1;
  Nodes factors, divisors;

  Product(const Node& n, const passes::Users& users) { read(n, users, true, 0); }
  // Takes the first factor that fits away; an empty Node if there is none.
  template <class Fits>
  static Node take(Nodes& list, const Fits& fits) {
    for (size_t i = 0; i < list.size(); ++i)
      if (fits(list[i])) {
        const Node found = list[i];
        list.erase(list.begin() + static_cast<std::ptrdiff_t>(i));
        return found;
      }
    return {};
  }

 private:
  void read(const Node& n, const passes::Users& users, bool over, int depth) {
    if (const auto v = scalar(n)) {
      scale = over ? scale * *v : scale / *v;
    } else if (depth < 6 && (depth == 0 || only_here(n, users)) && (is(n, "multiply") || is(n, "divide"))) {
      read(n.input(0), users, over, depth + 1);
      read(n.input(1), users, over == is(n, "multiply"), depth + 1);
    } else if (depth < 6 && (depth == 0 || only_here(n, users)) && is(n, "negative")) {
      scale = -scale;
      read(n.input(0), users, over, depth + 1);
    } else {
      (over ? factors : divisors).push_back(n);
    }
  }
};

// Whether a number that a model gives in this type stands for b: models cut digits, but no more than the type holds.
inline bool near(double a, double b, DType type) {
  return std::abs(a - b) <= (type == DType::f64 ? 1e-14 : 2e-7) * std::abs(b);
}

// The other operand of a binary node whose operand `i` fits, tried in both orders.
template <class Fits>
std::optional<Node> other_operand(const Node& n, const Fits& fits) {
  for (int i = 0; i < 2; ++i)
    if (fits(n.input(i))) return n.input(1 - i);
  return {};
}

}  // namespace maas::match
