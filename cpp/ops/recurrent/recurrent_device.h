#pragma once
// What the CUDA rows of the recurrence share: activations in float32, elements of panels, loads and stores as float32.
#include <cuda_bf16.h>

#include "cuda/launch.h"
#include "cuda/shared.h"
#include "ops/recurrent/recurrent_kernels.h"

namespace maas::cuda::recurrent {

using bf16 = __nv_bfloat16;

template <Cell kCell>
constexpr int kGates = static_cast<int>(cell_gates(kCell));
template <Cell kCell>
constexpr int kKept = static_cast<int>(kept_gates(kCell));

__device__ inline float as_float(float v) { return v; }
__device__ inline float as_float(bf16 v) { return __bfloat162float(v); }
template <class T>
__device__ inline T as(float v) {
  if constexpr (sizeof(T) == 2)
    return __float2bfloat16(v);
  else
    return v;
}
// Element `at` of an array that may be missing: zeros.
template <class T>
__device__ inline float load(const void* p, int64_t at) {
  return p ? as_float(static_cast<const T*>(p)[at]) : 0.f;
}
template <class T>
__device__ inline void store(void* p, int64_t at, float v) {
  if (p) static_cast<T*>(p)[at] = as<T>(v);
}

__device__ inline float sigmoid(float z) { return 1.f / (1.f + expf(-z)); }

__device__ inline float activate(CellActivation a, float z) {
  switch (a) {
    case CellActivation::tanh:
      return tanhf(z);
    case CellActivation::sigmoid:
      return sigmoid(z);
    case CellActivation::relu:
      return z != z || z > 0 ? z : 0.f;
    case CellActivation::relu6:
      return z != z ? z : fminf(fmaxf(z, 0.f), 6.f);
    case CellActivation::hard_sigmoid:
      return z != z ? z : fminf(fmaxf(z + 3.f, 0.f), 6.f) / 6.f;
    case CellActivation::softsign:
      return z / (fabsf(z) + 1.f);
    case CellActivation::elu:
      return z > 0 ? z : expm1f(z);
    case CellActivation::linear:
      break;
  }
  return z;
}

// The derivative from the result.
__device__ inline float slope(CellActivation a, float y) {
  switch (a) {
    case CellActivation::tanh:
      return fmaf(-y, y, 1.f);
    case CellActivation::sigmoid:
      return y * (1.f - y);
    case CellActivation::relu:
      return y > 0 ? 1.f : 0.f;
    case CellActivation::relu6:
      return y > 0 && y < 6 ? 1.f : 0.f;
    case CellActivation::hard_sigmoid:
      return y > 0 && y < 1 ? 1.f / 6.f : 0.f;
    case CellActivation::softsign:
      return (1.f - fabsf(y)) * (1.f - fabsf(y));
    case CellActivation::elu:
      return y > 0 ? 1.f : y + 1.f;
    case CellActivation::linear:
      break;
  }
  return 1.f;
}

// Row 0 of unit u in panels of 64 units, `rows` rows each, and the elements from one row to the next.
struct Panel {
  int64_t at, stride;
};
__host__ __device__ inline Panel wide_panel(int64_t units, int64_t rows, int64_t u) {
  const int64_t block = u / 64, left = (units - block * 64 + 15) / 16 * 16;
  return {block * rows * 64 + u % 64, left < 64 ? left : 64};
}
// The same of a gate, forwards.
template <Cell kCell>
__host__ __device__ inline Panel gate_panel(int64_t units, int gate, int64_t u) {
  constexpr int64_t G = kCell == Cell::lstm ? 4 : 3;
  if constexpr (kCell == Cell::lstm || kCell == Cell::gru)
    return {u / 16 * units * G * 16 + gate * 16 + u % 16, G * 16};
  else {
    Panel p = wide_panel(units, units, u);
    p.at += gate * units * ((units + 15) / 16 * 16);
    return p;
  }
}

__device__ inline int64_t time_of(const RecurrenceShape& a, int64_t step) {
  return a.reverse ? a.steps - 1 - step : step;
}

}  // namespace maas::cuda::recurrent
