#pragma once
// y[o][j][i] = sum over k <= j of x[o][k][i]; with reverse over k >= j. x and y dense, outer x size x inner; y may be
// x. Every float32 sum runs element by element in the direction of the scan, so bits depend on nothing else. Units.
// Reference: one (o, i). Vector rows, inner == 1: 16 neighbouring o; else 16 neighbouring i of one o.
#include <cstdint>

#include "core/dtype.h"
#include "core/exec.h"

namespace maas {

struct ScanArgs {
  const void* x;
  void* y;
  DType dtype, result;
  bool reverse;
  bool vector;  // a vector row runs
  int64_t outer, size, inner;
};

}  // namespace maas
