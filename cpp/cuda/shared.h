#pragma once
// Dynamic shared memory, as many bytes as the launch asked for, 128-byte aligned.
#include "cuda/platform.h"

namespace maas::cuda {

template <class T = unsigned char>
__device__ __forceinline__ T* shared() {
#ifdef MAAS_CUDA_EMULATE
  return reinterpret_cast<T*>(emulator::dynamic_shared());
#else
  extern __shared__ __align__(128) unsigned char maas_dynamic_shared[];
  return reinterpret_cast<T*>(maas_dynamic_shared);
#endif
}

// Address in the shared window, as PTX takes it.
__device__ __forceinline__ uint32_t shared_address(const void* p) {
#ifdef MAAS_CUDA_EMULATE
  return static_cast<uint32_t>(reinterpret_cast<uintptr_t>(p));
#else
  return static_cast<uint32_t>(__cvta_generic_to_shared(p));
#endif
}

}  // namespace maas::cuda
