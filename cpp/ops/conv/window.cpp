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

// Products of two such numbers, and sums of a few, fit into 64 bits.
void check_small(const char* op, const std::vector<int64_t>& list) {
  constexpr int64_t kMost = 2147483647;
  const bool ok = std::all_of(list.begin(), list.end(), [&](int64_t v) { return v >= -kMost && v <= kMost; });
  maas::check(ok, op, ": a window's sizes, strides, dilation and pads must be below 2^31, received ",
              to_string(ParamValue(list)));
}

const char* axis_name(size_t rank, size_t axis) {
  static const char* const names[] = {"depth", "height", "width"};
  return rank == 1 ? "length" : names[axis + 3 - rank];
}

}  // namespace

void Window::check(const char* op, const char* what, const Shape& x) const {
  maas::check(x.size() >= 3 && x.size() <= 5, op, ": ", what,
              " must have three to five axes (batch, spatial sizes, channels), received ", to_string(x));
  check_list(op, "the window", kernel, x.size() - 2, 1);
  if (!strides.empty()) check_list(op, "strides", strides, rank(), 1);
  if (!dilation.empty()) check_list(op, "dilation", dilation, rank(), 1);
  for (const auto* list : {&kernel, &strides, &dilation, &pads}) check_small(op, *list);
  maas::check(padding == "valid" || padding == "same" || padding == "explicit", op,
              ": padding must be 'valid', 'same' or 'explicit', received '", padding, "'");
  if (padding != "explicit")
    return maas::check(pads.empty(), op, ": pads need padding='explicit', received padding='", padding, "'");
  bool ok = pads.size() == 2 * rank();
  for (size_t axis = 0; ok && axis < rank(); ++axis) ok = pads[2 * axis] >= 0;
  maas::check(ok, op, ": pads must hold ", 2 * rank(), " numbers, those before an axis >= 0, received ",
              to_string(ParamValue(pads)));
}

Shape Window::output(const char* op, const Shape& x) const {
  Shape sizes;
  for (size_t a = 0; a < rank(); ++a) {
    const Dim &in = x[a + 1], step(stride(a));
    if (padding == "same") {
      sizes.push_back(floordiv(in + step - Dim(1), step));
      continue;
    }
    const int64_t around = padding == "explicit" ? pads[2 * a] + pads[2 * a + 1] : 0;
    const Dim room = in + Dim(around - extent(a));
    maas::check(!room.is_constant() || room.constant() >= 0, op, ": a window of ", extent(a), " does not fit on the ",
                axis_name(rank(), a), " of the input, received ", to_string(x));
    sizes.push_back(floordiv(max(room, Dim(-1)) + step, step));
  }
  return sizes;
}

int64_t Window::begin(size_t axis, int64_t in, int64_t out) const {
  if (padding == "explicit") return pads[2 * axis];
  if (padding == "valid") return 0;
  return std::max<int64_t>((out - 1) * stride(axis) + extent(axis) - in, 0) / 2;
}

Shape image_shape(const Dim& n, const Shape& spatial, const Dim& channels) {
  Shape shape{n};
  shape.insert(shape.end(), spatial.begin(), spatial.end());
  shape.push_back(channels);
  return shape;
}

Shape spatial_sizes(const Shape& image) { return Shape(image.begin() + 1, image.end() - 1); }

}  // namespace maas
