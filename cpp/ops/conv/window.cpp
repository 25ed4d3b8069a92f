#include "ops/conv/window.h"

#include <algorithm>

#include "core/error.h"
#include "graph/params.h"

namespace maas {
namespace {

void check_list(const char* op, const char* what, const std::vector<int64_t>& list, size_t size, int64_t least) {
  const bool ok = list.size() == size && std::all_of(list.begin(), list.end(), [&](int64_t v) { return v >= least; });
  maas::check(ok, op, ": ", what, " must hold ", size, " numbers >= ", least, ", received ",
              to_string(ParamValue(list)));
}

}  // namespace

void Window::check(const char* op) const {
  check_list(op, "the window", kernel, 2, 1);
  check_list(op, "strides", strides, 2, 1);
  check_list(op, "dilation", dilation, 2, 1);
  maas::check(padding == "valid" || padding == "same" || padding == "explicit", op,
              ": padding must be 'valid', 'same' or 'explicit', received '", padding, "'");
  if (padding == "explicit")
    check_list(op, "pads", pads, 4, 0);
  else
    maas::check(pads.empty(), op, ": pads need padding='explicit', received padding='", padding, "'");
}

Shape Window::output(const char* op, const Shape& x) const {
  Shape sizes;
  for (int axis = 0; axis < 2; ++axis) {
    const size_t a = static_cast<size_t>(axis);
    const Dim& in = x[a + 1];
    if (padding == "same") {
      sizes.push_back(floordiv(in + Dim(strides[a] - 1), Dim(strides[a])));
      continue;
    }
    const int64_t around = padding == "explicit" ? pads[2 * a] + pads[2 * a + 1] : 0;
    const Dim room = in + Dim(around - extent(axis));
    maas::check(!room.is_constant() || room.constant() >= 0, op, ": a window of ", extent(axis),
                " does not fit on the ", axis == 0 ? "height" : "width", " of the input, received ", to_string(x));
    sizes.push_back(floordiv(max(room, Dim(-1)) + Dim(strides[a]), Dim(strides[a])));
  }
  return sizes;
}

int64_t Window::begin(int axis, int64_t in, int64_t out) const {
  const size_t a = static_cast<size_t>(axis);
  if (padding == "explicit") return pads[2 * a];
  if (padding == "valid") return 0;
  return std::max<int64_t>((out - 1) * strides[a] + extent(axis) - in, 0) / 2;
}

}  // namespace maas
