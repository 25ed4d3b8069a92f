#pragma once
// y[r][c] = exp(x[r][c] - m[r]) / sum_c exp(x[r][c] - m[r]),  m[r] = max_c x[r][c];  with log: y = x - m - log(sum).
// x, y: rows x cols, last axis contiguous, float32 or float64 as the row says; y may be x. cols >= 1.
// The sum runs in 16 virtual lanes and one tree on every ISA. A NaN in a row makes that row NaN. One unit = one row of
// y.
#include <cstdint>

#include "core/exec.h"

namespace maas {

struct SoftmaxArgs {
  const void* x;
  void* y;
  int64_t rows, cols, ldx, ldy;
  bool log;
};

// dx[r][c] = y[r][c] * (dy[r][c] - sum_c y[r][c] * dy[r][c]);  with log: dx = dy - exp(y) * sum_c dy.
// y, dy, dx: rows x cols, dense; dx may be y or dy. cols >= 1. One unit = one row.
struct SoftmaxGradientArgs {
  const void* y;
  const void* dy;
  void* dx;
  int64_t rows, cols;
  bool log;
};

}  // namespace maas
