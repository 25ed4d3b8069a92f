#include "graph/passes/layout.h"
#include "ops/match.h"

namespace maas {

std::optional<passes::Reordered> cumsum_axes(const Node& y, const passes::Axes& p) {
  const auto axis = normalize_axis("cumsum", match::param<int64_t>(y, "axis"), y.shape());
  return passes::Reordered{match::changed(y, {{"axis", p[static_cast<size_t>(axis)]}}), {p}, p};
}

}  // namespace maas
