// Sums up to each place on a GPU. Along the last axis a block goes through a row in tiles and carries the sum on;
// along other axes a thread goes through a column. Linear scans are one thread each: products of factors, which a tree
// would need, may overflow where the scan does not.
#include "cuda/element.h"
#include "cuda/launch.h"
#include "cuda/reduce.h"
#include "cuda/vector.h"
#include "ops/scan/scan_kernels.h"

#define MAAS_KERNELS "ops/scan/kernels.inc"
#define MAAS_KERNEL_ARGS ScanArgs
#define MAAS_KERNEL_TABLE scan_kernels
#include "cuda/kernel_table.h"

#define MAAS_KERNELS "ops/scan/linear_kernels.inc"
#define MAAS_KERNEL_ARGS LinearScanArgs
#define MAAS_KERNEL_TABLE linear_scan_kernels
#include "cuda/kernel_table.h"

namespace maas {
namespace {

constexpr int kThreads = 256, kEach = 4;

// Elements of any dtype as T: float, double or int64_t, which wraps.
template <class T>
__device__ __forceinline__ T read(const void* p, DType dtype, int64_t i) {
  if constexpr (sizeof(T) == sizeof(float))
    return static_cast<const float*>(p)[i];
  else
    return cuda::load_element<T>(p, dtype, i);
}
template <class T>
__device__ __forceinline__ void put(void* p, DType dtype, int64_t i, T v) {
  if constexpr (sizeof(T) == sizeof(float))
    static_cast<float*>(p)[i] = v;
  else
    cuda::store_element<T>(p, dtype, i, v);
}
__device__ __forceinline__ float plus(float a, float b) { return a + b; }
__device__ __forceinline__ double plus(double a, double b) { return a + b; }
__device__ __forceinline__ int64_t plus(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}
__device__ __forceinline__ float times(float a, float b) { return a * b; }
__device__ __forceinline__ double times(double a, double b) { return a * b; }
__device__ __forceinline__ int64_t times(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
}
struct Plus {
  template <class T>
  __device__ __forceinline__ T operator()(T a, T b) const {
    return plus(a, b);
  }
};

template <class T>
__global__ void __launch_bounds__(kThreads) scan_rows(ScanArgs a) {
  for (int64_t row = blockIdx.x; row < a.outer; row += gridDim.x) {
    T carry = 0;
    for (int64_t first = 0; first < a.size; first += kThreads * kEach) {
      const int64_t begin = first + static_cast<int64_t>(threadIdx.x) * kEach;
      T v[kEach];
      T sum = 0;
#pragma unroll
      for (int k = 0; k < kEach; ++k) {
        const int64_t j = begin + k, at = row * a.size + (a.reverse ? a.size - 1 - j : j);
        v[k] = j < a.size ? read<T>(a.x, a.dtype, at) : T(0);
      }
#pragma unroll
      for (int k = 0; k < kEach; ++k) v[k] = sum = plus(sum, v[k]);
      T total;
      const T through = cuda::block_scan(sum, Plus{}, T(0), total);
      // What stood before this thread: a shuffle would do, but the first lane of a warp needs the warp before it.
      __shared__ T ends[kThreads];
      ends[threadIdx.x] = through;
      __syncthreads();
      const T before = threadIdx.x ? plus(carry, ends[threadIdx.x - 1]) : carry;
#pragma unroll
      for (int k = 0; k < kEach; ++k) {
        const int64_t j = begin + k, at = row * a.size + (a.reverse ? a.size - 1 - j : j);
        if (j < a.size) put<T>(a.y, a.result, at, plus(before, v[k]));
      }
      carry = plus(carry, total);
      __syncthreads();
    }
  }
}

template <class T>
__global__ void __launch_bounds__(kThreads) scan_columns(ScanArgs a) {
  for (int64_t u = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; u < a.outer * a.inner;
       u += static_cast<int64_t>(gridDim.x) * kThreads) {
    const int64_t first = u / a.inner * a.size * a.inner + u % a.inner;
    T sum = 0;
    for (int64_t k = 0; k < a.size; ++k) {
      const int64_t at = first + (a.reverse ? a.size - 1 - k : k) * a.inner;
      sum = plus(sum, read<T>(a.x, a.dtype, at));
      put<T>(a.y, a.result, at, sum);
    }
  }
}

template <class T>
__global__ void __launch_bounds__(kThreads) scan_linear(LinearScanArgs s) {
  for (int64_t u = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; u < s.outer * s.inner;
       u += static_cast<int64_t>(gridDim.x) * kThreads) {
    const int64_t first = u / s.inner * s.size * s.inner + u % s.inner;
    T y = 0;
    for (int64_t k = 0; k < s.size; ++k) {
      const int64_t at = first + (s.reverse ? s.size - 1 - k : k) * s.inner;
      const T b = read<T>(s.b, s.dtype, at);
      y = k ? plus(times(read<T>(s.a, s.dtype, at), y), b) : b;
      put<T>(s.y, s.dtype, at, y);
    }
  }
}

template <class F>
void for_numbers(DType dtype, F&& fn) {
  if (dtype == DType::f32)
    fn(float{});
  else if (dtype == DType::f64 || dtype == DType::bf16 || dtype == DType::f16)
    fn(double{});
  else
    fn(int64_t{});
}

}  // namespace

void cumsum_cuda(const ScanArgs& a, const Launch& l) {
  if (a.outer * a.size * a.inner == 0) return;
  for_numbers(a.dtype, [&]<class T>(T) {
    if (a.inner == 1)
      cuda::launch(l, scan_rows<T>, cuda::blocks_for(a.outer, 1), kThreads, 0, a);
    else
      cuda::launch(l, scan_columns<T>, cuda::blocks_for(a.outer * a.inner, kThreads), kThreads, 0, a);
  });
}

void linear_scan_cuda(const LinearScanArgs& a, const Launch& l) {
  if (a.outer * a.size * a.inner == 0) return;
  for_numbers(a.dtype, [&]<class T>(T) {
    cuda::launch(l, scan_linear<T>, cuda::blocks_for(a.outer * a.inner, kThreads), kThreads, 0, a);
  });
}

}  // namespace maas
