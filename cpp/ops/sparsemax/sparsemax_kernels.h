#pragma once
// y[r][c] = max(z - t, 0), z = x[r][c] - max_c x[r][c], with the t of each row that makes it sum to 1.
// t = (sum of the z > t, less 1) / their number. All z > -1 are tried first; each step drops those that are not above
// the t of the rest. t only rises, so it ends where nothing is dropped, and the largest, z = 0, never is.
//
// x, y: rows x cols, dense, float32 or float64 as the row says; y may be x. cols >= 1. The sums run in 16 virtual lanes
// and one tree on every ISA. A NaN or +inf in a row makes that row NaN. One unit = one row of y.
#include <cstdint>

#include "core/exec.h"

namespace maas {

struct SparsemaxArgs {
  const void* x;
  void* y;
  int64_t rows, cols;
};

}  // namespace maas
