#pragma once
// Sliding windows over the two spatial axes of NHWC images: the options convolution and pooling share, their checks,
// and the sizes they give. Output o reads sources o * stride - begin + k * dilation, k = 0 .. kernel - 1.
#include <string>
#include <vector>

#include "core/dim.h"
#include "graph/bind.h"

namespace maas {

struct Window {
  std::vector<int64_t> kernel{1, 1}, strides{1, 1}, dilation{1, 1};
  std::string padding = "valid";  // "valid", "same" (as Keras: the odd one at the end) or "explicit"
  std::vector<int64_t> pads;      // of "explicit": top, bottom, left, right

  void check(const char* op) const;
  // Spatial sizes of the output for an NHWC input shape. ValueError where the window does not fit.
  Shape output(const char* op, const Shape& x) const;
  // Zeros before the first source along an axis (0: height, 1: width).
  int64_t begin(int axis, int64_t in, int64_t out) const;
  // Sources that a window spans.
  int64_t extent(int axis) const { return (kernel[size_t(axis)] - 1) * dilation[size_t(axis)] + 1; }
};

}  // namespace maas
