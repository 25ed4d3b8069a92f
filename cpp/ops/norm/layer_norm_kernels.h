#pragma once
// y[r][c] = (x[r][c] - mean[r]) * rstd[r] * gamma[c] + beta[c],  rstd[r] = 1 / sqrt(var[r] + epsilon), var about the
// mean, divided by cols. Without subtract_mean the mean is 0: RMS normalization. x, y: rows x cols, dense, float32 or
// float64 as the row says; y may be x. gamma, beta: cols or null; mean, rstd: rows or null. Sums run in 16 virtual
// lanes and one tree on every ISA. One unit = one row. On a GPU x and y may have 16 bits, with mean and rstd in float32
// and gamma and beta in any floating dtype.
#include <cstdint>

#include "core/dtype.h"
#include "core/exec.h"

namespace maas {

struct LayerNormArgs {
  const void* x;
  const void* gamma;
  const void* beta;
  void* y;
  void* mean;
  void* rstd;
  int64_t rows, cols;
  double epsilon;
  bool subtract_mean;
  DType gamma_type, beta_type;
};

// With h = (x - mean) rstd and g = dy gamma:  dx = rstd (g - avg_c(g) - h avg_c(g h)),  dgamma = sum_r dy h,  dbeta =
// sum_r dy. dgamma and dbeta may be null. Phase 0: one unit = one chunk of rows, which also sums its share of dgamma
// and dbeta into `partial` (chunks x 2 x cols). Phase 1: one unit = `columns` columns, the chunks added in order, in
// groups of `group`. On a GPU x, dy and dx may have 16 bits; dgamma, dbeta, mean and rstd are then float32.
struct LayerNormGradArgs {
  static constexpr int64_t chunk = 32, group = 64, columns = 64;
  const void* x;
  const void* gamma;  // or null
  const void* mean;
  const void* rstd;
  const void* dy;
  void* dx;
  void* dgamma;
  void* dbeta;
  void* partial;
  int64_t rows, cols;
  bool subtract_mean;  // without it avg_c(g) is not taken off
  DType gamma_type;
};

}  // namespace maas
