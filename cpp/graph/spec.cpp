#include "graph/spec.h"

#include <algorithm>
#include <numeric>

#include "core/error.h"

namespace maas {

Layout row_major(const Shape& shape) {
  Layout layout;
  layout.strides.resize(shape.size());
  Dim stride(1);
  for (size_t i = shape.size(); i-- > 0;) {
    layout.strides[i] = stride;
    stride = stride * shape[i];
  }
  return layout;
}

bool is_row_major(const Layout& layout, const Shape& shape) {
  if (!layout.offset.is(0)) return false;
  Dim stride(1);
  for (size_t i = shape.size(); i-- > 0;) {
    if (!shape[i].is(1) && !(layout.strides[i] == stride)) return false;
    stride = stride * shape[i];
  }
  return true;
}

int64_t normalize_axis(const char* op, int64_t axis, const Shape& shape) {
  const auto rank = static_cast<int64_t>(shape.size());
  check(axis >= -rank && axis < rank, op, ": axis must be in [", -rank, ", ", rank, "), received axis=", axis,
        " for x of shape ", to_string(shape));
  return axis < 0 ? axis + rank : axis;
}

std::vector<int64_t> normalize_axes(const char* op, const std::vector<int64_t>& axes, const Shape& shape) {
  std::vector<int64_t> out;
  if (axes.empty()) {
    out.resize(shape.size());
    std::iota(out.begin(), out.end(), 0);
    return out;
  }
  for (int64_t a : axes) out.push_back(normalize_axis(op, a, shape));
  std::sort(out.begin(), out.end());
  check(std::adjacent_find(out.begin(), out.end()) == out.end(), op, ": an axis is named twice for x of shape ",
        to_string(shape), ", received axis=", to_string(to_shape(axes)));
  return out;
}

Shape broadcast(const char* op, const Shape& a, const Shape& b) {
  Shape out(std::max(a.size(), b.size()), Dim(1));
  for (size_t i = 0; i < out.size(); ++i) {
    const Dim x = i < a.size() ? a[a.size() - 1 - i] : Dim(1), y = i < b.size() ? b[b.size() - 1 - i] : Dim(1);
    Dim& d = out[out.size() - 1 - i];
    if (x == y || y.is(1))
      d = x;
    else if (x.is(1))
      d = y;
    else
      fail(ErrorKind::value, op, ": shapes do not broadcast, received ", to_string(a), " and ", to_string(b));
  }
  return out;
}

}  // namespace maas
