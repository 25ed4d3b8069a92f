#include "graph/spec.h"

#include <algorithm>
#include <numeric>

#include "core/error.h"
#include "graph/broadcast.h"

namespace maas {

namespace {
thread_local std::vector<Guard>* open_guards = nullptr;

// Differs by a number, by at least one, or leaves a remainder: 6n is never 15.
bool known_to_differ(const Dim& a, const Dim& b) {
  const Dim difference = a - b;
  if (difference.is_constant()) return !difference.is(0);
  for (const Dim& d : {difference, b - a})
    if (const auto least = d.lower_bound(); least && *least > 0) return true;
  for (int64_t m = 2; m <= 64; ++m) {
    const Dim rest = difference - floordiv(difference, Dim(m)) * Dim(m);
    if (rest.is_constant() && !rest.is(0)) return true;
  }
  return false;
}
}  // namespace

GuardScope::GuardScope(std::vector<Guard>& guards) : outer_(open_guards) { open_guards = &guards; }
GuardScope::~GuardScope() { open_guards = outer_; }

bool agree(const Dim& a, const Dim& b, const char* op, const char* what) {
  if (a == b) return true;
  if (known_to_differ(a, b) || !open_guards) return false;
  Guard guard{a, b, text(op, ": ", what)};
  if (std::find(open_guards->begin(), open_guards->end(), guard) == open_guards->end())
    open_guards->push_back(std::move(guard));
  return true;
}

bool agree(const Shape& a, const Shape& b, const char* op, const char* what) {
  bool same = a.size() == b.size();
  for (size_t i = 0; i < a.size() && same; ++i) same = agree(a[i], b[i], op, what);
  return same;
}

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
    else if (at_most_one(y) && agree(y, Dim(1), op, "an axis that broadcasts must not be empty"))
      d = x;
    else if (at_most_one(x) && agree(x, Dim(1), op, "an axis that broadcasts must not be empty"))
      d = y;
    else if (agree(x, y, op, "sizes that meet must be equal"))
      d = x.is_constant() ? x : y.is_constant() ? y : x;
    else
      fail(ErrorKind::value, op, ": shapes do not broadcast, received ", to_string(a), " and ", to_string(b));
  }
  return out;
}

}  // namespace maas
