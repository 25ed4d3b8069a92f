#pragma once
// Ops whose result has as many elements as the data says. They fill room for all and give the count; trim cuts it off.
//
// nonzero: positions[0 .. count) = the flat positions of elements that are not 0, upwards; 0 behind them. One unit.
// unique: values[0 .. count) = the different elements upwards (NaN last, all NaNs are one), index their first places,
//   counts how often they come; 0 behind them. inverse[i] = the place of x[i] among values. One unit.
//   order: room for size int32.
#include <cstdint>

#include "core/dtype.h"
#include "core/exec.h"

namespace maas {

struct NonzeroArgs {
  const void* x;
  DType dtype;
  int64_t size;
  int32_t *positions, *count;
};

struct UniqueArgs {
  const void* x;
  DType dtype;
  int64_t size;
  void* values;
  int32_t *count, *index, *inverse, *counts, *order;
};

}  // namespace maas
