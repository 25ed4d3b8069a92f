#pragma once
// Starting kernels, and what kernels report. All launches go through launch(), so that .cu files are plain C++ for
// every other compiler too.
#include "core/error.h"
#include "core/launch.h"
#include "cuda/platform.h"
#ifdef MAAS_CUDA_EMULATE
#include <tuple>

#include "cuda/emulator/emulator.h"
#endif

namespace maas::cuda {

// RuntimeError, or MemoryError when memory is out; the text is CUDA's own.
void check(cudaError_t result, const char* what);

inline cudaStream_t stream(const Launch& l) { return static_cast<cudaStream_t>(l.stream); }

// Queues kernel(args...). `shared`: bytes of dynamic shared memory. `cluster`: blocks along x that share a cluster.
template <class... P, class... A>
void launch(const Launch& l, void (*kernel)(P...), dim3 grid, dim3 block, size_t shared, const A&... args);

// Rows of a grid that a kernel walks in steps of the grid, when one block takes `per_block` of `count` elements.
inline unsigned blocks_for(int64_t count, int64_t per_block, int64_t most = 1 << 30) {
  const int64_t blocks = (count + per_block - 1) / per_block;
  return static_cast<unsigned>(blocks < 1 ? 1 : blocks > most ? most : blocks);
}

#ifdef MAAS_CUDA_EMULATE
#include "cuda/emulator/launch.inc"
#else
template <class... P, class... A>
void launch(const Launch& l, void (*kernel)(P...), dim3 grid, dim3 block, size_t shared, const A&... args) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
  if (shared > 48 * 1024)
    check(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel), cudaFuncAttributeMaxDynamicSharedMemorySize,
                               static_cast<int>(shared)),
          "shared memory");
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = shared;
  config.stream = stream(l);
  check(cudaLaunchKernelEx(&config, kernel, static_cast<P>(args)...), "launch");
}
#endif

// By value into a kernel that reads indices.
struct Reporter {
  DeviceStatus* status;
  int step;
  __device__ void bad(int64_t position, int64_t value) const {
    if (atomicCAS(reinterpret_cast<unsigned long long*>(&status->position), ~0ull,
                  static_cast<unsigned long long>(position)) == ~0ull) {
      status->value = value;
      status->step = step;
    }
  }
};
inline Reporter reporter(const Launch& l) { return {l.status, l.step}; }

}  // namespace maas::cuda
