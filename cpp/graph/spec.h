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

// An equality of sizes that only a run can show. ValueError naming the op and both sizes where it does not hold.
struct Guard {
  Dim a, b;
  std::string text;  // "matmul: inner sizes must be equal"
  bool operator==(const Guard&) const = default;
};
// True if a and b are the same size. What cannot be told yet becomes a guard of the node that is being made, and counts
// as true; false if they always differ.
bool agree(const Dim& a, const Dim& b, const char* op, const char* what);
bool agree(const Shape& a, const Shape& b, const char* op, const char* what);
// Collects the guards of the node that is being made on this thread.
class GuardScope {
 public:
  explicit GuardScope(std::vector<Guard>& guards);
  ~GuardScope();
  GuardScope(const GuardScope&) = delete;

 private:
  std::vector<Guard>* outer_;
};

// Turns axis in [-rank, rank) into [0, rank); ValueError naming `op` otherwise.
int64_t normalize_axis(const char* op, int64_t axis, const Shape& shape);
// The axes sorted and checked for repeats; all axes if the list is empty.
std::vector<int64_t> normalize_axes(const char* op, const std::vector<int64_t>& axes, const Shape& shape);
// NumPy broadcasting; ValueError naming `op` and both shapes. Two sizes, neither of them known to be 1, must be the
// same: a guard where that cannot be told yet.
Shape broadcast(const char* op, const Shape& a, const Shape& b);

}  // namespace maas
