#pragma once
// A block's tile of a matrix product, from operands in shared memory to sums in registers. Operand A is BM x BK, B is
// BK x BN; each lies with k along its rows (kAlongK) or across them. Rows are padded by 16 bytes, so that neither
// 16-byte reads nor ldmatrix meet bank conflicts. Each sum is one chain over k ascending, in every tile.
#include "cuda/mma.h"
#include "cuda/vector.h"

namespace maas {
namespace {

// What every choice is made for: scratch is asked for before a launch knows its GPU.
constexpr int64_t kMultiprocessors = 132;

template <class T, int BM, int BN, int BK, bool kAlongKA, bool kAlongKB>
struct TileLayout {
  static constexpr int kPad = 16 / static_cast<int>(sizeof(T));
  static constexpr int kRowA = (kAlongKA ? BK : BM) + kPad, kRowB = (kAlongKB ? BK : BN) + kPad;
  static constexpr int kSizeA = (kAlongKA ? BM : BK) * kRowA, kSizeB = (kAlongKB ? BN : BK) * kRowB;
  static constexpr int kStage = kSizeA + kSizeB;  // elements
  static constexpr int kRowSums = BN + 8;         // of the sums in shared memory, floats
  static constexpr bool kAsync = false;           // step() is done when it returns
  static constexpr int kAlign = 16;
  // Where place `p` of row `r` lies.
  static __device__ __forceinline__ int at_a(int r, int p) { return r * kRowA + p; }
  static __device__ __forceinline__ int at_b(int r, int p) { return r * kRowB + p; }
  // Asynchronous tiles: by who wrote operands, before the barrier that step() needs; the end of step().
  static __device__ __forceinline__ void written() {}
  __device__ __forceinline__ void wait() {}
};

// float32 on the FMA units. A thread has TM x TN sums; a warp is 4 x 8 threads.
template <int BM, int BN, int BK, int TM, int TN, bool kAlongKA, bool kAlongKB>
struct FmaTile : TileLayout<float, BM, BN, BK, kAlongKA, kAlongKB> {
  using Layout = TileLayout<float, BM, BN, BK, kAlongKA, kAlongKB>;
  static constexpr int kX = BN / TN, kY = BM / TM, kThreads = kX * kY;
  static_assert(kX % 8 == 0 && kY % 4 == 0 && BK % 4 == 0 && TM % 4 == 0 && TN % 4 == 0);
  float sum[TM][TN];
  int x, y;

  __device__ __forceinline__ FmaTile() {
    x = cuda::warp() % (kX / 8) * 8 + cuda::lane() % 8;
    y = cuda::warp() / (kX / 8) * 4 + cuda::lane() / 8;
#pragma unroll
    for (int i = 0; i < TM; ++i)
#pragma unroll
      for (int j = 0; j < TN; ++j) sum[i][j] = 0;
  }
  __device__ __forceinline__ int row(int i) const { return kAlongKA ? y + i * kY : (y + i / 4 * kY) * 4 + i % 4; }
  __device__ __forceinline__ int column(int j) const { return kAlongKB ? x + j * kX : (x + j / 4 * kX) * 4 + j % 4; }

  __device__ __forceinline__ void step(const float* a, const float* b) {
    using cuda::load;
    using cuda::Vector;
#pragma unroll
    for (int k = 0; k < BK; k += 4) {
      float bs[4][TN];
      if constexpr (kAlongKB) {
#pragma unroll
        for (int j = 0; j < TN; ++j) {
          const Vector<float> v = load(b + column(j) * Layout::kRowB + k);
#pragma unroll
          for (int q = 0; q < 4; ++q) bs[q][j] = v[q];
        }
      } else {
#pragma unroll
        for (int q = 0; q < 4; ++q)
#pragma unroll
          for (int j = 0; j < TN; j += 4) {
            const Vector<float> v = load(b + (k + q) * Layout::kRowB + column(j));
#pragma unroll
            for (int e = 0; e < 4; ++e) bs[q][j + e] = v[e];
          }
      }
      if constexpr (kAlongKA) {
#pragma unroll
        for (int i = 0; i < TM; ++i) {
          const Vector<float> v = load(a + row(i) * Layout::kRowA + k);
#pragma unroll
          for (int q = 0; q < 4; ++q)
#pragma unroll
            for (int j = 0; j < TN; ++j) sum[i][j] = fmaf(v[q], bs[q][j], sum[i][j]);
        }
      } else {
#pragma unroll
        for (int q = 0; q < 4; ++q)
#pragma unroll
          for (int i = 0; i < TM; i += 4) {
            const Vector<float> v = load(a + (k + q) * Layout::kRowA + row(i));
#pragma unroll
            for (int e = 0; e < 4; ++e)
#pragma unroll
              for (int j = 0; j < TN; ++j) sum[i + e][j] = fmaf(v[e], bs[q][j], sum[i + e][j]);
          }
      }
    }
  }
  __device__ __forceinline__ void store(float* to) const {
#pragma unroll
    for (int i = 0; i < TM; ++i)
#pragma unroll
      for (int j = 0; j < TN; j += kAlongKB ? 1 : 4) {
        float* const at = to + row(i) * Layout::kRowSums + column(j);
        if constexpr (kAlongKB) {
          *at = sum[i][j];
        } else {
          cuda::Vector<float> v;
#pragma unroll
          for (int e = 0; e < 4; ++e) v[e] = sum[i][j + e];
          cuda::store(at, v);
        }
      }
  }
};

__device__ __forceinline__ void mma(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], __nv_bfloat16) {
  cuda::mma_bf16(d, a, b);
}
__device__ __forceinline__ void mma(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], __half) {
  cuda::mma_f16(d, a, b);
}

// 16-bit operands on the tensor cores, sums in float32. A warp has WM x WN of them.
template <class T, int BM, int BN, int BK, int WM, int WN, bool kAlongKA, bool kAlongKB>
struct TensorTile : TileLayout<T, BM, BN, BK, kAlongKA, kAlongKB> {
  using Layout = TileLayout<T, BM, BN, BK, kAlongKA, kAlongKB>;
  static constexpr int kWarpsN = BN / WN, kThreads = BM / WM * kWarpsN * 32;
  static_assert(WM % 16 == 0 && WN % 16 == 0 && BK % 16 == 0);
  float sum[WM / 16][WN / 8][4];
  int row0, column0;

  __device__ __forceinline__ TensorTile() {
    row0 = cuda::warp() / kWarpsN * WM;
    column0 = cuda::warp() % kWarpsN * WN;
#pragma unroll
    for (int i = 0; i < WM / 16; ++i)
#pragma unroll
      for (int j = 0; j < WN / 8; ++j)
#pragma unroll
        for (int e = 0; e < 4; ++e) sum[i][j][e] = 0;
  }

  __device__ __forceinline__ void step(const T* a, const T* b) {
    const int lane = cuda::lane();
#pragma unroll
    for (int k = 0; k < BK; k += 16) {
      uint32_t as[WM / 16][4], bs[WN / 8][2];
#pragma unroll
      for (int i = 0; i < WM / 16; ++i) {
        const int row = row0 + i * 16;
        if constexpr (kAlongKA)
          cuda::ldmatrix_x4(as[i], a + (row + lane % 16) * Layout::kRowA + k + lane / 16 * 8);
        else
          cuda::ldmatrix_x4_trans(as[i], a + (k + lane % 8 + lane / 16 * 8) * Layout::kRowA + row + lane / 8 % 2 * 8);
      }
#pragma unroll
      for (int j = 0; j < WN / 8; j += 2) {
        const int column = column0 + j * 8;
        uint32_t r[4];
        if constexpr (kAlongKB)
          cuda::ldmatrix_x4(r, b + (column + lane % 8 + lane / 16 * 8) * Layout::kRowB + k + lane / 8 % 2 * 8);
        else
          cuda::ldmatrix_x4_trans(r, b + (k + lane % 16) * Layout::kRowB + column + lane / 16 * 8);
        bs[j][0] = r[0];
        bs[j][1] = r[1];
        bs[j + 1][0] = r[2];
        bs[j + 1][1] = r[3];
      }
#pragma unroll
      for (int i = 0; i < WM / 16; ++i)
#pragma unroll
        for (int j = 0; j < WN / 8; ++j) mma(sum[i][j], as[i], bs[j], T());
    }
  }
  __device__ __forceinline__ void store(float* to) const {
    const int g = cuda::lane() / 4, t = cuda::lane() % 4;
#pragma unroll
    for (int i = 0; i < WM / 16; ++i)
#pragma unroll
      for (int j = 0; j < WN / 8; ++j)
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          cuda::Vector<float, 2> v;
          v[0] = sum[i][j][2 * half];
          v[1] = sum[i][j][2 * half + 1];
          cuda::store(to + (row0 + i * 16 + half * 8 + g) * Layout::kRowSums + column0 + j * 8 + 2 * t, v);
        }
  }
};

// Tiles as kernels and the choice of one see them: sizes, stages of the pipeline, blocks that should fit on a
// multiprocessor, threads, and the part of a unit's peak that a full machine reaches, in percent.
template <class T_, int M, int N, int K, int kStages_, int kBlocks_, int kPart_>
struct TileSizes {
  using T = T_;
  static constexpr int BM = M, BN = N, BK = K, kStages = kStages_, kBlocks = kBlocks_, kPart = kPart_;
};
template <int M, int N, int K, int TM, int TN, int kStages, int kBlocks, int kPart>
struct FmaConfig : TileSizes<float, M, N, K, kStages, kBlocks, kPart> {
  static constexpr int kThreads = (M / TM) * (N / TN);
  template <bool A, bool B>
  using Tile = FmaTile<M, N, K, TM, TN, A, B>;
};
template <class T, int M, int N, int K, int WM, int WN, int kStages, int kBlocks, int kPart>
struct TensorConfig : TileSizes<T, M, N, K, kStages, kBlocks, kPart> {
  static constexpr int kThreads = (M / WM) * (N / WN) * 32;
  template <bool A, bool B>
  using Tile = TensorTile<T, M, N, K, WM, WN, A, B>;
};

// ---- the choice of a tile

struct TileChoice {
  int tile = 0, parts = 1;  // parts that the sum over k is cut into
};
struct TileCost {
  int bm, bn, bk, part;
  double rate;            // multiplications a clock of a multiprocessor, at the unit's peak
  bool clusters = false;  // parts may be blocks of a cluster
};
template <class Config>
constexpr TileCost tile_cost() {
  return {Config::BM, Config::BN, Config::BK, Config::kPart, sizeof(typename Config::T) == 4 ? 128. : 2048.};
}
// Clocks, roughly, of blocks of so many steps: what the fullest multiprocessor does, a wait per step that other blocks
// hide, a start and an end.
inline double tile_clocks(const TileCost& c, int64_t blocks, int64_t steps) {
  const double step = static_cast<double>(c.bm) * c.bn * c.bk / (c.rate * c.part / 100);
  const double fullest = static_cast<double>((blocks + kMultiprocessors - 1) / kMultiprocessors);
  return static_cast<double>(steps) * (fullest * step + (fullest < 2 ? 250 : 60)) + 2000;
}

}  // namespace
}  // namespace maas
