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
using match::Pair;
using match::param;

struct Found {
  Node q, k, v, bias;
  bool keys_transposed = false;  // k is (..., D, T)
  double scale = 1;
};

bool is_product(const Node& n) { return is(n, "matmul") && !param<bool>(n, "transpose_a"); }

// Reads the scores upwards: bias, then scale, then the product.
bool read_scores(Pair s, const passes::Users& users, Found& f) {
  for (int depth = 0; depth < 4; ++depth) {
    const Node& n = s.old;
    if (!only_here(n, users) || !s.same_op()) return false;
    if (is_product(n)) {
      f.q = s.fresh.input(0);
      f.k = s.fresh.input(1);
      f.keys_transposed = !param<bool>(n, "transpose_b");
      return true;
    }
    int operand;
    if (is(n, "multiply") || is(n, "divide")) {
      const bool divide = is(n, "divide");
      operand = !divide && match::scalar(n.input(0)) ? 1 : 0;
      const auto factor = match::scalar(n.input(1 - operand));
      if (!factor || *factor == 0) return false;
      f.scale *= divide ? 1 / *factor : *factor;
    } else if (is(n, "add") && !f.bias && f.scale == 1) {  // a bias under a scale is another function
      auto leads_up = [&](const Node& a) {
        return a.shape() == n.shape() && only_here(a, users) && (is_product(a) || is(a, "multiply") || is(a, "divide"));
      };
      operand = leads_up(n.input(0)) ? 0 : 1;
      if (!leads_up(n.input(operand))) return false;
      f.bias = s.fresh.input(1 - operand);
    } else {
      return false;
    }
    if (!(n.input(operand).shape() == n.shape())) return false;
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
  return !f.bias || (rank == 4 && f.bias.dtype() == y.dtype() && f.bias.rank() >= 1);
}

}  // namespace

Graph recognize_attention(const Graph& graph) {
  const passes::Users users(graph);
  return passes::rewrite(graph, [&](const Node& old, const Nodes& inputs) -> Nodes {
    if (!is_product(old) || param<bool>(old, "transpose_b")) return {};
    const Pair weights{old.input(0), inputs[0]};
    if (!is(weights.old, "softmax") || !only_here(weights.old, users) || !weights.same_op()) return {};
    const auto axis = param<int64_t>(weights.old, "axis");
    if (param<bool>(weights.old, "log") || (axis != -1 && axis != weights.old.rank() - 1)) return {};
    Found f;
    f.v = inputs[1];
    if (!read_scores(weights.input(0), users, f) || !fits(old, f) || !(f.scale > 0)) return {};
    Attention op;
    op.scale = f.scale;
    op.heads_first = true;
    op.biased = static_cast<bool>(f.bias);
    Nodes operands{four_axes(f.q), four_axes(f.keys_transposed ? swap_last(f.k) : f.k), four_axes(f.v)};
    if (f.bias) operands.push_back(four_axes_in_front(f.bias));
    const Node y = apply(op, std::move(operands));
    return {old.rank() == 4 ? y : reshape(y, old.shape())};
  });
}

}  // namespace maas
