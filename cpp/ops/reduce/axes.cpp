// Reductions over axes in another order. A sum of several axes may add its terms in another order then.
#include <algorithm>

#include "graph/passes/layout.h"
#include "ops/match.h"

namespace maas {

using passes::Axes;
using passes::Reordered;

std::optional<Reordered> reduction_axes(const Node& y, const Axes& p) {
  const Shape& x = y.input(0).shape();
  const auto axes = normalize_axes(y->op->name().c_str(), match::param<std::vector<int64_t>>(y, "axis"), x);
  Axes now;
  std::vector<bool> gone(p.size());
  for (int64_t a : axes) {
    now.push_back(p[static_cast<size_t>(a)]);
    gone[static_cast<size_t>(now.back())] = true;
  }
  std::sort(now.begin(), now.end());
  Reordered r{match::changed(y, {{"axis", now}}), {p}, p};
  if (match::param<bool>(y, "keepdims")) return r;
  // What is left keeps its order in both.
  r.output.clear();
  for (int64_t a : p)
    if (!gone[static_cast<size_t>(a)])
      r.output.push_back(a - std::count(gone.begin(), gone.begin() + static_cast<std::ptrdiff_t>(a), true));
  return r;
}

}  // namespace maas
