#include "ops/norm/common.h"

#include <algorithm>

namespace maas::norm {

Order::Order(const char* op, const std::vector<int64_t>& axis, const Shape& shape) {
  const auto axes = normalize_axes(op, axis, shape);
  count = axes.size();
  for (int64_t i = 0; i < static_cast<int64_t>(shape.size()); ++i)
    if (!std::count(axes.begin(), axes.end(), i)) forward.push_back(i);
  forward.insert(forward.end(), axes.begin(), axes.end());
  trailing = std::is_sorted(forward.begin(), forward.end());
  backward.resize(forward.size());
  for (size_t i = 0; i < forward.size(); ++i) backward[static_cast<size_t>(forward[i])] = static_cast<int64_t>(i);
}

std::vector<int64_t> Order::last_axes() const {
  std::vector<int64_t> axes;
  for (size_t i = count; i > 0; --i) axes.push_back(-static_cast<int64_t>(i));
  return axes;
}

}  // namespace maas::norm
