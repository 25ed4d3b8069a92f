// Moves that do nothing, or that two of became one: only data moves, so no bit changes. Views cost nothing by
// themselves, but what looks through fewer of them is copied less often and fuses more.
#include <numeric>

#include "core/error.h"
#include "ops/build.h"
#include "ops/match.h"
#include "ops/shape/axes.h"

namespace maas {
namespace {

using match::is;
using match::param;

// x[:] or a slice of a slice, both without gaps.
Node simpler_slice(const Node& n) {
  const auto begin = param<Shape>(n, "begin"), end = param<Shape>(n, "end");
  const auto step = param<std::vector<int64_t>>(n, "step");
  auto plain = [](const std::vector<int64_t>& s) {
    return std::all_of(s.begin(), s.end(), [](int64_t i) { return i == 1; });
  };
  if (!plain(step)) return {};
  const Node& x = n.input(0);
  bool whole = true;
  for (size_t i = 0; i < begin.size(); ++i) whole = whole && begin[i].is(0) && end[i] == x.shape()[i];
  if (whole) return x;
  if (!is(x, "slice") || !plain(param<std::vector<int64_t>>(x, "step"))) return {};
  const auto first = param<Shape>(x, "begin");
  Shape from, to;
  for (size_t i = 0; i < begin.size(); ++i) {
    from.push_back(first[i] + begin[i]);
    to.push_back(first[i] + end[i]);
  }
  return op("slice", {x.input(0)}, {{"begin", from}, {"end", to}, {"step", step}});
}

// Parts put together that were neighbours in one tensor.
Node joined_slices(const Node& n, size_t axis) {
  Node whole;
  Shape begin, end;
  for (const Node& part : n->inputs) {
    if (!is(part, "slice") || (whole && !(part.input(0) == whole))) return {};
    const auto from = param<Shape>(part, "begin"), to = param<Shape>(part, "end");
    for (int64_t s : param<std::vector<int64_t>>(part, "step"))
      if (s != 1) return {};
    if (!whole) {
      whole = part.input(0);
      begin = from;
      end = to;
      continue;
    }
    if (!(from[axis] == end[axis])) return {};
    for (size_t i = 0; i < from.size(); ++i)
      if (i != axis && (!(from[i] == begin[i]) || !(to[i] == end[i]))) return {};
    end[axis] = to[axis];
  }
  return op("slice", {whole}, {{"begin", begin}, {"end", end}, {"step", std::vector<int64_t>(begin.size(), 1)}});
}

Node simpler_concatenate(const Node& n) {
  if (n->inputs.size() == 1) return n.input(0);
  const auto axis = normalize_axis("concatenate", param<int64_t>(n, "axis"), n.shape());
  if (const Node joined = joined_slices(n, static_cast<size_t>(axis))) return joined;
  Nodes parts;
  for (const Node& part : n->inputs) {
    const bool nested =
        is(part, "concatenate") && normalize_axis("concatenate", param<int64_t>(part, "axis"), part.shape()) == axis;
    if (nested)
      parts.insert(parts.end(), part->inputs.begin(), part->inputs.end());
    else
      parts.push_back(part);
  }
  return parts.size() == n->inputs.size() ? Node() : concatenate(parts, axis);
}

// The order of x's axes after both.
std::vector<int64_t> after(const std::vector<int64_t>& first, const std::vector<int64_t>& then) {
  std::vector<int64_t> axes;
  for (int64_t a : then) axes.push_back(first[static_cast<size_t>(a)]);
  return axes;
}

Node simpler_transpose(const Node& n) {
  auto axes = *transposed_axes(n);
  Node x = n.input(0);
  if (const auto first = transposed_axes(x)) {
    axes = after(*first, axes);
    x = x.input(0);
  }
  if (moves_ones_only(axes, x.shape())) return reshape(x, n.shape());
  return x == n.input(0) ? Node() : transpose(x, axes);
}

bool is_nothing(const Node& pad) {
  for (const char* side : {"before", "after"})
    for (const Dim& d : param<Shape>(pad, side))
      if (!d.is(0)) return false;
  return true;
}

// max(max(x)) and the like: the order does not matter to them.
Node simpler_fold(const Node& n) {
  const Node& x = n.input(0);
  if (!is(x, n->op->name()) || !param<bool>(x, "keepdims")) return {};
  auto list = [](const Node& r) {
    return normalize_axes("reduce", param<std::vector<int64_t>>(r, "axis"), r.input(0).shape());
  };
  std::vector<int64_t> axes = list(x);
  for (int64_t a : list(n))
    if (std::find(axes.begin(), axes.end(), a) == axes.end()) axes.push_back(a);
  const Node y = op(n->op->name(), {x.input(0)}, {{"axis", axes}, {"keepdims", true}});
  return reshape(y, n.shape());
}

Node simpler(const Node& n) {
  const Node& x = n->inputs.empty() ? n : n.input(0);
  if (is(n, "reshape")) {
    if (n.shape() == x.shape()) return x;
    if (is(x, "reshape")) return reshape(x.input(0), n.shape());
  }
  if (is(n, "transpose")) return simpler_transpose(n);
  if (is(n, "broadcast_to")) {
    if (n.shape() == x.shape()) return x;
    if (is(x, "broadcast_to")) return broadcast_to(x.input(0), n.shape());
  }
  if (is(n, "slice")) return simpler_slice(n);
  if (is(n, "concatenate")) return simpler_concatenate(n);
  if (is(n, "pad") && is_nothing(n)) return x;
  if (is(n, "flip") && is(x, "flip") && n->op->equals(*x->op)) return x.input(0);
  for (const char* fold : {"max", "min", "any", "all"})
    if (is(n, fold)) return simpler_fold(n);
  return {};
}

}  // namespace

Graph simplify_shapes(const Graph& graph) {
  return passes::rewrite(graph, [](const Node& old, const Nodes& inputs) -> Nodes {
    if (old->outputs.size() != 1) return {};
    bool same = true, changed = false;
    for (size_t i = 0; i < inputs.size(); ++i) same = same && inputs[i] == old->inputs[i];
    Node n = same ? old : apply(old->op, inputs);
    for (int turn = 0; turn < 8 && n->op; ++turn) {
      const Node next = simpler(n);
      if (!next || !(next.shape() == n.shape()) || next.dtype() != n.dtype()) break;
      n = next;
      changed = true;
    }
    return changed ? Nodes{n} : Nodes{};
  });
}

}  // namespace maas
