#pragma once
// Bulk tensor copies (Hopper): tensor maps, copies between global and shared memory, the barriers that they complete
// on, and what goes with warp-specialised kernels. HARDWARE rows only.
//
// A kernel takes its map as `const __grid_constant__ CUtensorMap map`; one thread starts a copy:
//   mbarrier_expect(&full, bytes); tma_load(block, map, &full, column, row);   others: mbarrier_wait(&full, parity);
// Coordinates are in elements, innermost first. Parts of a box beyond the tensor read as zeros and still count as
// bytes; stores leave them out. Swizzled blocks in shared memory are 1024-byte aligned.
#include <cuda.h>
#include <cuda_runtime.h>

#include <cstdint>

#include "core/error.h"

#ifdef MAAS_CUDA_EMULATE
#include "cuda/emulator/hopper.h"
#else
namespace maas::cuda {

// ---- on the host

// A dense-in-its-last-axis tensor of up to 5 axes, outermost first as everywhere in maas. `strides`: elements, of all
// axes but the last. A `box` is what one copy moves: at most 256 an axis, and 128 bytes along the last when swizzled.
// Wants: address and strides in multiples of 16 bytes.
inline CUtensorMap tensor_map(CUtensorMapDataType type, int element_bytes, const void* data, int rank,
                              const int64_t* shape, const int64_t* strides, const int* box,
                              CUtensorMapSwizzle swizzle = CU_TENSOR_MAP_SWIZZLE_128B) {
  using Encode = CUresult (*)(CUtensorMap*, CUtensorMapDataType, cuuint32_t, void*, const cuuint64_t*,
                              const cuuint64_t*, const cuuint32_t*, const cuuint32_t*, CUtensorMapInterleave,
                              CUtensorMapSwizzle, CUtensorMapL2promotion, CUtensorMapFloatOOBfill);
  static const Encode encode = [] {
    void* found = nullptr;
    cudaDriverEntryPointQueryResult status{};
    if (cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &found, 12000, cudaEnableDefault, &status) !=
            cudaSuccess ||
        status != cudaDriverEntryPointSuccess)
      fail(ErrorKind::runtime, "the driver has no cuTensorMapEncodeTiled; CUDA 12 or later is needed");
    return reinterpret_cast<Encode>(found);
  }();
  cuuint64_t sizes[5], bytes[5];
  cuuint32_t boxes[5], ones[5];
  for (int i = 0; i < rank; ++i) {
    const int axis = rank - 1 - i;  // the driver counts from the innermost
    sizes[i] = static_cast<cuuint64_t>(shape[axis]);
    boxes[i] = static_cast<cuuint32_t>(box[axis]);
    ones[i] = 1;
    if (i > 0) bytes[i - 1] = static_cast<cuuint64_t>(strides[axis] * element_bytes);
  }
  CUtensorMap map;
  const CUresult result = encode(&map, type, static_cast<cuuint32_t>(rank), const_cast<void*>(data), sizes, bytes,
                                 boxes, ones, CU_TENSOR_MAP_INTERLEAVE_NONE, swizzle,
                                 CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (result != CUDA_SUCCESS) fail(ErrorKind::runtime, "tensor map: the driver answered ", static_cast<int>(result));
  return map;
}

// ---- addresses

namespace detail {
__device__ __forceinline__ uint32_t in_shared(const void* p) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(p));
}
}  // namespace detail

// The next 1024-byte bound: dynamic shared memory is sure to start at a 128-byte one only. Ask for 1024 bytes more.
__device__ __forceinline__ unsigned char* align_1024(unsigned char* p) {
  return p + ((1024u - (detail::in_shared(p) & 1023u)) & 1023u);
}

// ---- barriers in shared memory (64 bits each). Phases alternate in parity, from 0 on; waiting for parity 1 on a fresh
// barrier returns at once.

__device__ __forceinline__ void mbarrier_init(uint64_t* barrier, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(detail::in_shared(barrier)), "r"(arrivals) : "memory");
}
// After init, before the barriers are used by copies or other blocks of the cluster (then also cluster_sync or
// __syncthreads).
__device__ __forceinline__ void mbarrier_init_fence() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}
// Arrives, and adds bytes that copies will bring before the phase ends.
__device__ __forceinline__ void mbarrier_expect(uint64_t* barrier, uint32_t bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(detail::in_shared(barrier)), "r"(bytes)
               : "memory");
}
__device__ __forceinline__ void mbarrier_arrive(uint64_t* barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(detail::in_shared(barrier)) : "memory");
}
// At the barrier of the same name in block `rank` of the cluster.
__device__ __forceinline__ void mbarrier_arrive_at(uint64_t* barrier, uint32_t rank) {
  asm volatile(
      "{\n.reg .b32 remote;\nmapa.shared::cluster.u32 remote, %0, %1;\n"
      "mbarrier.arrive.release.cluster.shared::cluster.b64 _, [remote];\n}\n" ::"r"(detail::in_shared(barrier)),
      "r"(rank)
      : "memory");
}
__device__ __forceinline__ bool mbarrier_try(uint64_t* barrier, uint32_t parity) {
  uint32_t done;
  asm volatile("{\n.reg .pred p;\nmbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\nselp.b32 %0, 1, 0, p;\n}\n"
               : "=r"(done)
               : "r"(detail::in_shared(barrier)), "r"(parity)
               : "memory");
  return done != 0;
}
__device__ __forceinline__ void mbarrier_wait(uint64_t* barrier, uint32_t parity) {
  while (!mbarrier_try(barrier, parity)) {
  }
}
// The same where other blocks of the cluster arrive and their reads of our shared memory must be over.
__device__ __forceinline__ void mbarrier_wait_cluster(uint64_t* barrier, uint32_t parity) {
  uint32_t done = 0;
  while (!done)
    asm volatile(
        "{\n.reg .pred p;\nmbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 p, [%1], %2;\n"
        "selp.b32 %0, 1, 0, p;\n}\n"
        : "=r"(done)
        : "r"(detail::in_shared(barrier)), "r"(parity)
        : "memory");
}

// ---- copies

__device__ __forceinline__ void tma_prefetch(const CUtensorMap& map) {
  asm volatile("prefetch.tensormap [%0];" ::"l"(&map) : "memory");
}

// global -> shared, completes on `barrier` of this block.
__device__ __forceinline__ void tma_load(void* block, const CUtensorMap& map, uint64_t* barrier, int c0, int c1) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4}], [%2];" ::"r"(
          detail::in_shared(block)),
      "l"(&map), "r"(detail::in_shared(barrier)), "r"(c0), "r"(c1)
      : "memory");
}
__device__ __forceinline__ void tma_load(void* block, const CUtensorMap& map, uint64_t* barrier, int c0, int c1,
                                         int c2) {
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5}], [%2];" ::
          "r"(detail::in_shared(block)),
      "l"(&map), "r"(detail::in_shared(barrier)), "r"(c0), "r"(c1), "r"(c2)
      : "memory");
}
__device__ __forceinline__ void tma_load(void* block, const CUtensorMap& map, uint64_t* barrier, int c0, int c1, int c2,
                                         int c3) {
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.mbarrier::complete_tx::bytes "
      "[%0], [%1, {%3, %4, %5, %6}], [%2];" ::"r"(detail::in_shared(block)),
      "l"(&map), "r"(detail::in_shared(barrier)), "r"(c0), "r"(c1), "r"(c2), "r"(c3)
      : "memory");
}
// To the same place in every block of `mask`, completing on the same barrier there.
__device__ __forceinline__ void tma_load_multicast(void* block, const CUtensorMap& map, uint64_t* barrier,
                                                   uint16_t mask, int c0, int c1, int c2) {
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster "
      "[%0], [%1, {%4, %5, %6}], [%2], %3;" ::"r"(detail::in_shared(block)),
      "l"(&map), "r"(detail::in_shared(barrier)), "h"(mask), "r"(c0), "r"(c1), "r"(c2)
      : "memory");
}

// shared -> global. Ordinary stores to the block need copy_fence() in the threads that wrote and a barrier before.
// tma_store_commit() closes a group; tma_store_wait<n>() until at most n groups still read shared memory;
// tma_store_done() until all is written. All by the thread that stored.
__device__ __forceinline__ void tma_store(const CUtensorMap& map, const void* block, int c0, int c1, int c2) {
  asm volatile("cp.async.bulk.tensor.3d.global.shared::cta.bulk_group [%0, {%2, %3, %4}], [%1];" ::"l"(&map),
               "r"(detail::in_shared(block)), "r"(c0), "r"(c1), "r"(c2)
               : "memory");
}
__device__ __forceinline__ void tma_store(const CUtensorMap& map, const void* block, int c0, int c1, int c2, int c3) {
  asm volatile("cp.async.bulk.tensor.4d.global.shared::cta.bulk_group [%0, {%2, %3, %4, %5}], [%1];" ::"l"(&map),
               "r"(detail::in_shared(block)), "r"(c0), "r"(c1), "r"(c2), "r"(c3)
               : "memory");
}
__device__ __forceinline__ void tma_store_commit() { asm volatile("cp.async.bulk.commit_group;" ::: "memory"); }
template <int kLeft>
__device__ __forceinline__ void tma_store_wait() {
  asm volatile("cp.async.bulk.wait_group.read %0;" ::"n"(kLeft) : "memory");
}
__device__ __forceinline__ void tma_store_done() { asm volatile("cp.async.bulk.wait_group 0;" ::: "memory"); }

// Shared memory written by ordinary stores, before copies or wgmma read it: by every writer, then a barrier.
__device__ __forceinline__ void copy_fence() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

// Byte `byte` of row `row` (128 bytes each) lies here in a block with 128-byte swizzle.
__device__ __forceinline__ uint32_t swizzle_128(uint32_t row, uint32_t byte) {
  return row * 128 + (byte ^ ((row & 7) << 4));
}

// ---- warp-specialised kernels

// One lane of a warp, the same in every call; all lanes must be there.
__device__ __forceinline__ bool elect_one() {
  uint32_t elected;
  asm volatile("{\n.reg .pred p;\nelect.sync _|p, 0xffffffff;\nselp.b32 %0, 1, 0, p;\n}\n" : "=r"(elected));
  return elected != 0;
}
// Registers a thread, in multiples of 8; by all warps of a warpgroup, in kernels with __launch_bounds__(threads, 1).
template <int kRegisters>
__device__ __forceinline__ void fewer_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kRegisters));
}
template <int kRegisters>
__device__ __forceinline__ void more_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kRegisters));
}
// A barrier of some warps of the block; numbers 1 to 15, 0 is __syncthreads.
__device__ __forceinline__ void named_barrier(int number, int threads) {
  asm volatile("barrier.sync %0, %1;" ::"r"(number), "r"(threads) : "memory");
}
// For others to wait for, without waiting.
__device__ __forceinline__ void named_barrier_arrive(int number, int threads) {
  asm volatile("barrier.arrive %0, %1;" ::"r"(number), "r"(threads) : "memory");
}

__device__ __forceinline__ uint32_t cluster_rank() {
  uint32_t rank;
  asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return rank;
}
__device__ __forceinline__ void cluster_arrive() {
  asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory");
}
__device__ __forceinline__ void cluster_wait() { asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory"); }
__device__ __forceinline__ void cluster_sync() {
  cluster_arrive();
  cluster_wait();
}

}  // namespace maas::cuda
#endif
