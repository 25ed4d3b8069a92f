#pragma once
// Ops that move whole elements, whatever their dtype: only the element's bytes matter (1, 2, 4 or 8).
//
// concatenate: y[o][offset_k + j][i] = x_k[o][j][i]. y dense; inputs in any strides.
//   One unit = the part of one input in one o: unit u is input u % inputs of o = u / inputs.
// place: y[...] = value, then y[begin + i * step] = x[i] on every axis. x and y dense.
//   One unit = one row (last axis) of y.
// arange: y[i] = start + i * step. One unit = 1024 elements.
// one_hot: y[r][c] = indices[r] == c ? on : off. One unit = one row of y.
#include <cstdint>

#include "core/dtype.h"
#include "core/exec.h"

namespace maas {

constexpr int kMoveRank = 8;

struct ConcatenateArgs {
  static constexpr int max_inputs = 64;
  struct Part {
    const void* x;
    bool dense;
    int64_t size;    // along the axis
    int64_t offset;  // of its first element along the axis of y
    int64_t strides[kMoveRank];
  };
  Part parts[max_inputs];
  void* y;
  int inputs, rank, axis;
  int64_t bytes;                // of an element
  int64_t shape[kMoveRank];     // of y
  int64_t outer, total, inner;  // y is outer x total x inner
};

struct PlaceArgs {
  const void* x;
  void* y;
  int64_t bytes;
  unsigned char value[8];  // one element
  int rank;
  int64_t x_shape[kMoveRank], y_shape[kMoveRank], begin[kMoveRank], step[kMoveRank];
  int64_t rows;
};

struct ArangeArgs {
  static constexpr int64_t unit = 1024;
  void* y;
  DType dtype;
  int64_t size;
  double start, step;
};

struct OneHotArgs {
  const void* indices;
  void* y;
  DType index_dtype, dtype;
  int64_t rows, classes;
};

}  // namespace maas
