#pragma once
// What rewrites ask of nodes.
#include <cmath>
#include <optional>
#include <string_view>

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

// Nobody else sees the value, so it need not exist.
inline bool only_here(const Node& n, const passes::Users& users) { return users.count(n) == 1 && !users.is_root(n); }

// A value in the graph as it was, which users are known of, and what has become of it. A pattern is read in both.
struct Pair {
  Node old, fresh;
  // Whether this is still the same op, so that its operands correspond.
  bool same_op() const { return old->op && fresh->op && old->op->equals(*fresh->op); }
  Pair input(int i) const { return {old.input(i), fresh.input(i)}; }
};

// The other operand of a binary node whose operand `i` fits, tried in both orders.
template <class Fits>
std::optional<Node> other_operand(const Node& n, const Fits& fits) {
  for (int i = 0; i < 2; ++i)
    if (fits(n.input(i))) return n.input(1 - i);
  return {};
}

}  // namespace maas::match
