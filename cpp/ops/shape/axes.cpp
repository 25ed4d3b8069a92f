// What the layout pass knows of ops that move elements.
#include "ops/shape/axes.h"

#include <algorithm>

#include "core/error.h"
#include "graph/passes/layout.h"
#include "ops/build.h"
#include "ops/match.h"

namespace maas {

using match::changed;
using match::param;
using passes::Axes;
using passes::Reordered;

std::optional<std::vector<int64_t>> transposed_axes(const Node& n) {
  if (!match::is(n, "transpose")) return {};
  auto axes = param<std::vector<int64_t>>(n, "axes");
  for (int64_t& a : axes) a = normalize_axis("transpose", a, n.shape());
  for (int64_t i = axes.empty() ? n.rank() : 0; i-- > 0;) axes.push_back(i);
  return axes;
}

bool moves_ones_only(const std::vector<int64_t>& axes, const Shape& shape) {
  int64_t last = -1;
  for (int64_t a : axes) {
    if (shape[static_cast<size_t>(a)].is(1)) continue;
    if (a < last) return false;
    last = a;
  }
  return true;
}

std::optional<Axes> passes::order_of(const Node& n) { return transposed_axes(n); }

Node passes::in_order(const Node& x, const Axes& axes) {
  Shape shape;
  for (int64_t a : axes) shape.push_back(x.shape()[static_cast<size_t>(a)]);
  return moves_ones_only(axes, x.shape()) ? reshape(x, shape) : transpose(x, axes);
}

namespace {

// One entry an axis, put where the axes are now.
template <class T>
T moved(const T& entries, const Axes& p) {
  T out(entries.size());
  for (size_t i = 0; i < p.size(); ++i) out[static_cast<size_t>(p[i])] = entries[i];
  return out;
}

}  // namespace

std::optional<Reordered> pad_axes(const Node& y, const Axes& p) {
  return Reordered{
      changed(y, {{"before", moved(param<Shape>(y, "before"), p)}, {"after", moved(param<Shape>(y, "after"), p)}}),
      {p},
      p};
}

std::optional<Reordered> slice_axes(const Node& y, const Axes& p) {
  return Reordered{changed(y, {{"begin", moved(param<Shape>(y, "begin"), p)},
                               {"end", moved(param<Shape>(y, "end"), p)},
                               {"step", moved(param<std::vector<int64_t>>(y, "step"), p)}}),
                   {p},
                   p};
}

std::optional<Reordered> flip_axes(const Node& y, const Axes& p) {
  auto axes = normalize_axes("flip", param<std::vector<int64_t>>(y, "axis"), y.shape());
  for (int64_t& a : axes) a = p[static_cast<size_t>(a)];
  return Reordered{changed(y, {{"axis", axes}}), {p}, p};
}

std::optional<Reordered> concatenate_axes(const Node& y, const Axes& p) {
  const auto axis = normalize_axis("concatenate", param<int64_t>(y, "axis"), y.shape());
  return Reordered{changed(y, {{"axis", p[static_cast<size_t>(axis)]}}), std::vector<Axes>(y->inputs.size(), p), p};
}

std::optional<Reordered> broadcast_axes(const Node& y, const Axes& p) {
  if (y.input(0).rank() != y.rank()) return {};
  return Reordered{changed(y, {{"shape", moved(y.shape(), p)}}), {p}, p};
}

}  // namespace maas
