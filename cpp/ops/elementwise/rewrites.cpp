// Arithmetic with the same result, bit for bit, signed zeros and infinities included (a NaN stays a NaN, its sign may
// differ; a denormal may stay where arithmetic would have flushed it): x * 1, x / 1, x - 0, x + -0, x^1, -(-x), x / 2^k
// as x * 2^-k, 1 / sqrt(x) as rsqrt(x), a + -b as a - b, where(c, x, x), max(x, x), f(f(x)) of what rounds or cuts. x +
// 0 is not among it: it turns -0 into 0; nor is x - x or x * 0: they are NaN for NaN and infinity; nor x^0.5 as
// sqrt(x): they differ for -0 and -inf. x^2 becomes x * x, which is x^2 rounded once.
#include "core/error.h"
#include "ops/build.h"
#include "ops/match.h"

namespace maas {

namespace {

using match::is;
using match::is_scalar;

// Whether each number of this type, and each result of one operation on it, is rounded once by every kernel.
bool rounds_once(DType t) { return t == DType::f32 || t == DType::f64; }

bool is_zero(const Node& n, bool negative) { return is_scalar(n, 0) && std::signbit(*match::scalar(n)) == negative; }

// A function that leaves its own results alone.
bool is_idempotent(const Node& n) {
  for (const char* name : {"absolute", "relu", "relu6", "floor", "ceil", "trunc", "round", "sign"})
    if (is(n, name)) return true;
  return false;
}

// The operand that the node passes on unchanged, or an empty Node.
Node unchanged(const Node& n) {
  if (is(n, "multiply"))
    if (auto x = match::other_operand(n, [](const Node& a) { return is_scalar(a, 1); })) return *x;
  if (is(n, "add") && is_floating(n.dtype()))
    if (auto x = match::other_operand(n, [](const Node& a) { return is_zero(a, true); })) return *x;
  if ((is(n, "divide") || is(n, "power")) && is_scalar(n.input(1), 1)) return n.input(0);
  // A zero with a sign bit would turn -0 - (-0) into 0.
  if (is(n, "subtract") && is_zero(n.input(1), false)) return n.input(0);
  for (const char* inverse : {"negative", "logical_not"})
    if (is(n, inverse) && is(n.input(0), inverse)) return n.input(0).input(0);
  if (is_idempotent(n) && is(n.input(0), n->op->name())) return n.input(0);
  if ((is(n, "maximum") || is(n, "minimum")) && n.input(0) == n.input(1)) return n.input(0);
  if (is(n, "where") && n.input(1) == n.input(2)) return n.input(1);
  if (is(n, "identity")) return n.input(0);
  if (is(n, "cast") && n.dtype() == n.input(0).dtype()) return n.input(0);
  return {};
}

// 1 / c if that is a normal power of two, so that a product with it is the quotient.
std::optional<double> exact_reciprocal(const Node& n) {
  const auto c = match::scalar(n);
  int exponent;
  if (!c || !std::isfinite(*c) || std::abs(std::frexp(*c, &exponent)) != 0.5) return {};
  const int limit = n.dtype() == DType::f16 ? 14 : 126;
  if (std::abs(exponent - 1) > limit) return {};
  return 1 / *c;
}

// A constant of one element, worked out now.
Node folded(const Node& n) {
  if (n.rank() > 8 || !is_constant(n.shape()) || !product(n.shape()).is(1)) return {};
  std::vector<double> v;
  for (const Node& in : n->inputs) {
    const auto x = match::scalar(in);
    if (!x) return {};
    v.push_back(*x);
  }
  std::optional<double> y;
  if (is(n, "cast") && is_readable(n.dtype()) && is_floating(n.dtype()) && is_floating(n.input(0).dtype())) y = v[0];
  if (rounds_once(n.dtype())) {
    // In double and then rounded: for these, the same as computed in float32.
    if (is(n, "add")) y = v[0] + v[1];
    if (is(n, "subtract")) y = v[0] - v[1];
    if (is(n, "multiply")) y = v[0] * v[1];
    if (is(n, "divide")) y = v[0] / v[1];
    if (is(n, "sqrt")) y = std::sqrt(v[0]);
    if (is(n, "negative")) y = -v[0];
    if (is(n, "reciprocal")) y = 1 / v[0];
  }
  // Denormals are for the kernels, which flush them.
  if (!y || !(std::abs(*y) > 1e-30 && std::abs(*y) < 1e30)) return {};
  Array value(n.dtype(), std::vector<int64_t>(n.shape().size(), 1));
  write_element(value, 0, *y);
  return constant_node(std::move(value));
}

// A cheaper node of the same value, or an empty one.
Node cheaper(const Node& n) {
  const auto inner = [](const Node& a) { return a.input(0); };
  if (is(n, "power") && is_floating(n.dtype())) {
    if (is_scalar(n.input(1), 2)) return unary("square", n.input(0));
    if (is_scalar(n.input(1), -1)) return unary("reciprocal", n.input(0));
  }
  if (is(n, "multiply"))
    if (auto x = match::other_operand(n, [](const Node& a) { return is_scalar(a, -1); })) return -*x;
  if (is(n, "divide") && is_floating(n.dtype())) {
    if (is_scalar(n.input(1), -1)) return -n.input(0);
    if (const auto factor = exact_reciprocal(n.input(1))) return n.input(0) * *factor;
    if (is_scalar(n.input(0), 1) && is(n.input(1), "sqrt") && rounds_once(n.dtype()))
      return unary("rsqrt", inner(n.input(1)));
  }
  if (is(n, "reciprocal") && is(n.input(0), "sqrt") && rounds_once(n.dtype())) return unary("rsqrt", inner(n.input(0)));
  if (is(n, "add"))
    for (int i = 1; i >= 0; --i)
      if (is(n.input(i), "negative")) return n.input(1 - i) - inner(n.input(i));
  if (is(n, "subtract") && is(n.input(1), "negative")) return n.input(0) + inner(n.input(1));
  if ((is(n, "square") || is(n, "absolute")) && is(n.input(0), "negative"))
    return unary(n->op->name().c_str(), inner(n.input(0)));
  return {};
}

}  // namespace

Graph simplify_arithmetic(const Graph& graph) {
  return passes::rewrite(graph, [](const Node& old, const Nodes& inputs) -> Nodes {
    if (old->op->elementwise_fn() < 0) return {};
    bool same = true, changed = false;
    for (size_t i = 0; i < inputs.size(); ++i) same = same && inputs[i] == old->inputs[i];
    Node n = same ? old : apply(old->op, inputs);
    for (int turn = 0; turn < 4 && n->op; ++turn) {
      Node next;
      for (auto rule : {unchanged, folded, cheaper}) {
        next = rule(n);
        // Broadcasting or promotion may have made something else of it.
        if (next && next.shape() == n.shape() && next.dtype() == n.dtype()) break;
        next = Node();
      }
      if (!next) break;
      n = next;
      changed = true;
      if (!n->op || n->op->elementwise_fn() < 0) break;
    }
    return changed ? Nodes{n} : Nodes{};
  });
}

}  // namespace maas
