// A softmax that a model spells out gets the op: e / sum(e) with e = exp(x) or exp(x - max(x)) along one axis. exp(x)
// alone overflows where the op does not, which only makes numbers of what was NaN.
#include "ops/build.h"
#include "ops/match.h"

namespace maas {
namespace {

using match::is;
using match::only_here;

// The one axis along which n is the `fold` of x, sizes kept; -1 if it is not.
int64_t folded_axis(const Node& n, const char* fold, const Node& x) {
  if (!is(n, fold) || !(n.input(0) == x) || !match::param<bool>(n, "keepdims")) return -1;
  const auto axes = normalize_axes(fold, match::param<std::vector<int64_t>>(n, "axis"), x.shape());
  return axes.size() == 1 ? axes[0] : -1;
}

}  // namespace

Graph recognize_softmax(const Graph& graph) {
  if (!match::has(graph, {"exp"})) return graph;
  const passes::Users users(graph);
  return match::rewrite(graph, [&](const Node& old, const auto& renew) -> Nodes {
    if (!is(old, "divide") || !is_floating(old.dtype())) return {};
    const Node &e = old.input(0), &total = old.input(1);
    const int64_t axis = folded_axis(total, "sum", e);
    if (axis < 0 || !is(e, "exp") || !only_here(total, users) || users.is_root(e) || users.count(e) != 2) return {};
    Node x = e.input(0);
    if (is(x, "subtract") && only_here(x, users)) {
      Node top = x.input(1);
      if (is(top, "stop_gradient")) top = top.input(0);
      if (folded_axis(top, "max", x.input(0)) == axis) x = x.input(0);
    }
    return {op("softmax", {renew(x)}, {{"axis", axis}})};
  });
}

}  // namespace maas
