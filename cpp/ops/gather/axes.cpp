#include "graph/passes/layout.h"
#include "ops/match.h"

namespace maas {

std::optional<passes::Reordered> take_axes(const Node& y, const passes::Axes& p) {
  if (y.input(1).rank() != 1) return {};
  const auto axis = normalize_axis("take", match::param<int64_t>(y, "axis"), y.input(0).shape());
  return passes::Reordered{match::changed(y, {{"axis", p[static_cast<size_t>(axis)]}}), {p, {}}, p};
}

}  // namespace maas
