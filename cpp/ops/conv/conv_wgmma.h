#pragma once
// A block's tile on Hopper's warpgroup instructions: 64 rows a warpgroup. Operands lie in blocks of 64 elements a row
// with 128-byte swizzle, as cuda/wgmma.h says, written by 16-byte copies. HARDWARE rows only.
#include "cuda/wgmma.h"
#include "ops/conv/conv_tile.h"

namespace maas {
namespace {

template <class T, int BM, int BN, int BK, bool kAlongKA, bool kAlongKB>
struct WgmmaTile {
  static_assert(BM % 64 == 0 && BN % 64 == 0 && BK == 64);
  static constexpr int kThreads = BM / 64 * 128;
  static constexpr int kSizeA = BM * BK, kSizeB = BN * BK, kStage = kSizeA + kSizeB;
  static constexpr int kRowSums = BN + 8;
  static constexpr bool kAsync = true;
  static constexpr int kAlign = 1024;
  float sum[BN / 2];

  static __device__ __forceinline__ int swizzled(int rows, int r, int p) {
    return p / 64 * rows * 64 + r * 64 + (p % 64 / 8 ^ r % 8) * 8 + p % 8;
  }
  static __device__ __forceinline__ int at_a(int r, int p) { return swizzled(kAlongKA ? BM : BK, r, p); }
  static __device__ __forceinline__ int at_b(int r, int p) { return swizzled(kAlongKB ? BN : BK, r, p); }

  __device__ __forceinline__ WgmmaTile() {
#pragma unroll
    for (int i = 0; i < BN / 2; ++i) sum[i] = 0;
  }
  static __device__ __forceinline__ void written() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }
  __device__ __forceinline__ void step(const T* a, const T* b) {
    const int group = static_cast<int>(threadIdx.x) / 128;
    const T* const mine = a + group * 64 * 64;  // rows along k lie 64 apart; else a block has 64 rows of the product
    const uint64_t da = kAlongKA ? cuda::k_major(mine) : cuda::mn_major(mine, BK * 128);
    const uint64_t db = kAlongKB ? cuda::k_major(b) : cuda::mn_major(b, BK * 128);
    cuda::keep(sum);
    cuda::wgmma_fence();
#pragma unroll
    for (int k = 0; k < BK / 16; ++k)
      cuda::Wgmma<T, BN>::template ss<!kAlongKA, !kAlongKB>(sum, cuda::next_k<!kAlongKA>(da, k),
                                                            cuda::next_k<!kAlongKB>(db, k), 1);
    cuda::wgmma_commit();
  }
  __device__ __forceinline__ void wait() {
    cuda::wgmma_wait<0>();
    cuda::keep(sum);
  }
  __device__ __forceinline__ void store(float* to) const {
    const int thread = static_cast<int>(threadIdx.x), lane = thread % 32;
    const int row = thread / 32 * 16 + lane / 4, column = lane % 4 * 2;
#pragma unroll
    for (int j = 0; j < BN / 8; ++j)
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        cuda::Vector<float, 2> v;
        v[0] = sum[4 * j + 2 * half];
        v[1] = sum[4 * j + 2 * half + 1];
        cuda::store(to + (row + half * 8) * kRowSums + 8 * j + column, v);
      }
  }
};

template <class T, int M, int N, int kStages, int kBlocks, int kPart>
struct WgmmaConfig : TileSizes<T, M, N, 64, kStages, kBlocks, kPart> {
  static constexpr int kThreads = M / 64 * 128;
  static constexpr bool kWarpgroups = true;
  template <bool A, bool B>
  using Tile = WgmmaTile<T, M, N, 64, A, B>;
};

}  // namespace
}  // namespace maas
