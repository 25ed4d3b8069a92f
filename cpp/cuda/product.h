#pragma once
// A matrix product as kernels of a GPU take it. No CUDA here: ops fill it.
//   c[i][j] = epilogue(sum_k a[i][k] * b[k][j]) for every batch
// a: element (i, k) at a[i * rsa + k * csa], b: (k, j) at b[k * rsb + j * csb], strides in elements and not negative.
// c: m x n, row stride ldc, no overlap with anything. Batches lie apart by a_batch, b_batch (0: the same for all) and
// c_batch. Sums: float64 of float64, float32 of all others, without TF32. k = 0 gives epilogue(0).
#include <cstdint>

#include "core/dtype.h"

namespace maas {

// v = sum + bias[j] (+ residual[i][j], if first), then the activation, then + residual[i][j], if not first; in float32
// (float64 of float64), rounded once. bias: a row of n; residual: lies as c does; both of c's dtype; null: none.
struct ProductEpilogue {
  enum Activation : uint8_t { none, relu, gelu_erf, gelu_tanh } activation = none;
  bool residual_first = false;
  const void* bias = nullptr;
  const void* residual = nullptr;
  bool empty() const { return !bias && !residual && activation == none; }
};

struct MatrixProduct {
  DType dtype = DType::f32;
  int64_t m = 0, n = 0, k = 0;
  const void* a = nullptr;
  int64_t rsa = 0, csa = 1;
  const void* b = nullptr;
  int64_t rsb = 0, csb = 1;
  void* c = nullptr;
  int64_t ldc = 0;
  int64_t batch = 1, a_batch = 0, b_batch = 0, c_batch = 0;
  ProductEpilogue epilogue;
};

}  // namespace maas
