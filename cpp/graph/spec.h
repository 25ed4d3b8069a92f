#pragma once
#include <optional>
#include <string>
#include <vector>

#include "core/dim.h"
#include "core/dtype.h"

namespace maas {

// What is known of a value before it runs. `value` carries the elements of small integer tensors that describe sizes.
struct Spec {
  DType dtype = DType::f32;
  Shape shape;
  std::optional<std::vector<Dim>> value;

  int64_t rank() const { return static_cast<int64_t>(shape.size()); }
};
using Specs = std::vector<Spec>;
using Inputs = Specs;

// Where a value's elements lie inside its buffer, in elements. Plain values are row-major with offset 0.
struct Layout {
  Shape strides;
  Dim offset = 0;
};
Layout row_major(const Shape& shape);
bool is_row_major(const Layout& layout, const Shape& shape);

// Turns axis in [-rank, rank) into [0, rank); ValueError naming `op` otherwise.
int64_t normalize_axis(const char* op, int64_t axis, const Shape& shape);
// The axes sorted and checked for repeats; all axes if the list is empty.
std::vector<int64_t> normalize_axes(const char* op, const std::vector<int64_t>& axes, const Shape& shape);
// NumPy broadcasting; ValueError naming `op` and both shapes. Unknown sizes must be the same or meet a 1.
Shape broadcast(const char* op, const Shape& a, const Shape& b);

}  // namespace maas
