#pragma once
// Cross entropy of softmax(x) along the last axis, a loss a row, and its gradient.
//   top[r] = max_c x[r][c],  total[r] = sum_c exp(x[r][c] - top[r])
//   labels:  loss[r] = log(total) - (x[r][label] - top);             dx[r][c] = (p[c] - (c == label)) * dloss[r]
//   targets: loss[r] = sum_c t[r][c] * (log(total) - (x[r][c] - top)); dx[r][c] = (p[c] * sum_c t[r][c] - t[r][c]) *
//   dloss[r]
// with p[c] = exp(x[r][c] - top) / total. x, t, dx: rows x classes, dense, classes >= 1. top and total are written by
// the forward kernel if they are not null and read by the gradient. A label outside [0, classes) gives loss 0 and
// gradient 0 and its position is reported. Sums run in 16 virtual lanes and one tree on every ISA. One unit = one row.
#include <cstdint>

#include "core/dtype.h"
#include "core/exec.h"

namespace maas {

struct CrossEntropyArgs {
  const void* x;
  const void* targets;  // labels of label_dtype, or a row of numbers
  DType label_dtype;
  void *loss, *top, *total;               // forward; top and total may be null
  const void *top_in, *total_in, *dloss;  // gradient
  void* dx;
  int64_t rows, classes;
};

// The label as an int64, whatever its dtype.
static inline __attribute__((always_inline)) int64_t read_label(const CrossEntropyArgs& a, int64_t r) {
  switch (a.label_dtype) {
    case DType::i64:
    case DType::u64:
      return static_cast<const int64_t*>(a.targets)[r];
    case DType::i32:
      return static_cast<const int32_t*>(a.targets)[r];
    case DType::u32:
      return static_cast<const uint32_t*>(a.targets)[r];
    case DType::u16:
      return static_cast<const uint16_t*>(a.targets)[r];
    case DType::i16:
      return static_cast<const int16_t*>(a.targets)[r];
    case DType::i8:
      return static_cast<const int8_t*>(a.targets)[r];
    default:
      return static_cast<const uint8_t*>(a.targets)[r];
  }
}

}  // namespace maas
