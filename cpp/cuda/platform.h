#pragma once
// The words of CUDA C++: the toolkit's own under nvcc, the emulator's for every other compiler.
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstdint>

#ifdef MAAS_CUDA_EMULATE
#include "cuda/emulator/device.h"
#endif

namespace maas::cuda {

inline constexpr int kWarp = 32;
inline constexpr unsigned kAllLanes = 0xffffffffu;

// Rank of this thread in its block, x fastest.
__device__ __forceinline__ int thread_rank() {
  return static_cast<int>(threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z));
}
__device__ __forceinline__ int block_threads() { return static_cast<int>(blockDim.x * blockDim.y * blockDim.z); }
__device__ __forceinline__ int lane() { return thread_rank() & (kWarp - 1); }
__device__ __forceinline__ int warp() { return thread_rank() / kWarp; }

}  // namespace maas::cuda
