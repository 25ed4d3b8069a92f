#pragma once
// y[s][r][c] = (x[s][r][c] - mean[s][g]) * rstd[s][g] * gamma[c] + beta[c],  g = c / (channels / groups), statistics of
// all rows and the group's channels, rstd = 1 / sqrt(var + epsilon), var about the mean. x, y: samples x rows x
// channels, dense; y may be x; gamma, beta: channels or null. groups divides channels. One unit = `per_unit` (at most
// 64) neighbouring groups of one sample. Channels are summed over the rows, then over the group, in order on every ISA.
#include <cstdint>

#include "core/dtype.h"
#include "core/exec.h"

namespace maas {

struct GroupNormArgs {
  const void* x;
  const void* gamma;
  const void* beta;
  void* y;
  int64_t samples, rows, channels, groups, per_unit;
  double epsilon;
  DType gamma_type, beta_type;
};

}  // namespace maas
