#pragma once
// Kernels whose blocks all run at once and wait for each other through flags in global memory. For files of hardware
// rows: the emulator runs blocks one after the other.
#include "cuda/launch.h"

#ifndef MAAS_CUDA_EMULATE
namespace maas::cuda {

// By one thread behind a barrier of those that wrote: publishes what they wrote to all of the GPU.
__device__ __forceinline__ void flag_set(uint32_t* flag, uint32_t value) {
  asm volatile(
      "fence.acq_rel.gpu;\n"
      "st.relaxed.gpu.global.u32 [%0], %1;" ::"l"(__cvta_generic_to_global(flag)),
      "r"(value)
      : "memory");
}
// Until the flag is at least `value`; what was published with it can be read with load_shared_by_all.
__device__ __forceinline__ void flag_wait(const uint32_t* flag, uint32_t value) {
  uint32_t v;
  do asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(v) : "l"(__cvta_generic_to_global(flag)) : "memory");
  while (static_cast<int32_t>(v - value) < 0);
}
// From L2, where other blocks' writes are; 16 bytes.
__device__ __forceinline__ uint4 load_shared_by_all(const void* p) {
  uint4 v;
  asm volatile("ld.relaxed.gpu.global.v4.u32 {%0,%1,%2,%3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "l"(__cvta_generic_to_global(p))
               : "memory");
  return v;
}

template <class... P>
bool grid_fits(void (*kernel)(P...), unsigned blocks, dim3 block, size_t shared, int multiprocessors) {
  if (cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel), cudaFuncAttributeMaxDynamicSharedMemorySize,
                           static_cast<int>(shared)) != cudaSuccess)
    return (void)cudaGetLastError(), false;
  int each = 0;
  if (cudaOccupancyMaxActiveBlocksPerMultiprocessor(&each, kernel, static_cast<int>(block.x), shared) != cudaSuccess)
    return (void)cudaGetLastError(), false;
  return static_cast<int64_t>(each) * multiprocessors >= blocks;
}

// Queues kernel(args...); all its blocks start together. grid_fits() said yes.
template <class... P, class... A>
void launch_together(const Launch& l, void (*kernel)(P...), unsigned blocks, dim3 block, size_t shared,
                     const A&... args) {
  cudaLaunchAttribute attribute{};
  attribute.id = cudaLaunchAttributeCooperative;
  attribute.val.cooperative = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(blocks);
  config.blockDim = block;
  config.dynamicSmemBytes = shared;
  config.stream = stream(l);
  config.attrs = &attribute;
  config.numAttrs = 1;
  check(cudaLaunchKernelEx(&config, kernel, static_cast<P>(args)...), "launch of a whole grid");
}

}  // namespace maas::cuda
#endif
