// Cross entropies: the loss and the row's statistics in one read of the logits, the gradient in another. Targets are
// read with the logits; what the second look at a row needs comes from L2.
#include "cuda/launch.h"
#include "cuda/rows.h"
#include "ops/loss/cross_entropy_kernels.h"

#define MAAS_KERNELS "ops/loss/labels_kernels.inc"
#define MAAS_KERNEL_ARGS CrossEntropyArgs
#define MAAS_KERNEL_TABLE labels_kernels
#include "cuda/kernel_table.h"

#define MAAS_KERNELS "ops/loss/labels_gradient_kernels.inc"
#define MAAS_KERNEL_ARGS CrossEntropyArgs
#define MAAS_KERNEL_TABLE labels_gradient_kernels
#include "cuda/kernel_table.h"

#define MAAS_KERNELS "ops/loss/targets_kernels.inc"
#define MAAS_KERNEL_ARGS CrossEntropyArgs
#define MAAS_KERNEL_TABLE targets_kernels
#include "cuda/kernel_table.h"

#define MAAS_KERNELS "ops/loss/targets_gradient_kernels.inc"
#define MAAS_KERNEL_ARGS CrossEntropyArgs
#define MAAS_KERNEL_TABLE targets_gradient_kernels
#include "cuda/kernel_table.h"

namespace maas {
namespace {

using namespace cuda;

constexpr int kMost = 512;  // lanes of a row

__device__ int64_t label_at(const CrossEntropyArgs& a, int64_t r) {
  switch (a.label_dtype) {
    case DType::i64:
      return static_cast<const int64_t*>(a.targets)[r];
    case DType::i32:
      return static_cast<const int32_t*>(a.targets)[r];
    case DType::u32:
      return static_cast<const uint32_t*>(a.targets)[r];
    case DType::i16:
      return static_cast<const int16_t*>(a.targets)[r];
    case DType::i8:
      return static_cast<const int8_t*>(a.targets)[r];
    default:
      return static_cast<const uint8_t*>(a.targets)[r];
  }
}

template <class V, class T>
constexpr int kWidthOf = static_cast<int>(sizeof(V) / sizeof(T));

template <class T, bool kLabels>
__global__ void __launch_bounds__(kMost) loss_of_rows(CrossEntropyArgs a, int lanes, Reporter report) {
  using A = Wide<T>;
  __shared__ A slots[3][kWarp];
  const RowPlace p(lanes);
  const int64_t row = static_cast<int64_t>(blockIdx.x) * p.rows + p.row;
  const bool there = row < a.rows;
  const int64_t n = there ? a.classes : 0;
  const T* const x = static_cast<const T*>(a.x) + row * a.classes;
  OnlineSum<T> sum;
  sum.add_row(x, n, p.lane, lanes);
  sum.merge(lanes, slots[0]);
  const A log_total = log_of(sum.total);

  A loss = 0;
  if constexpr (kLabels) {
    if (there && p.lane == 0) {
      const int64_t label = label_at(a, row);
      if (label >= 0 && label < a.classes)
        loss = log_total - (widen(x[label]) - sum.top);
      else
        report.bad(row, label);
    }
  } else {
    const T* const both[2] = {x, static_cast<const T*>(a.targets) + row * a.classes};
    for_row<T>(both, n, p.lane, lanes, [&](int64_t, const auto& v) {
#pragma unroll
      for (int j = 0; j < kWidthOf<decltype(v[0]), T>; ++j)
        loss += widen(v[1][j]) * (log_total - (widen(v[0][j]) - sum.top));
    });
    loss = row_reduce(loss, Sum{}, A(0), lanes, slots[2]);
  }
  if (!there || p.lane != 0) return;
  static_cast<T*>(a.loss)[row] = narrow<T>(loss);
  if (a.top) static_cast<A*>(a.top)[row] = sum.top;
  if (a.total) static_cast<A*>(a.total)[row] = sum.total;
}

template <class T, bool kLabels>
__global__ void __launch_bounds__(kMost) gradient_of_rows(CrossEntropyArgs a, int lanes, Reporter report) {
  using A = Wide<T>;
  __shared__ A slots[kWarp];
  const RowPlace p(lanes);
  const int64_t row = static_cast<int64_t>(blockIdx.x) * p.rows + p.row;
  const bool there = row < a.rows;
  const int64_t n = there ? a.classes : 0, first = row * a.classes;
  const T *const x = static_cast<const T*>(a.x) + first, *const t = static_cast<const T*>(a.targets) + first;
  T* const dx = static_cast<T*>(a.dx) + first;
  const bool aligned = vectorizable(dx);
  A top = 0, factor = 0, dloss = 0;
  int64_t label = -1;
  if (there) {
    top = static_cast<const A*>(a.top_in)[row];
    factor = 1 / static_cast<const A*>(a.total_in)[row];
    dloss = widen(static_cast<const T*>(a.dloss)[row]);
    if constexpr (kLabels) {
      label = label_at(a, row);
      if (label < 0 || label >= a.classes) {
        if (p.lane == 0) report.bad(row, label);
        dloss = 0;
      }
    }
  }
  if constexpr (kLabels) {
    const T* const logits[1] = {x};
    for_row<T>(logits, n, p.lane, lanes, [&](int64_t at, const auto& v) {
      auto z = v[0];
#pragma unroll
      for (int j = 0; j < kWidthOf<decltype(z), T>; ++j)
        z[j] = narrow<T>((exp_for<T>(widen(v[0][j]) - top) * factor - (at + j == label ? A(1) : A(0))) * dloss);
      put(dx + at, z, aligned);
    });
  } else {
    A mass = 0;
    const T* const targets[1] = {t};
    for_row<T>(targets, n, p.lane, lanes, [&](int64_t, const auto& v) {
#pragma unroll
      for (int j = 0; j < kWidthOf<decltype(v[0]), T>; ++j) mass += widen(v[0][j]);
    });
    mass = row_reduce(mass, Sum{}, A(0), lanes, slots);
    const T* const both[2] = {x, t};
    for_row<T>(both, n, p.lane, lanes, [&](int64_t at, const auto& v) {
      auto z = v[0];
#pragma unroll
      for (int j = 0; j < kWidthOf<decltype(z), T>; ++j)
        z[j] = narrow<T>((exp_for<T>(widen(v[0][j]) - top) * factor * mass - widen(v[1][j])) * dloss);
      put(dx + at, z, aligned);
    });
  }
}

template <class T>
void run(void (*kernel)(CrossEntropyArgs, int, Reporter), const CrossEntropyArgs& a, const Launch& l) {
  if (a.rows == 0) return;
  const RowPlan plan = plan_rows(a.classes, kLanes<T>, kMost);
  launch(l, kernel, dim3(blocks_for(a.rows, plan.rows)), plan.block(), 0, a, plan.lanes, reporter(l));
}

}  // namespace

#define MAAS_CROSS_ENTROPY(name, T)                                                        \
  void cross_entropy_labels_##name(const CrossEntropyArgs& a, const Launch& l) {           \
    run<T>(loss_of_rows<T, true>, a, l);                                                   \
  }                                                                                        \
  void cross_entropy_targets_##name(const CrossEntropyArgs& a, const Launch& l) {          \
    run<T>(loss_of_rows<T, false>, a, l);                                                  \
  }                                                                                        \
  void cross_entropy_labels_gradient_##name(const CrossEntropyArgs& a, const Launch& l) {  \
    run<T>(gradient_of_rows<T, true>, a, l);                                               \
  }                                                                                        \
  void cross_entropy_targets_gradient_##name(const CrossEntropyArgs& a, const Launch& l) { \
    run<T>(gradient_of_rows<T, false>, a, l);                                              \
  }
MAAS_CROSS_ENTROPY(f32_cuda, float)
MAAS_CROSS_ENTROPY(bf16_cuda, __nv_bfloat16)
MAAS_CROSS_ENTROPY(f16_cuda, __half)
MAAS_CROSS_ENTROPY(f64_cuda, double)
#undef MAAS_CROSS_ENTROPY

}  // namespace maas
