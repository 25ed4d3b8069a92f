#pragma once
// Sliding windows over the 1 to 3 spatial axes of (n, ..., c) images: the options convolution and pooling share, their
// checks, and the sizes they give. Output o reads sources o * stride - begin + k * dilation, k = 0 .. kernel - 1.
#include <string>
#include <utility>
#include <vector>

#include "core/dim.h"
#include "graph/bind.h"

namespace maas {

struct Window {
  std::vector<int64_t> kernel, strides, dilation;  // one per spatial axis; empty strides and dilation are ones
  std::string padding = "valid";                   // "valid", "same" (as Keras: the odd one at the end) or "explicit"
  std::vector<int64_t> pads;  // of "explicit": before and after, axis by axis; a negative one after cuts off

  size_t rank() const { return kernel.size(); }
  int64_t stride(size_t axis) const { return strides.empty() ? 1 : strides[axis]; }
  int64_t dilate(size_t axis) const { return dilation.empty() ? 1 : dilation[axis]; }

  // For an input of shape x, named by `what`: as many spatial axes as the window has.
  void check(const char* op, const char* what, const Shape& x) const;
  // Spatial sizes of the output for an input shape. ValueError where the window does not fit.
  Shape output(const char* op, const Shape& x) const;
  // Zeros before the first source along an axis.
  int64_t begin(size_t axis, int64_t in, int64_t out) const;
  // Sources that a window spans.
  int64_t extent(size_t axis) const { return (kernel[axis] - 1) * dilate(axis) + 1; }
};

// The parameters that ops over windows share; kernel sizes come from an operand or a parameter of their own.
struct WindowOptions {
  std::vector<int64_t> strides, dilation, pads;
  std::string padding = "valid";

  Window over(std::vector<int64_t> kernel) const { return {std::move(kernel), strides, dilation, padding, pads}; }
};
struct GroupedWindow : WindowOptions {
  int64_t groups = 1;
};

// (n, spatial sizes, channels), and the spatial sizes of a shape.
Shape image_shape(const Dim& n, const Shape& spatial, const Dim& channels);
Shape spatial_sizes(const Shape& image);

}  // namespace maas
