#pragma once
// take:             y[o][j][n] = x[o][indices[j]][n]                    x: outer x size x inner, y: outer x count x
// inner take_gradient:    dx[o][v][n] = sum over j, in order, of dy[o][j][n] where indices[j] == v take_along:
// y[o][j][n] = x[o][indices[o][j][n]][n]              indices of y's shape take_along_grad:  dx[o][v][n] = sum over j,
// in order, of dy[o][j][n] where indices[o][j][n] == v All dense. A negative index counts from the end. Every index
// value is safe: one outside [low, size) reads 0, is not written, and its flat position in the index tensor is
// reported. Sums run in the order of j in the dtype itself (bf16 and f16 in float32 rounded at each step), so that
// every row owner computes the same bits. Units: take: one (o, j). take_gradient: one row (o, v) of dx, whose owner
// reads all indices. take_along: one (o, j) row. take_along_grad: one o.
#include <cstdint>

#include "core/dtype.h"
#include "core/exec.h"

namespace maas {

struct GatherArgs {
  const void* x;  // dy for gradients
  const void* indices;
  void* y;  // dx for gradients
  DType dtype, index_dtype;
  int64_t bytes;  // of an element
  int64_t outer, size, inner;
  int64_t low;    // least index taken: -size, or 0 if none counts from the end
  int64_t count;  // of indices; along the axis for take_along
};

}  // namespace maas
