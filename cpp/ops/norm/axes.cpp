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

}  // namespace maas
