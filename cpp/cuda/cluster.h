#pragma once
// Blocks of a cluster that write into each other's shared memory, and what waits for such writes. sm_90 only: for
// files of hardware rows.
#include "cuda/launch.h"
#include "cuda/shared.h"

#ifndef MAAS_CUDA_EMULATE
namespace maas::cuda {

__device__ __forceinline__ uint32_t cluster_rank() {
  uint32_t rank;
  asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return rank;
}
// All threads of all blocks of the cluster; orders their accesses to shared memory.
__device__ __forceinline__ void cluster_sync() {
  asm volatile(
      "barrier.cluster.arrive.release.aligned;\n"
      "barrier.cluster.wait.acquire.aligned;" ::
          : "memory");
}
// `threads` threads of the block, whole warps; id 1 to 15.
__device__ __forceinline__ void named_sync(int id, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

// Of what this address in shared memory is in the block `rank`.
__device__ __forceinline__ uint32_t remote_address(const void* mine, uint32_t rank) {
  uint32_t address;
  asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(address) : "r"(shared_address(mine)), "r"(rank));
  return address;
}

// A phase of an mbarrier ends when one thread of its own block has said how many bytes must come, and they came.
using Mbarrier = unsigned long long;
__device__ __forceinline__ void mbarrier_init(Mbarrier* bar) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(shared_address(bar)) : "memory");
}
// Behind all mbarrier_init, before the cluster_sync that publishes them.
__device__ __forceinline__ void mbarrier_init_fence() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}
__device__ __forceinline__ void mbarrier_expect(Mbarrier* bar, uint32_t bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(bar)), "r"(bytes)
               : "memory");
}
// Until the phase of this parity has ended; makes the bytes visible.
__device__ __forceinline__ void mbarrier_wait(Mbarrier* bar, uint32_t parity) {
  asm volatile(
      "{\n"
      ".reg .pred done;\n"
      "again:\n"
      "mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 done, [%0], %1;\n"
      "@!done bra again;\n"
      "}" ::"r"(shared_address(bar)),
      "r"(parity)
      : "memory");
}
// 16 or 4 bytes into the shared memory of a block; they count for its mbarrier.
__device__ __forceinline__ void remote_store(uint32_t to, uint32_t bar, uint32_t x, uint32_t y, uint32_t z,
                                             uint32_t w) {
  asm volatile("st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.v4.b32 [%0], {%1,%2,%3,%4}, [%5];" ::"r"(to),
               "r"(x), "r"(y), "r"(z), "r"(w), "r"(bar)
               : "memory");
}

__device__ __forceinline__ void remote_store(uint32_t to, uint32_t bar, uint32_t x) {
  asm volatile("st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.b32 [%0], %1, [%2];" ::"r"(to), "r"(x),
               "r"(bar)
               : "memory");
}

// Relative error 2^-11.
__device__ __forceinline__ float approximate_tanh(float v) {
  float y;
  asm("tanh.approx.f32 %0, %1;" : "=f"(y) : "f"(v));
  return y;
}

// Whether a cluster of this size with these kernels' needs fits on the GPU at all.
template <class... P>
bool cluster_fits(void (*kernel)(P...), unsigned cluster, dim3 block, size_t shared) {
  const auto* const address = reinterpret_cast<const void*>(kernel);
  if (cluster > 8 && cudaFuncSetAttribute(address, cudaFuncAttributeNonPortableClusterSizeAllowed, 1) != cudaSuccess)
    return (void)cudaGetLastError(), false;
  if (cudaFuncSetAttribute(address, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared)) !=
      cudaSuccess)
    return (void)cudaGetLastError(), false;
  cudaLaunchAttribute attribute{};
  attribute.id = cudaLaunchAttributeClusterDimension;
  attribute.val.clusterDim = {cluster, 1, 1};
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(cluster);
  config.blockDim = block;
  config.dynamicSmemBytes = shared;
  config.attrs = &attribute;
  config.numAttrs = 1;
  int clusters = 0;
  if (cudaOccupancyMaxActiveClusters(&clusters, kernel, &config) != cudaSuccess) return (void)cudaGetLastError(), false;
  return clusters > 0;
}

// Queues kernel(args...) on `clusters` clusters of `cluster` blocks, along x. cluster_fits() said yes.
template <class... P, class... A>
void launch_clusters(const Launch& l, void (*kernel)(P...), unsigned clusters, unsigned cluster, dim3 block,
                     size_t shared, const A&... args) {
  if (!clusters) return;
  cudaLaunchAttribute attribute{};
  attribute.id = cudaLaunchAttributeClusterDimension;
  attribute.val.clusterDim = {cluster, 1, 1};
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(clusters * cluster);
  config.blockDim = block;
  config.dynamicSmemBytes = shared;
  config.stream = stream(l);
  config.attrs = &attribute;
  config.numAttrs = 1;
  check(cudaLaunchKernelEx(&config, kernel, static_cast<P>(args)...), "launch of clusters");
}

}  // namespace maas::cuda
#endif
