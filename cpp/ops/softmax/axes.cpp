#include "graph/passes/layout.h"
#include "ops/match.h"

namespace maas {

std::optional<passes::Reordered> softmax_axes(const Node& y, const passes::Axes& p) {
  const auto axis = normalize_axis("softmax", match::param<int64_t>(y, "axis"), y.shape());
  return passes::Reordered{match::changed(y, {{"axis", p[static_cast<size_t>(axis)]}}), {p}, p};
}

}  // namespace maas
