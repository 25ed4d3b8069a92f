// Models that spell a normalization out get the fused op: (x - mean) / sqrt(variance + epsilon) over the last axes, and
// x / sqrt(mean of squares + epsilon), in any of the usual ways to write them. Only where nobody else reads what lies
// between. A scale and an offset that follow stay as they are: they fuse into a chain.
#include "core/error.h"
#include "graph/op_model.h"
#include "ops/build.h"
#include "ops/match.h"
#include "ops/norm/layer_norm.h"

namespace maas {
namespace {

using match::is;
using match::only_here;
using match::Product;
using Axes = std::vector<int64_t>;

// The last axes of `of`, if n is the mean of it over them, as a mean or as a sum over their number.
std::optional<Axes> mean_axes(const Node& n, const Node& of, const passes::Users& users) {
  Node fold = n;
  double scale = 1;
  if (!is(n, "mean")) {
    const Product p(n, users);
    if (p.factors.size() != 1 || !p.divisors.empty() || !is(p.factors[0], "sum")) return {};
    fold = p.factors[0];
    scale = p.scale;
    if (!only_here(fold, users)) return {};
  }
  if (!(fold.input(0) == of) || !match::param<bool>(fold, "keepdims")) return {};
  auto axes = normalize_axes("mean", match::param<Axes>(fold, "axis"), of.shape());
  Dim count(1);
  for (size_t i = 0; i < axes.size(); ++i) {
    if (axes[i] != of.rank() - static_cast<int64_t>(axes.size() - i)) return {};
    count = count * of.shape()[static_cast<size_t>(axes[i])];
  }
  if (axes.empty()) return {};
  if (is(fold, "sum") &&
      (!count.is_constant() || !match::near(scale * static_cast<double>(count.constant()), 1, n.dtype())))
    return {};
  return axes;
}

// d, if n = d^2.
Node square_root(const Node& n) {
  if (is(n, "square")) return n.input(0);
  if (is(n, "multiply") && n.input(0) == n.input(1)) return n.input(0);
  return is(n, "power") && match::is_scalar(n.input(1), 2) ? n.input(0) : Node();
}

// n = mean(squared^2) + epsilon, read upwards.
struct Variance {
  Node squared;
  Axes axes;
  double epsilon = 0;
};
std::optional<Variance> read_variance(const Node& n, const passes::Users& users) {
  if (!is(n, "add") || !only_here(n, users)) return {};
  for (int i = 0; i < 2; ++i) {
    const Node& mean = n.input(i);
    const auto epsilon = match::scalar(n.input(1 - i));
    if (!epsilon || *epsilon < 0 || !only_here(mean, users)) continue;
    Node squares = mean;
    while (squares->op && !square_root(squares) && squares->inputs.size() <= 2) {
      const bool scaled = squares->inputs.size() == 2 && match::scalar(squares.input(0));
      squares = squares.input(scaled ? 1 : 0);
    }
    if (!squares->op || !only_here(squares, users)) continue;
    const Node d = square_root(squares);
    if (!d) continue;
    if (const auto axes = mean_axes(mean, squares, users)) return Variance{d, *axes, *epsilon};
  }
  return {};
}

// The operand of 1 / sqrt; over: n is a factor, else a divisor.
Node deviation_of(const Node& n, bool over, const passes::Users& users) {
  if (!only_here(n, users)) return {};
  if (is(n, over ? "rsqrt" : "sqrt")) return n.input(0);
  if (over && is(n, "reciprocal") && is(n.input(0), "sqrt") && only_here(n.input(0), users)) return n.input(0).input(0);
  if (is(n, "power") && match::is_scalar(n.input(1), over ? -0.5 : 0.5)) return n.input(0);
  return {};
}

// x, if d = x - mean(x) over these axes.
Node centered(const Node& d, const Axes& axes, const passes::Users& users) {
  if (!is(d, "subtract") || !(d.shape() == d.input(0).shape())) return {};
  return mean_axes(d.input(1), d.input(0), users) == axes ? d.input(0) : Node();
}

struct Found {
  Node x;
  LayerNorm op;
  Nodes factors;  // what else the product has
  double scale = 1;
};

std::optional<Found> read(const Node& n, const passes::Users& users) {
  Product p(n, users);
  Variance v;
  auto is_deviation = [&](bool over) {
    return [&, over](const Node& f) {
      const Node sum = deviation_of(f, over, users);
      const auto found = sum ? read_variance(sum, users) : std::nullopt;
      if (found) v = *found;
      return found.has_value();
    };
  };
  if (!Product::take(p.divisors, is_deviation(false)) && !Product::take(p.factors, is_deviation(true))) return {};
  if (!p.divisors.empty()) return {};
  Found f;
  f.op.axis = v.axes;
  f.op.epsilon = v.epsilon;
  f.op.scale = f.op.center = false;
  const Node& squared = v.squared;
  // The variance may be taken of values that were centered twice.
  const Node once = centered(squared, v.axes, users), twice = once ? centered(once, v.axes, users) : Node();
  for (const Node& d : {twice ? once : squared, squared}) {
    const Node x = centered(d, v.axes, users);
    if (!Product::take(p.factors, [&](const Node& g) { return g == d; })) continue;
    f.x = x ? x : d;
    f.op.subtract_mean = static_cast<bool>(x);
    break;
  }
  if (!f.x || !(f.x.shape() == n.shape())) return {};
  f.factors = std::move(p.factors);
  f.scale = p.scale;
  return f;
}

}  // namespace

Graph recognize_norm(const Graph& graph) {
  if (!match::has(graph, {"mean", "sum"})) return graph;
  const passes::Users users(graph);
  return match::rewrite(graph, [&](const Node& old, const auto& renew) -> Nodes {
    if ((!is(old, "divide") && !is(old, "multiply")) || !is_floating(old.dtype())) return {};
    auto f = read(old, users);
    if (!f) return {};
    // The smallest product that has it all is where it is made.
    for (const Node& part : old->inputs)
      if ((is(part, "multiply") || is(part, "divide")) && only_here(part, users) && read(part, users)) return {};
    Node y = apply(f->op, {renew(f->x)});
    for (const Node& factor : f->factors) y = y * renew(factor);
    if (f->scale != 1) y = y * f->scale;
    return {y};
  });
}

}  // namespace maas
