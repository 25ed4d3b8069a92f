#pragma once
// scatter: y = base, or the mode's neutral element; then for j in order: y[row(j)][n] = mode(y[row(j)][n], x[j][n])
// gather:  y[j][n] = x[row(j)][n]
// row(j) is the flat place of the `depth` indices at indices[j][:] in a grid of `sizes`. y: rows x inner, updates:
// count x inner, all dense; y may be base. An index in [low, 0) counts from the end where `wrap`. Every index value is
// safe: one out of range reads 0, is not written, and its flat position in the index tensor is reported. Sums run in
// the order of j in the dtype itself (bf16 and f16 in float32 rounded at each step); integers wrap. Units: scatter:
// 1024 columns of every row; gather: one j.
#include <cstdint>

#include "core/dtype.h"
#include "core/exec.h"

namespace maas {

enum class ScatterMode : uint8_t { set, add, multiply, max, min };

struct ScatterArgs {
  static constexpr int max_depth = 8;
  static constexpr int64_t columns = 1024;
  const void* x;  // updates; what gather reads
  const void* indices;
  const void* base;  // null: none
  void* y;
  DType dtype, index_dtype;
  ScatterMode mode;
  bool wrap;
  int depth;
  int64_t sizes[max_depth];
  int64_t bytes;  // of an element
  int64_t count, rows, inner;
};

}  // namespace maas
