#pragma once
// y[r][c] = (x[r][c] - mean[c]) * scale[c] + beta[c],  scale = gamma / sqrt(variance + epsilon); mean and variance
// (divided by rows) of the column. x, y: rows x cols, dense; gamma, beta: cols or null; mean, variance: cols. The
// column's rows are taken in chunks of `chunk` rows: mean and squared deviation of each (phase 0, one unit = one
// chunk), put together in order (phase 1, one unit = `columns` columns), applied (phase 2, one unit = one chunk). rows
// >= 0: without rows mean and variance are NaN. Every ISA gives the same bits. On a GPU x and y may have 16 bits, with
// statistics and their gradients in float32, gamma and beta in any floating dtype; it chunks in its own way.
#include <cstdint>

#include "core/dtype.h"
#include "core/exec.h"

namespace maas {

// Rows of a chunk: about 64 KiB of float32, so that the second look at it finds it in L2.
constexpr int64_t batch_norm_chunk(int64_t cols) { return cols >= 2048 ? 8 : cols <= 32 ? 512 : 16384 / cols; }

struct BatchNormArgs {
  static constexpr int64_t columns = 64, group = 64;
  const void* x;
  const void* gamma;
  const void* beta;
  void* y;
  void* mean;
  void* variance;
  void* partial;  // chunks x 2 x cols: mean and sum of squared deviations of a chunk
  int64_t rows, cols, chunk;
  double epsilon;
  DType gamma_type, beta_type;
};

// With h = (x - mean) rstd:  dgamma = sum_r dy h,  dbeta = sum_r dy,
// dx = gamma rstd (dy - dbeta / rows - h dgamma / rows) + dmean / rows + 2 (x - mean) dvariance / rows.
// Phases as above: 0 sums over chunks, 1 dgamma and dbeta, 2 dx. dgamma, dbeta: always there (workspaces if unread).
struct BatchNormGradArgs {
  static constexpr int64_t columns = 64, group = 64;
  const void* x;
  const void* gamma;  // or null
  const void* mean;
  const void* variance;
  const void* dy;
  const void* dmean;  // or null, with dvariance
  const void* dvariance;
  void* dx;
  void* dgamma;
  void* dbeta;
  void* partial;  // chunks x 2 x cols
  int64_t rows, cols, chunk;
  double epsilon;
  DType gamma_type;
};

}  // namespace maas
