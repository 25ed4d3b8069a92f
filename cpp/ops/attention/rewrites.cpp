// Models that spell attention out get the fused op: softmax(q k^T * scale + bias) v, in any of the usual ways to write
// it. Only where nobody else reads the scores or the weights, so in inference.
#include "core/error.h"
#include "graph/op_model.h"
#include "ops/attention/attention.h"
#include "ops/build.h"
#include "ops/match.h"

namespace maas {
namespace {

using match::is;
using match::only_here;
using match::param;
using match::Product;

struct Found {
  Node q, k, v, bias, mask;
  bool keys_transposed = false;  // k is (..., D, T)
  double scale = 1;
};

bool is_product(const Node& n) { return is(n, "matmul") && !param<bool>(n, "transpose_a"); }

// What is multiplied by one number, which joins the scale.
Node unscaled(const Node& n, const passes::Users& users, double& scale) {
  if (!only_here(n, users) || (!is(n, "multiply") && !is(n, "divide"))) return n;
  const Product p(n, users);
  if (p.factors.size() != 1 || !p.divisors.empty() || !(p.factors[0].shape() == n.shape())) return n;
  scale *= p.scale;
  return p.factors[0];
}

// A number that stands for minus infinity: its weight is 0 beside any score.
bool is_masking(const Node& n) {
  const auto v = match::scalar(n);
  return v && *v <= (n.dtype() == DType::f16 ? -3e4 : -1e9);
}

// Reads the scores upwards: mask, then bias, then scale, then the product.
bool read_scores(Node s, const passes::Users& users, Found& f) {
  for (int depth = 0; depth < 6; ++depth) {
    if (!only_here(s, users)) return false;
    if (is_product(s)) {
      f.q = unscaled(s.input(0), users, f.scale);
      f.k = unscaled(s.input(1), users, f.scale);
      f.keys_transposed = !param<bool>(s, "transpose_b");
      return true;
    }
    int operand = 0;
    if (is(s, "multiply") || is(s, "divide")) {
      const bool divide = is(s, "divide");
      operand = !divide && match::scalar(s.input(0)) ? 1 : 0;
      const auto factor = match::scalar(s.input(1 - operand));
      if (!factor || *factor == 0) return false;
      f.scale *= divide ? 1 / *factor : *factor;
    } else if (is(s, "add") && !f.bias && f.scale == 1) {  // a bias under a scale is another function
      auto leads_up = [&](const Node& a) {
        return a.shape() == s.shape() && only_here(a, users) && (is_product(a) || is(a, "multiply") || is(a, "divide"));
      };
      operand = leads_up(s.input(0)) ? 0 : 1;
      if (!leads_up(s.input(operand))) return false;
      f.bias = s.input(1 - operand);
    } else if (is(s, "where") && !f.mask && !f.bias && f.scale == 1 && is_masking(s.input(2))) {
      operand = 1;
      f.mask = s.input(0);
    } else {
      return false;
    }
    if (!(s.input(operand).shape() == s.shape())) return false;
    s = s.input(operand);
  }
  return false;
}

// (..., S, D) as (B, H, S, D).
Node four_axes(const Node& x) {
  Shape shape = x.shape();
  while (shape.size() < 4) shape.insert(shape.begin() + static_cast<std::ptrdiff_t>(shape.size() - 2), Dim(1));
  return shape.size() == x.shape().size() ? x : reshape(x, shape);
}
Node four_axes_in_front(const Node& x) {
  Shape shape = x.shape();
  while (shape.size() < 4) shape.insert(shape.begin(), Dim(1));
  return shape.size() == x.shape().size() ? x : reshape(x, shape);
}

bool fits(const Node& y, const Found& f) {
  const int64_t rank = y.rank();
  if (rank != 3 && rank != 4) return false;
  const Shape &q = f.q.shape(), &k = f.k.shape(), &v = f.v.shape();
  if (f.q.rank() != rank || f.k.rank() != rank || f.v.rank() != rank) return false;
  if (!is_floating(y.dtype()) || f.q.dtype() != y.dtype() || f.k.dtype() != y.dtype() || f.v.dtype() != y.dtype())
    return false;
  for (size_t i = 0; i + 2 < q.size(); ++i)
    if (!(q[i] == k[i]) || !(q[i] == v[i])) return false;
  // Heads of three axes would be the batch's, and so would a bias.
  return (!f.bias || (rank == 4 && f.bias.dtype() == y.dtype() && f.bias.rank() >= 1)) &&
         (!f.mask || (rank == 4 && f.mask.rank() >= 1));
}

}  // namespace

Graph recognize_attention(const Graph& graph) {
  if (!match::has(graph, {"softmax"})) return graph;
  const passes::Users users(graph);
  return match::rewrite(graph, [&](const Node& old, const auto& renew) -> Nodes {
    if (!is_product(old) || param<bool>(old, "transpose_b")) return {};
    const Node& weights = old.input(0);
    if (!is(weights, "softmax") || !only_here(weights, users)) return {};
    const auto axis = param<int64_t>(weights, "axis");
    if (param<bool>(weights, "log") || (axis != -1 && axis != weights.rank() - 1)) return {};
    Found f;
    f.v = old.input(1);
    if (!read_scores(weights.input(0), users, f) || !fits(old, f) || !(f.scale > 0)) return {};
    Attention op;
    op.scale = f.scale;
    op.heads_first = true;
    op.masked = static_cast<bool>(f.mask);
    op.biased = static_cast<bool>(f.bias);
    const Node k = renew(f.k);
    Nodes operands{four_axes(renew(f.q)), four_axes(f.keys_transposed ? swap_last(k) : k), four_axes(renew(f.v))};
    for (const Node& extra : {f.mask, f.bias})
      if (extra) operands.push_back(four_axes_in_front(renew(extra)));
    const Node y = apply(op, std::move(operands));
    return {old.rank() == 4 ? y : reshape(y, old.shape())};
  });
}

}  // namespace maas
