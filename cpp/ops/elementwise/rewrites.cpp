// Arithmetic that changes no bit of any value, NaN and signed zeros included: x * 1, x / 1, x - 0, x^1, -(-x),
// identity. x + 0 is not among it: it turns -0 into 0.
#include "core/error.h"
#include "ops/match.h"

namespace maas {

namespace {

// The operand that the node passes on unchanged, or an empty Node.
Node unchanged(const Node& n) {
  using match::is_scalar;
  if (match::is(n, "multiply")) {
    if (auto x = match::other_operand(n, [](const Node& a) { return is_scalar(a, 1); })) return *x;
  }
  if ((match::is(n, "divide") || match::is(n, "power")) && is_scalar(n.input(1), 1)) return n.input(0);
  // A zero with a sign bit would turn -0 - (-0) into 0.
  if (match::is(n, "subtract") && is_scalar(n.input(1), 0) && !std::signbit(*match::scalar(n.input(1))))
    return n.input(0);
  if (match::is(n, "negative") && match::is(n.input(0), "negative")) return n.input(0).input(0);
  if (match::is(n, "identity")) return n.input(0);
  return {};
}

}  // namespace

Graph simplify_arithmetic(const Graph& graph) {
  return passes::rewrite(graph, [](const Node& old, const Nodes& inputs) -> Nodes {
    if (!old->op || old->op->elementwise_fn() < 0) return {};
    bool same = true;
    for (size_t i = 0; i < inputs.size(); ++i) same = same && inputs[i] == old->inputs[i];
    const Node n = same ? old : apply(old->op, inputs);
    const Node x = unchanged(n);
    // Broadcasting or promotion may have made something else of it.
    if (x && x.shape() == n.shape() && x.dtype() == n.dtype()) return {x};
    return {};
  });
}

}  // namespace maas
