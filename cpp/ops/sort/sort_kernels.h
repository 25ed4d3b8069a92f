#pragma once
// sort: values[o][j][i] = x[o][indices[o][j][i]][i], j < keep: the first `keep` of a row in order. Stable: equal ones
// stay in the order of their indices; -0 equals 0. A NaN is greater than all numbers. x: outer x size x inner, values
// and indices: outer x keep x inner, all dense; values or indices may be null. size < 2^32. Unit: one (o, i).
// search: y[i] = number of sorted[] that are < values[i], or <= it where `right`. Unit: one i.
#include <cstdint>

#include "core/dtype.h"
#include "core/exec.h"

namespace maas {

struct SortArgs {
  const void* x;
  void* values;
  int32_t* indices;
  DType dtype;
  bool descending;
  int64_t outer, size, inner, keep;
};

struct SearchArgs {
  const void* sorted;
  const void* values;
  int32_t* y;
  DType dtype;
  bool right;
  int64_t size, count;
};

}  // namespace maas
