// Reductions over axes in another order. A sum of several axes may add its terms in another order then.
#include <algorithm>

#include "graph/passes/layout.h"
#include "ops/match.h"

namespace maas {

std::optional<passes::Reordered> reduction_axes(const Node& y, const passes::Axes& p) {
  const Shape& x = y.input(0).shape();
  const auto axes = normalize_axes(y->op->name().c_str(), match::param<std::vector<int64_t>>(y, "axis"), x);
  passes::Axes now;
  for (int64_t a : axes) now.push_back(p[static_cast<size_t>(a)]);
  std::sort(now.begin(), now.end());
  const bool keep = match::param<bool>(y, "keepdims");
  return passes::Reordered{match::changed(y, {{"axis", now}}), {p}, keep ? p : passes::order_without(p, axes)};
}

}  // namespace maas
