// Models that spell layer normalization out get the fused op: (x - mean) / sqrt(variance + epsilon) over the last axes,
// in any of the usual ways to write it. Only where nobody else reads what lies between, so in inference. A scale and an
// offset that follow stay as they are: they fuse into a chain.
#include "core/error.h"
#include "graph/op_model.h"
#include "ops/match.h"
#include "ops/norm/layer_norm.h"

namespace maas {
namespace {

using match::is;
using match::only_here;
using match::Pair;

// The last axes of x, if the node is the mean of `of` over them.
std::optional<std::vector<int64_t>> mean_axes(const Node& n, const Node& of) {
  if (!is(n, "mean") || !(n.input(0) == of) || !match::param<bool>(n, "keepdims")) return {};
  auto axes = normalize_axes("mean", match::param<std::vector<int64_t>>(n, "axis"), of.shape());
  for (size_t i = 0; i < axes.size(); ++i)
    if (axes[i] != of.rank() - static_cast<int64_t>(axes.size() - i)) return {};
  if (axes.empty()) return {};
  return axes;
}

// Whether the node is d * d.
bool is_square(const Node& n, const Node& d) {
  if (is(n, "square")) return n.input(0) == d;
  if (is(n, "multiply")) return n.input(0) == d && n.input(1) == d;
  return is(n, "power") && n.input(0) == d && match::is_scalar(n.input(1), 2);
}

// variance + epsilon of d = x - mean(x), read upwards; the axes must be those of the mean.
std::optional<double> read_variance(const Node& n, const Node& d, const std::vector<int64_t>& axes,
                                    const passes::Users& users) {
  if (!is(n, "add") || !only_here(n, users)) return {};
  for (int i = 0; i < 2; ++i) {
    const Node& mean = n.input(i);
    const auto epsilon = match::scalar(n.input(1 - i));
    if (!epsilon || *epsilon < 0 || !is(mean, "mean") || !only_here(mean, users)) continue;
    const Node& squares = mean.input(0);
    if (!only_here(squares, users) || !is_square(squares, d)) continue;
    if (mean_axes(mean, squares) == axes) return epsilon;
  }
  return {};
}

struct Found {
  std::vector<int64_t> axes;
  double epsilon = 0;
};

// d times 1 / sqrt(...) or over sqrt(...); `deviation` is that operand.
bool read(const Node& d, const Node& deviation, bool divided, const passes::Users& users, Found& f) {
  if (!is(d, "subtract") || !only_here(deviation, users) || !is(deviation, divided ? "sqrt" : "rsqrt")) return false;
  const auto axes = mean_axes(d.input(1), d.input(0));
  if (!axes || !only_here(d.input(1), users) || !(d.shape() == d.input(0).shape())) return false;
  const auto epsilon = read_variance(deviation.input(0), d, *axes, users);
  if (!epsilon) return false;
  const Node& squares = deviation.input(0).input(is(deviation.input(0).input(0), "mean") ? 0 : 1).input(0);
  // d is read here and by the square, and by nobody else.
  if (users.is_root(d) || users.count(d) != 1 + (is(squares, "multiply") ? 2 : 1)) return false;
  f.axes = *axes;
  f.epsilon = *epsilon;
  return true;
}

}  // namespace

Graph recognize_layer_norm(const Graph& graph) {
  const passes::Users users(graph);
  return passes::rewrite(graph, [&](const Node& old, const Nodes& inputs) -> Nodes {
    const bool divided = is(old, "divide");
    if (!divided && !is(old, "multiply")) return {};
    for (int i = 0; i < (divided ? 1 : 2); ++i) {
      Found f;
      const Pair d{old.input(i), inputs[static_cast<size_t>(i)]};
      if (!(old.shape() == d.old.shape()) || !is_floating(old.dtype())) continue;
      if (!read(d.old, old.input(1 - i), divided, users, f) || !d.same_op()) continue;
      LayerNorm op;
      op.axis = f.axes;
      op.epsilon = f.epsilon;
      op.scale = op.center = false;
      return {apply(op, {d.fresh.input(0)})};
    }
    return {};
  });
}

}  // namespace maas
