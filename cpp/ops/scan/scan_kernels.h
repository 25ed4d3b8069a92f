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

// linear_scan: y[o][j][i] = a[o][j][i] y[o][j-1][i] + b[o][j][i], y[-1] = 0; with reverse from the last j down. All
// outer x size x inner, dense; y may be b.
// Unit: one (o, i).
struct LinearScanArgs {
  const void* a;
  const void* b;
  void* y;
  DType dtype;
  bool reverse;
  int64_t outer, size, inner;
};

}  // namespace maas
