// Activations that models spell out get their own function: fewer steps, a smaller gradient, and kernels that apply it
// as they store. silu: x sigmoid(x), gelu: x (1 + erf(x / sqrt 2)) / 2 and its tanh form, hard_silu: x relu6(x + 3) /
// 6, in any order of factors.
#include "ops/build.h"
#include "ops/match.h"

namespace maas {
namespace {

using match::is;
using match::near;
using match::only_here;
using match::Product;

// n = x + c for a number c.
Node plus(const Node& n, double c) {
  if (!is(n, "add")) return {};
  const auto x = match::other_operand(n, [&](const Node& a) { return match::is_scalar(a, c); });
  return x ? *x : Node();
}

// Whether n = c x.
bool is_multiple(const Node& n, const Node& x, double c, const passes::Users& users) {
  const Product p(n, users);
  return p.divisors.empty() && p.factors == Nodes{x} && near(p.scale, c, n.dtype());
}

// Whether n = c x^3, in factors or as a power.
bool is_cube(const Node& n, const Node& x, double c, const passes::Users& users) {
  Product p(n, users);
  if (!p.divisors.empty() || !near(p.scale, c, n.dtype())) return false;
  int power = 0;
  for (const Node& f : p.factors) {
    if (f == x)
      power += 1;
    else if (is(f, "square") && f.input(0) == x)
      power += 2;
    else if (is(f, "power") && f.input(0) == x && match::scalar(f.input(1)))
      power += *match::scalar(f.input(1)) == 3 ? 3 : 100;
    else
      return false;
  }
  return power == 3;
}

// Whether n = sqrt(2 / pi) (x + 0.044715 x^3).
bool is_gelu_argument(const Node& n, const Node& x, const passes::Users& users) {
  constexpr double kScale = 0.79788456080286536, kCube = 0.044715;
  Product p(n, users);
  if (!p.divisors.empty() || !near(p.scale, kScale, n.dtype())) return false;
  if (p.factors.size() == 2) {  // x (1 + 0.044715 x^2)
    if (!Product::take(p.factors, [&](const Node& f) { return f == x; })) return false;
    const Node square = plus(p.factors[0], 1);
    if (!square) return false;
    const Product q(square, users);
    const bool twice = q.factors == Nodes{x, x};
    const bool squared = q.factors.size() == 1 && is(q.factors[0], "square") && q.factors[0].input(0) == x;
    return q.divisors.empty() && near(q.scale, kCube, n.dtype()) && (twice || squared);
  }
  if (p.factors.size() != 1 || !is(p.factors[0], "add")) return false;
  const auto cube = match::other_operand(p.factors[0], [&](const Node& a) { return a == x; });
  return cube && is_cube(*cube, x, kCube, users);
}

Node activation(const Node& n, const passes::Users& users) {
  if (!is_floating(n.dtype()) || (!is(n, "multiply") && !is(n, "divide"))) return {};
  const Product p(n, users);
  if (!p.divisors.empty() || p.factors.size() != 2) return {};
  for (int i = 0; i < 2; ++i) {
    const Node &x = p.factors[static_cast<size_t>(i)], &f = p.factors[static_cast<size_t>(1 - i)];
    if (!(x.shape() == n.shape()) || !(f.shape() == n.shape()) || !only_here(f, users)) continue;
    if (is(f, "sigmoid") && f.input(0) == x && p.scale == 1) return op("silu", {x});
    if (is(f, "relu6") && near(p.scale, 1.0 / 6, n.dtype()) && plus(f.input(0), 3) == x)
      return x * unary("hard_sigmoid", x);
    const Node inner = plus(f, 1);
    if (!inner || p.scale != 0.5 || !only_here(inner, users)) continue;
    if (is(inner, "erf") && is_multiple(inner.input(0), x, 0.70710678118654752, users)) return op("gelu_erf", {x});
    if (is(inner, "tanh") && is_gelu_argument(inner.input(0), x, users)) return op("gelu_tanh", {x});
  }
  return {};
}

}  // namespace

Graph recognize_activations(const Graph& graph) {
  if (!match::has(graph, {"erf", "tanh", "sigmoid", "relu6"})) return graph;
  const passes::Users users(graph);
  return match::rewrite(graph, [&](const Node& old, const auto& renew) -> Nodes {
    const Node found = activation(old, users);
    if (!found || !(found.shape() == old.shape())) return {};
    if (is(found, "multiply")) return {renew(found.input(0)) * unary("hard_sigmoid", renew(found.input(0)))};
    return {op(found->op->name(), {renew(found.input(0))})};
  });
}

}  // namespace maas
