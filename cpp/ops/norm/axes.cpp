#include <algorithm>

#include "graph/passes/layout.h"
#include "ops/match.h"

namespace maas {

// Means and variances have one axis, whose order stays.
std::optional<passes::Reordered> batch_norm_axes(const Node& y, const passes::Axes& p) {
  const auto axis = normalize_axis("batch_norm_train", match::param<int64_t>(y, "axis"), y.shape());
  std::vector<passes::Axes> inputs(y->inputs.size());
  inputs[0] = p;
  return passes::Reordered{match::changed(y, {{"axis", p[static_cast<size_t>(axis)]}}), std::move(inputs), p};
}

// gamma and beta have x's sizes along the sorted axes, so these must come in the same order.
std::optional<passes::Reordered> layer_norm_axes(const Node& y, const passes::Axes& p) {
  const auto axes = normalize_axes("layer_norm", match::param<std::vector<int64_t>>(y, "axis"), y.shape());
  passes::Axes now;
  for (int64_t a : axes) now.push_back(p[static_cast<size_t>(a)]);
  if (!std::is_sorted(now.begin(), now.end())) return {};
  std::vector<passes::Axes> inputs(y->inputs.size());
  inputs[0] = p;
  const passes::Axes rest = passes::order_without(p, axes);
  return passes::Reordered{match::changed(y, {{"axis", now}}), std::move(inputs), p, {rest, rest}};
}

}  // namespace maas
