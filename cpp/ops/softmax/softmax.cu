// Softmax, its logarithm and their gradients: one read and one write of a row that fits the registers of its lanes;
// longer rows are read twice, the second time mostly from L2.
#include "cuda/launch.h"
#include "cuda/rows.h"
#include "ops/softmax/softmax_kernels.h"

#define MAAS_KERNELS "ops/softmax/kernels.inc"
#define MAAS_KERNEL_ARGS SoftmaxArgs
#define MAAS_KERNEL_TABLE softmax_kernels
#include "cuda/kernel_table.h"

#define MAAS_KERNELS "ops/softmax/gradient_kernels.inc"
#define MAAS_KERNEL_ARGS SoftmaxGradientArgs
#define MAAS_KERNEL_TABLE softmax_gradient_kernels
#include "cuda/kernel_table.h"

namespace maas {
namespace {

using namespace cuda;

constexpr int kMost = 1024;         // lanes of a row held in registers
constexpr int kMostGradient = 512;  // the same where two rows are held
constexpr int kLongLanes = 512;     // of a longer one

template <class T, bool kLog>
__global__ void __launch_bounds__(kMost) softmax_in_registers(const T* x, T* y, int64_t rows, int64_t cols, int lanes) {
  __shared__ float slots[2][kWarp];
  const RowPlace p(lanes);
  const int64_t row = static_cast<int64_t>(blockIdx.x) * p.rows + p.row;
  const int n = row < rows ? static_cast<int>(cols) : 0;
  RowPart<T> part;
  part.load(x + row * cols, n, p.lane, lanes, from_float<T>(-infinity_of<float>()));

  constexpr int kWidth = RowPart<T>::kWidth;
  float e[kRowVectors][kWidth], top = -infinity_of<float>(), total = 0;
#pragma unroll
  for (int k = 0; k < kRowVectors; ++k) {
    part.get(k, e[k]);
#pragma unroll
    for (int j = 0; j < kWidth; ++j) top = fmaxf(top, e[k][j]);
  }
  top = row_reduce(top, [](float a, float b) { return fmaxf(a, b); }, -infinity_of<float>(), lanes, slots[0]);

  // Columns that are not there are -inf: they add 0. A row of -inf alone gives inf - inf: NaN, as the formula says.
#pragma unroll
  for (int k = 0; k < kRowVectors; ++k) {
    part.get(k, e[k]);
#pragma unroll
    for (int j = 0; j < kWidth; ++j) total += e[k][j] = exp_for<T>(e[k][j] - top);
  }
  total = row_reduce(total, Sum{}, 0.f, lanes, slots[1]);

  const float factor = 1.f / total, shift = kLog ? logf(total) : 0;
#pragma unroll
  for (int k = 0; k < kRowVectors; ++k) {
    if constexpr (kLog) part.get(k, e[k]);
#pragma unroll
    for (int j = 0; j < kWidth; ++j) e[k][j] = kLog ? (e[k][j] - top) - shift : e[k][j] * factor;
    part.set(k, e[k]);
  }
  part.store(y + row * cols, n, p.lane, lanes);
}

template <class T, bool kLog>
__global__ void __launch_bounds__(kLongLanes) softmax_long(const T* x, T* y, int64_t cols) {
  using A = Wide<T>;
  __shared__ A slots[2 * kWarp];
  const int lane = static_cast<int>(threadIdx.x), lanes = static_cast<int>(blockDim.x);
  x += static_cast<int64_t>(blockIdx.x) * cols;
  y += static_cast<int64_t>(blockIdx.x) * cols;
  const T* const from[1] = {x};
  OnlineSum<T> sum;
  sum.add_row(x, cols, lane, lanes);
  sum.merge(lanes, slots);

  const A factor = 1 / sum.total, shift = kLog ? log_of(sum.total) : 0;
  const bool aligned = vectorizable(y);
  for_row<T>(from, cols, lane, lanes, [&](int64_t at, const auto& v) {
    auto z = v[0];
#pragma unroll
    for (int j = 0; j < static_cast<int>(sizeof z / sizeof(T)); ++j) {
      const A d = widen(v[0][j]) - sum.top;
      z[j] = narrow<T>(kLog ? d - shift : exp_for<T>(d) * factor);
    }
    put(y + at, z, aligned);
  });
}

template <class T, bool kLog>
__global__ void __launch_bounds__(kMostGradient)
    gradient_in_registers(const T* y, const T* dy, T* dx, int64_t rows, int64_t cols, int lanes) {
  __shared__ float slots[kWarp];
  const RowPlace p(lanes);
  const int64_t row = static_cast<int64_t>(blockIdx.x) * p.rows + p.row;
  const int n = row < rows ? static_cast<int>(cols) : 0;
  RowPart<T> a, b;
  a.load(y + row * cols, n, p.lane, lanes, from_float<T>(0.f));
  b.load(dy + row * cols, n, p.lane, lanes, from_float<T>(0.f));
  constexpr int kWidth = RowPart<T>::kWidth;
  float v[kWidth], d[kWidth], sum = 0;
#pragma unroll
  for (int k = 0; k < kRowVectors; ++k) {
    a.get(k, v);
    b.get(k, d);
#pragma unroll
    for (int j = 0; j < kWidth; ++j) sum += kLog ? d[j] : v[j] * d[j];
  }
  sum = row_reduce(sum, Sum{}, 0.f, lanes, slots);
#pragma unroll
  for (int k = 0; k < kRowVectors; ++k) {
    a.get(k, v);
    b.get(k, d);
#pragma unroll
    for (int j = 0; j < kWidth; ++j) d[j] = kLog ? d[j] - exp_for<T>(v[j]) * sum : v[j] * (d[j] - sum);
    b.set(k, d);
  }
  b.store(dx + row * cols, n, p.lane, lanes);
}

template <class T, bool kLog>
__global__ void __launch_bounds__(kLongLanes) gradient_long(const T* y, const T* dy, T* dx, int64_t cols) {
  using A = Wide<T>;
  __shared__ A slots[kWarp];
  const int lane = static_cast<int>(threadIdx.x), lanes = static_cast<int>(blockDim.x);
  const int64_t first = static_cast<int64_t>(blockIdx.x) * cols;
  const T* const from[2] = {y + first, dy + first};
  A sum = 0;
  for_row<T>(from, cols, lane, lanes, [&](int64_t, const auto& v) {
#pragma unroll
    for (int j = 0; j < static_cast<int>(sizeof v[0] / sizeof(T)); ++j)
      sum += kLog ? widen(v[1][j]) : widen(v[0][j]) * widen(v[1][j]);
  });
  sum = row_reduce(sum, Sum{}, A(0), lanes, slots);
  T* const to = dx + first;
  const bool aligned = vectorizable(to);
  for_row<T>(from, cols, lane, lanes, [&](int64_t at, const auto& v) {
    auto z = v[1];
#pragma unroll
    for (int j = 0; j < static_cast<int>(sizeof z / sizeof(T)); ++j) {
      const A a = widen(v[0][j]), d = widen(v[1][j]);
      z[j] = narrow<T>(kLog ? d - exp_for<T>(a) * sum : a * (d - sum));
    }
    put(to + at, z, aligned);
  });
}

template <class T, bool kLog>
void forward(const SoftmaxArgs& a, const Launch& l) {
  const T* x = static_cast<const T*>(a.x);
  T* y = static_cast<T*>(a.y);
  if (a.rows == 0) return;
  if constexpr (sizeof(T) < 8) {
    const RowPlan plan = plan_rows(a.cols, kLanes<T>, kMost);
    if (plan.in_registers)
      return launch(l, softmax_in_registers<T, kLog>, dim3(blocks_for(a.rows, plan.rows)), plan.block(), 0, x, y,
                    a.rows, a.cols, plan.lanes);
  }
  launch(l, softmax_long<T, kLog>, dim3(static_cast<unsigned>(a.rows)), dim3(kLongLanes), 0, x, y, a.cols);
}

template <class T, bool kLog>
void backward(const SoftmaxGradientArgs& a, const Launch& l) {
  const T *y = static_cast<const T*>(a.y), *dy = static_cast<const T*>(a.dy);
  T* dx = static_cast<T*>(a.dx);
  if (a.rows == 0) return;
  if constexpr (sizeof(T) < 8) {
    const RowPlan plan = plan_rows(a.cols, kLanes<T>, kMostGradient);
    if (plan.in_registers)
      return launch(l, gradient_in_registers<T, kLog>, dim3(blocks_for(a.rows, plan.rows)), plan.block(), 0, y, dy, dx,
                    a.rows, a.cols, plan.lanes);
  }
  launch(l, gradient_long<T, kLog>, dim3(static_cast<unsigned>(a.rows)), dim3(kLongLanes), 0, y, dy, dx, a.cols);
}

}  // namespace

#define MAAS_SOFTMAX(name, T)                                                   \
  void softmax_##name(const SoftmaxArgs& a, const Launch& l) {                  \
    a.log ? forward<T, true>(a, l) : forward<T, false>(a, l);                   \
  }                                                                             \
  void softmax_gradient_##name(const SoftmaxGradientArgs& a, const Launch& l) { \
    a.log ? backward<T, true>(a, l) : backward<T, false>(a, l);                 \
  }
MAAS_SOFTMAX(f32_cuda, float)
MAAS_SOFTMAX(bf16_cuda, __nv_bfloat16)
MAAS_SOFTMAX(f16_cuda, __half)
MAAS_SOFTMAX(f64_cuda, double)
#undef MAAS_SOFTMAX

}  // namespace maas
