// Random numbers on a GPU: the words of the CPU (core/random.h), four elements a thread and turn.
#include <cmath>

#include "cuda/element.h"
#include "cuda/launch.h"
#include "cuda/philox.h"
#include "cuda/shared.h"
#include "cuda/vector.h"
#include "ops/random/random_kernels.h"

#define MAAS_EVERYWHERE __device__ __forceinline__
#include "core/normal_quantile.inc"

#define MAAS_KERNELS "ops/random/kernels.inc"
#define MAAS_KERNEL_ARGS RandomArgs
#define MAAS_KERNEL_TABLE random_kernels
#include "cuda/kernel_table.h"

#define MAAS_KERNELS "ops/random/dropout_kernels.inc"
#define MAAS_KERNEL_ARGS RandomArgs
#define MAAS_KERNEL_TABLE dropout_kernels
#include "cuda/kernel_table.h"

namespace maas {
namespace {

constexpr int kThreads = 256;

// The state's key, made by one thread and shared by its block. Every thread of the block calls it.
__device__ __forceinline__ PhiloxKey key_of(const RandomArgs& a) {
  __shared__ PhiloxKey key;
  if (threadIdx.x == 0) {
    const int64_t state[] = {cuda::load_integer(a.state, a.state_dtype, 0),
                             cuda::load_integer(a.state, a.state_dtype, 1)};
    key = cuda::philox_key(state, a.stream);
  }
  __syncthreads();
  return key;
}

__device__ __forceinline__ uint32_t word(const uint4& w, int i) {
  return i == 0 ? w.x : i == 1 ? w.y : i == 2 ? w.z : w.w;
}
// 64-bit words of a block, low half first.
__device__ __forceinline__ uint64_t wide_word(const uint4& w, int i) {
  return i == 0 ? w.x | static_cast<uint64_t>(w.y) << 32 : w.z | static_cast<uint64_t>(w.w) << 32;
}

// Turns of a thread begin at elements first, first + step, ...: four elements each.
__device__ __forceinline__ int64_t first_element() {
  return (static_cast<int64_t>(blockIdx.x) * kThreads + static_cast<int64_t>(threadIdx.x)) * 4;
}
__device__ __forceinline__ int64_t step_elements() { return static_cast<int64_t>(gridDim.x) * kThreads * 4; }
unsigned grid(int64_t size, const Launch& l) {
  return cuda::blocks_for(size, kThreads * 4, int64_t{l.multiprocessors} * 16);
}

__device__ __forceinline__ double quantile(double p) {
  return normal_quantile_with(p, [](double x) { return log(x); });
}

// Sums and products are rounded one by one, as on the CPU.
template <RandomArgs::Kind kKind>
__device__ __forceinline__ float number_f32(const RandomArgs& a, uint32_t w) {
  const float low = static_cast<float>(a.low), high = static_cast<float>(a.high);
  if constexpr (kKind == RandomArgs::uniform) {
    const float y = __fadd_rn(low, __fmul_rn(cuda::uniform_f32(w), __fadd_rn(high, -low)));
    return y > a.last ? a.last : y;
  }
  double p = (w + 0.5) * 0x1p-32;
  if constexpr (kKind == RandomArgs::truncated) p = 0.022750131948179207 + p * 0.95449973610364158;
  return __fadd_rn(low, __fmul_rn(static_cast<float>(quantile(p)), high));
}
template <RandomArgs::Kind kKind>
__device__ __forceinline__ double number_f64(const RandomArgs& a, uint32_t w, uint64_t wide) {
  if constexpr (kKind == RandomArgs::uniform) {
    const double u = static_cast<double>(wide >> 11) * 0x1p-53;
    const double y = __dadd_rn(a.low, __dmul_rn(u, __dadd_rn(a.high, -a.low)));
    return y < a.high || !(a.low < a.high) ? y : a.low;
  }
  double p = (w + 0.5) * 0x1p-32;
  if constexpr (kKind == RandomArgs::truncated) p = 0.022750131948179207 + p * 0.95449973610364158;
  return __dadd_rn(a.low, __dmul_rn(quantile(p), a.high));
}

template <RandomArgs::Kind kKind>
__global__ void __launch_bounds__(kThreads) draw(const RandomArgs a) {
  const PhiloxKey key = key_of(a);
  const bool wide_words = kKind == RandomArgs::integer || (kKind == RandomArgs::uniform && a.dtype == DType::f64);
  for (int64_t i = first_element(); i < a.size; i += step_elements()) {
    // Element i has word i, or the pair of words that begins at 2 i.
    const uint64_t block = static_cast<uint64_t>(i) / 4;
    const uint4 low = cuda::philox_words(key, wide_words ? 2 * block : block);
    const uint4 high = wide_words ? cuda::philox_words(key, 2 * block + 1) : low;
    if (kKind != RandomArgs::integer && a.dtype == DType::f32 && i + 4 <= a.size &&
        reinterpret_cast<uintptr_t>(a.y) % 16 == 0) {
      cuda::Vector<float> v;
#pragma unroll
      for (int j = 0; j < 4; ++j) v[j] = number_f32<kKind>(a, word(low, j));
      cuda::store(static_cast<float*>(a.y) + i, v);
      continue;
    }
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      if (i + j >= a.size) break;
      const uint64_t wide = wide_word(j < 2 ? low : high, j % 2);
      if constexpr (kKind == RandomArgs::integer) {
        const uint64_t above = a.range ? __umul64hi(wide, a.range) : 0;
        cuda::store_element(a.y, a.dtype, i + j, static_cast<int64_t>(static_cast<uint64_t>(a.first) + above));
      } else {
        const uint32_t w = word(low, j);
        cuda::store_element(
            a.y, a.dtype, i + j,
            a.dtype == DType::f64 ? number_f64<kKind>(a, w, wide) : static_cast<double>(number_f32<kKind>(a, w)));
      }
    }
  }
}

// Fisher-Yates is one thread's work; the others draw the numbers, and everything lies in shared memory.
__global__ void __launch_bounds__(kThreads) permute(const RandomArgs a) {
  const PhiloxKey key = key_of(a);
  const int size = static_cast<int>(a.size);
  int32_t* order = cuda::shared<int32_t>();
  int32_t* with = order + size;
  for (int i = static_cast<int>(threadIdx.x); i < size; i += kThreads) {
    const uint4 words = cuda::philox_words(key, static_cast<uint64_t>(i) / 2);
    order[i] = i;
    with[i] = static_cast<int32_t>(__umul64hi(wide_word(words, i % 2), static_cast<uint64_t>(i) + 1));
  }
  __syncthreads();
  if (threadIdx.x == 0)
    for (int i = size - 1; i > 0; --i) {
      const int j = with[i];
      const int32_t at_i = order[i];
      order[i] = order[j];
      order[j] = at_i;
    }
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.x); i < size; i += kThreads) static_cast<int32_t*>(a.y)[i] = order[i];
}

template <class T>
__device__ __forceinline__ T kept(T x, double keep) {
  return cuda::from_float<T>(__fdiv_rn(cuda::to_float(x), static_cast<float>(keep)));
}
template <>
__device__ __forceinline__ double kept(double x, double keep) {
  return x / keep;
}

template <class T>
__global__ void __launch_bounds__(kThreads) drop(const RandomArgs a) {
  const PhiloxKey key = key_of(a);
  const T* x = static_cast<const T*>(a.x);
  T* y = static_cast<T*>(a.y);
  constexpr int kBytes = 4 * static_cast<int>(sizeof(T)) < 16 ? 4 * static_cast<int>(sizeof(T)) : 16;
  constexpr int kPiece = kBytes / static_cast<int>(sizeof(T)), kPieces = 4 / kPiece;
  const bool aligned = (reinterpret_cast<uintptr_t>(x) | reinterpret_cast<uintptr_t>(y)) % kBytes == 0;
  for (int64_t i = first_element(); i < a.size; i += step_elements()) {
    if (aligned && i + 4 <= a.size) {
      cuda::Vector<T, kPiece> v[kPieces];
#pragma unroll
      for (int k = 0; k < kPieces; ++k) v[k] = cuda::load<T, kPiece>(x + i + k * kPiece);
      const uint4 words = cuda::philox_words(key, static_cast<uint64_t>(i) / 4);
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        T& e = v[j / kPiece][j % kPiece];
        e = word(words, j) >> 8 >= a.threshold ? kept(e, a.keep) : cuda::from_float<T>(0.f);
      }
#pragma unroll
      for (int k = 0; k < kPieces; ++k) cuda::store(y + i + k * kPiece, v[k]);
      continue;
    }
    const uint4 words = cuda::philox_words(key, static_cast<uint64_t>(i) / 4);
#pragma unroll
    for (int j = 0; j < 4; ++j)
      if (i + j < a.size)
        y[i + j] = word(words, j) >> 8 >= a.threshold ? kept(x[i + j], a.keep) : cuda::from_float<T>(0.f);
  }
}

}  // namespace

void random_cuda(const RandomArgs& a, const Launch& l) {
  if (a.size == 0) return;
  switch (a.kind) {
    case RandomArgs::uniform:
      return cuda::launch(l, draw<RandomArgs::uniform>, grid(a.size, l), kThreads, 0, a);
    case RandomArgs::normal:
      return cuda::launch(l, draw<RandomArgs::normal>, grid(a.size, l), kThreads, 0, a);
    case RandomArgs::truncated:
      return cuda::launch(l, draw<RandomArgs::truncated>, grid(a.size, l), kThreads, 0, a);
    case RandomArgs::integer:
      return cuda::launch(l, draw<RandomArgs::integer>, grid(a.size, l), kThreads, 0, a);
    case RandomArgs::permutation:
      return cuda::launch(l, permute, 1, kThreads, static_cast<size_t>(a.size) * 2 * sizeof(int32_t), a);
  }
}

void dropout_f32_cuda(const RandomArgs& a, const Launch& l) {
  cuda::launch(l, drop<float>, grid(a.size, l), kThreads, 0, a);
}
void dropout_f64_cuda(const RandomArgs& a, const Launch& l) {
  cuda::launch(l, drop<double>, grid(a.size, l), kThreads, 0, a);
}
void dropout_bf16_cuda(const RandomArgs& a, const Launch& l) {
  cuda::launch(l, drop<__nv_bfloat16>, grid(a.size, l), kThreads, 0, a);
}
void dropout_f16_cuda(const RandomArgs& a, const Launch& l) {
  cuda::launch(l, drop<__half>, grid(a.size, l), kThreads, 0, a);
}

}  // namespace maas
