// Group normalization: one block for each group of a sample, whose data are read three times, mostly from L2.
#include "cuda/launch.h"
#include "cuda/numbers.h"
#include "cuda/reduce.h"
#include "ops/norm/group_norm_kernels.h"

#define MAAS_KERNELS "ops/norm/group_norm_kernels.inc"
#define MAAS_KERNEL_ARGS GroupNormArgs
#define MAAS_KERNEL_TABLE group_norm_kernels
#include "cuda/kernel_table.h"

namespace maas {
namespace {

using namespace cuda;

constexpr int kThreads = 256;

// f(place in memory from the group's first element, channel within the group) for this thread's vectors of N channels.
template <int N, class F>
__device__ __forceinline__ void for_group(int64_t rows, int64_t channels, int64_t size, F f) {
  const int64_t across = size / N, count = rows * across;
#pragma unroll 4
  for (int64_t i = threadIdx.x; i < count; i += kThreads) {
    const int64_t row = i / across, c = (i - row * across) * N;
    f(row * channels + c, c);
  }
}

template <class T, int N>
__global__ void __launch_bounds__(kThreads) group_norm(const T* x, T* y, Parameter gamma, Parameter beta, int64_t rows,
                                                       int64_t channels, int64_t groups, double epsilon) {
  using A = Wide<T>;
  const int64_t sample = blockIdx.x / groups, group = blockIdx.x - sample * groups, size = channels / groups;
  const int64_t first = sample * rows * channels + group * size;
  x += first;
  y += first;
  const bool aligned = vectorizable(x, channels) && vectorizable(y, channels);
  const A count = static_cast<A>(rows * size);
  A sum = 0, squares = 0;
  for_group<N>(rows, channels, size, [&](int64_t at, int64_t) {
    const auto v = fetch<T, N>(x + at, aligned);
#pragma unroll
    for (int j = 0; j < N; ++j) sum += widen(v[j]);
  });
  const A mean = block_sum(sum) / count;
  for_group<N>(rows, channels, size, [&](int64_t at, int64_t) {
    const auto v = fetch<T, N>(x + at, aligned);
#pragma unroll
    for (int j = 0; j < N; ++j) {
      const A d = widen(v[j]) - mean;
      squares += d * d;
    }
  });
  const A rstd = 1 / root_of(block_sum(squares) / count + static_cast<A>(epsilon));
  for_group<N>(rows, channels, size, [&](int64_t at, int64_t c) {
    A scale[N], shift[N] = {};
#pragma unroll
    for (int j = 0; j < N; ++j) scale[j] = 1;
    read_parameter(gamma, group * size + c, N, scale);
    read_parameter(beta, group * size + c, N, shift);
    auto v = fetch<T, N>(x + at, aligned);
#pragma unroll
    for (int j = 0; j < N; ++j) v[j] = narrow<T>((widen(v[j]) - mean) * rstd * scale[j] + shift[j]);
    put(y + at, v, aligned);
  });
}

template <class T>
void run(const GroupNormArgs& a, const Launch& l) {
  if (a.samples == 0 || a.channels == 0) return;
  const T* x = static_cast<const T*>(a.x);
  T* y = static_cast<T*>(a.y);
  const Parameter gamma{a.gamma, a.gamma_type}, beta{a.beta, a.beta_type};
  const dim3 grid(static_cast<unsigned>(a.samples * a.groups)), block(kThreads);
  if (a.channels / a.groups % kLanes<T> == 0)
    launch(l, group_norm<T, kLanes<T>>, grid, block, 0, x, y, gamma, beta, a.rows, a.channels, a.groups, a.epsilon);
  else
    launch(l, group_norm<T, 1>, grid, block, 0, x, y, gamma, beta, a.rows, a.channels, a.groups, a.epsilon);
}

}  // namespace

void group_norm_f32_cuda(const GroupNormArgs& a, const Launch& l) { run<float>(a, l); }
void group_norm_bf16_cuda(const GroupNormArgs& a, const Launch& l) { run<__nv_bfloat16>(a, l); }
void group_norm_f16_cuda(const GroupNormArgs& a, const Launch& l) { run<__half>(a, l); }
void group_norm_f64_cuda(const GroupNormArgs& a, const Launch& l) { run<double>(a, l); }

}  // namespace maas
