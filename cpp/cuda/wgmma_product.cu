// A persistent product of 16-bit floats on Hopper. A block makes tiles of 128 x kN: one warp of the first warpgroup
// brings blocks of a and b (64 of k) into a ring of stages by bulk tensor copies, two warpgroups multiply 64 rows each.
// With kCluster 2, two blocks with neighbouring rows share b: each brings one half of it to both. The epilogue works on
// the sums in registers; tiles leave through shared memory by bulk tensor copies, while the next tile is on its way.
#include <algorithm>

#include "cuda/activation.h"
#include "cuda/blas.h"
#include "cuda/launch.h"
#include "cuda/shared.h"
#include "cuda/tma.h"
#include "cuda/wgmma.h"
#include "cuda/wgmma_product.h"

namespace maas::cuda {
namespace {

constexpr int kM = 128, kK = 64, kThreads = 384;
constexpr int kAtom = 64;                           // elements in 128 bytes
constexpr int kBlockBytes = kAtom * 64 * 2;         // of 64 rows of 128 bytes
constexpr int kStagingBytes = 2 * 2 * kBlockBytes;  // two blocks of c for each warpgroup
constexpr int kGroup = 8;                           // clusters of rows that are walked before the next columns

template <int kN>
struct Ring {
  static constexpr int kABytes = kM * kK * 2, kBBytes = kN * kK * 2, kStageBytes = kABytes + kBBytes;
  static constexpr int kStages = kN == 128 ? 6 : 4;
  static constexpr int kShared = 1024 + kStages * kStageBytes + kStagingBytes + kStages * 2 * 8;
  static_assert(kShared <= 227 * 1024);
};

template <class T>
struct Problem {
  int m, n, blocks;          // blocks of k
  int rows, columns, tiles;  // clusters of tiles along m, tiles along n, all of them
  int a_batches, b_batches;  // 0: one for all
  int64_t ldc, c_batch;
  EpilogueOf<T> epilogue;
};

struct Place {
  int batch, row, column;  // of the tile, in tiles; row of the cluster
};
template <class T>
__device__ __forceinline__ Place place(const Problem<T>& p, int tile) {
  const int one = p.rows * p.columns, at = tile % one;
  const int band = kGroup * p.columns, first = at / band * kGroup, rest = at % band;
  const int height = min(p.rows - first, kGroup);
  return {tile / one, first + rest % height, rest / height};
}

// 64 columns of a warpgroup's tile: the epilogue, then through `staging` to c. d: their part of the sums.
template <class T, ProductEpilogue::Activation kActivation>
__device__ __forceinline__ void store_columns(const Problem<T>& p, const CUtensorMap& map, const float* d,
                                              unsigned char* staging, int barrier, int batch, int row0, int column0) {
  const int thread = threadIdx.x % 128, warp = thread / 32, lane = thread % 32;
  const int row = row0 + warp * 16 + lane / 4, column = column0 + lane % 4 * 2;
  // What is not there is zero: no branches around registers.
  const bool adds = p.epilogue.residual, biased = p.epilogue.bias, first = p.epilogue.residual_first;
  const T* const residual = p.epilogue.residual + batch * p.c_batch + row * p.ldc + column;
  Vector<T, 2> more[8][2], bias[8];
#pragma unroll
  for (int j = 0; j < 8; ++j) {
    const bool in = column + j * 8 < p.n;
    bias[j] = {};
    more[j][0] = more[j][1] = {};
    if (biased && in) bias[j] = load_const<T, 2>(p.epilogue.bias + column + j * 8);
    if (adds && in && row < p.m) more[j][0] = load_const<T, 2>(residual + j * 8);
    if (adds && in && row + 8 < p.m) more[j][1] = load_const<T, 2>(residual + 8 * p.ldc + j * 8);
  }
  uint32_t packed[8][2];
#pragma unroll
  for (int j = 0; j < 8; ++j)
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      float v[2];
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const float added = to_float(more[j][h][i]), sum = d[j * 4 + h * 2 + i] + to_float(bias[j][i]);
        v[i] = activate<kActivation>(sum + (first ? added : 0.f)) + (first ? 0.f : added);
      }
      packed[j][h] = pack<T>(v[0], v[1]);
    }
  // The copy that left from this half of the staging two steps ago must have read it.
  if (thread == 0) tma_store_wait<1>();
  named_barrier(barrier, 128);
  const int matrix = lane / 8;
  const uint32_t line = static_cast<uint32_t>(warp * 16 + matrix % 2 * 8 + lane % 8);
#pragma unroll
  for (int j = 0; j < 8; j += 2)
    store_matrix(staging + swizzle_128(line, static_cast<uint32_t>(j + matrix / 2) * 16), packed[j][0], packed[j][1],
                 packed[j + 1][0], packed[j + 1][1]);
  copy_fence();
  named_barrier(barrier, 128);
  if (thread == 0) {
    if (row0 < p.m) tma_store(map, staging, column0, row0, batch);
    tma_store_commit();
  }
}

// `turn`: which half of the staging is next.
template <class T, ProductEpilogue::Activation kActivation, int kN>
__device__ __forceinline__ void store_tile(const Problem<T>& p, const CUtensorMap& map, const float (&d)[kN / 2],
                                           unsigned char* staging, int& turn, int barrier, int batch, int row0,
                                           int column0) {
#pragma unroll
  for (int c = 0; c < kN / kAtom; ++c)
    if (column0 + c * kAtom < p.n) {
      store_columns<T, kActivation>(p, map, d + c * 32, staging + turn * kBlockBytes, barrier, batch, row0,
                                    column0 + c * kAtom);
      turn ^= 1;
    }
}

// kRowsB: b lies by rows (n contiguous), else by columns (k contiguous).
template <class T, bool kRowsB, int kN, int kCluster>
__global__ void __cluster_dims__(kCluster, 1, 1) __launch_bounds__(kThreads, 1)
    product_kernel(const __grid_constant__ CUtensorMap map_a, const __grid_constant__ CUtensorMap map_b,
                   const __grid_constant__ CUtensorMap map_c, const Problem<T> p) {
  using R = Ring<kN>;
  unsigned char* const ring = align_1024(shared());
  unsigned char* const staging = ring + R::kStages * R::kStageBytes;
  uint64_t* const full = reinterpret_cast<uint64_t*>(staging + kStagingBytes);
  uint64_t* const empty = full + R::kStages;
  const int rank = kCluster == 1 ? 0 : static_cast<int>(cluster_rank());
  const int cluster = static_cast<int>(blockIdx.x) / kCluster, clusters = static_cast<int>(gridDim.x) / kCluster;

  if (threadIdx.x == 0) {
    tma_prefetch(map_a);
    tma_prefetch(map_b);
    tma_prefetch(map_c);
    for (int s = 0; s < R::kStages; ++s) {
      mbarrier_init(&full[s], 1);
      mbarrier_init(&empty[s], 2 * kCluster);
    }
    mbarrier_init_fence();
  }
  if constexpr (kCluster > 1)
    cluster_sync();
  else
    __syncthreads();

  const int group = static_cast<int>(threadIdx.x) / 128;
  if (group == 0) {
    fewer_registers<40>();
    if (threadIdx.x < 32 && elect_one()) {
      int stage = 0;
      uint32_t parity = 0;
      for (int tile = cluster; tile < p.tiles; tile += clusters) {
        const Place at = place(p, tile);
        const int row = (at.row * kCluster + rank) * kM, column = at.column * kN;
        const int batch_a = p.a_batches ? at.batch : 0, batch_b = p.b_batches ? at.batch : 0;
        for (int block = 0; block < p.blocks; ++block) {
          mbarrier_wait(&empty[stage], parity ^ 1);
          uint64_t* const done = &full[stage];
          unsigned char* const a = ring + stage * R::kStageBytes;
          unsigned char* const b = a + R::kABytes;
          mbarrier_expect(done, R::kStageBytes);
          tma_load(a, map_a, done, block * kK, row, batch_a);
          if constexpr (kRowsB) {
            constexpr int kRows = kK / kCluster;  // of k, this block's part
            const int k = block * kK + rank * kRows;
#pragma unroll
            for (int j = 0; j < kN / kAtom; ++j) {
              unsigned char* const to = b + j * kBlockBytes + rank * kRows * 128;
              if constexpr (kCluster > 1)
                tma_load_multicast(to, map_b, done, 3, column + j * kAtom, k, batch_b);
              else
                tma_load(to, map_b, done, column + j * kAtom, k, batch_b);
            }
          } else {
            constexpr int kRows = kN / kCluster;  // of n
            unsigned char* const to = b + rank * kRows * 128;
            if constexpr (kCluster > 1)
              tma_load_multicast(to, map_b, done, 3, block * kK, column + rank * kRows, batch_b);
            else
              tma_load(to, map_b, done, block * kK, column, batch_b);
          }
          if (++stage == R::kStages) {
            stage = 0;
            parity ^= 1;
          }
        }
      }
    }
    __syncwarp();
  } else {
    more_registers<232>();
    const int half = group - 1, thread = static_cast<int>(threadIdx.x) % 128;
    unsigned char* const mine = staging + half * 2 * kBlockBytes;
    // Every block of the cluster waits for all readers of a stage before it writes there.
    const auto release = [&](int s) {
      if constexpr (kCluster > 1) {
        if (thread < kCluster) mbarrier_arrive_at(&empty[s], static_cast<uint32_t>(thread));
      } else {
        if (thread == 0) mbarrier_arrive(&empty[s]);
      }
    };
    int stage = 0, turn = 0;
    uint32_t parity = 0;
    float d[kN / 2];
    for (int tile = cluster; tile < p.tiles; tile += clusters) {
      int before = -1;
      for (int block = 0; block < p.blocks; ++block) {
        mbarrier_wait(&full[stage], parity);
        unsigned char* const a = ring + stage * R::kStageBytes;
        const uint64_t from_a = k_major(a + half * kBlockBytes);
        const uint64_t from_b = kRowsB ? mn_major(a + R::kABytes, kBlockBytes) : k_major(a + R::kABytes);
        wgmma_fence();
#pragma unroll
        for (int step = 0; step < kK / 16; ++step)
          Wgmma<T, kN>::template ss<false, kRowsB>(d, next_k<false>(from_a, step), next_k<kRowsB>(from_b, step),
                                                   block > 0 || step > 0);
        wgmma_commit();
        wgmma_wait<1>();
        if (before >= 0) release(before);
        before = stage;
        if (++stage == R::kStages) {
          stage = 0;
          parity ^= 1;
        }
      }
      wgmma_wait<0>();
      keep(d);
      release(before);
      const Place at = place(p, tile);
      const int row = (at.row * kCluster + rank) * kM + half * 64, column = at.column * kN;
      const int barrier = 1 + half;
      switch (p.epilogue.activation) {
        case ProductEpilogue::relu:
          store_tile<T, ProductEpilogue::relu, kN>(p, map_c, d, mine, turn, barrier, at.batch, row, column);
          break;
        case ProductEpilogue::gelu_erf:
          store_tile<T, ProductEpilogue::gelu_erf, kN>(p, map_c, d, mine, turn, barrier, at.batch, row, column);
          break;
        case ProductEpilogue::gelu_tanh:
          store_tile<T, ProductEpilogue::gelu_tanh, kN>(p, map_c, d, mine, turn, barrier, at.batch, row, column);
          break;
        default:
          store_tile<T, ProductEpilogue::none, kN>(p, map_c, d, mine, turn, barrier, at.batch, row, column);
          break;
      }
    }
    if (thread == 0) tma_store_wait<0>();
  }
  // Shared memory must stay while the other block of the cluster may still write to it.
  if constexpr (kCluster > 1) cluster_sync();
}

// ---- host

// Matrices of rows x columns (columns contiguous, ld apart), as many as the batch unless all are one.
template <class T>
CUtensorMap map_of(const void* data, int64_t batch, int64_t batch_stride, int64_t rows, int64_t columns, int64_t ld,
                   int box_rows) {
  const int64_t shape[] = {batch_stride ? batch : 1, rows, columns};
  if (rows == 1) ld = (columns + 7) / 8 * 8;
  const int64_t strides[] = {batch > 1 && batch_stride ? batch_stride : rows * ld, ld};
  const int box[] = {1, box_rows, kAtom};
  return tensor_map(
      sizeof(T) == 2 && std::is_same_v<T, __half> ? CU_TENSOR_MAP_DATA_TYPE_FLOAT16 : CU_TENSOR_MAP_DATA_TYPE_BFLOAT16,
      sizeof(T), data, 3, shape, strides, box);
}

int64_t tiles_of(int64_t size, int64_t tile) { return (size + tile - 1) / tile; }

template <class T, bool kRowsB, int kN, int kCluster>
void run(const MatrixProduct& q, const Launch& l) {
  const CUtensorMap a = map_of<T>(q.a, q.batch, q.a_batch, q.m, q.k, q.rsa, kM);
  const CUtensorMap b = kRowsB ? map_of<T>(q.b, q.batch, q.b_batch, q.k, q.n, q.rsb, kK / kCluster)
                               : map_of<T>(q.b, q.batch, q.b_batch, q.n, q.k, q.csb, kN / kCluster);
  const CUtensorMap c = map_of<T>(q.c, q.batch, q.c_batch, q.m, q.n, q.ldc, 64);
  const auto narrow = [](int64_t v) { return static_cast<int>(v); };
  const int64_t rows = tiles_of(q.m, kM * kCluster), columns = tiles_of(q.n, kN), tiles = q.batch * rows * columns;
  const Problem<T> p{narrow(q.m),
                     narrow(q.n),
                     narrow(tiles_of(q.k, kK)),
                     narrow(rows),
                     narrow(columns),
                     narrow(tiles),
                     q.a_batch != 0,
                     q.b_batch != 0,
                     q.ldc,
                     q.c_batch,
                     EpilogueOf<T>(q.epilogue)};
  const int64_t clusters = std::min<int64_t>(tiles, l.multiprocessors / kCluster);
  launch(l, product_kernel<T, kRowsB, kN, kCluster>, static_cast<unsigned>(clusters * kCluster), kThreads,
         Ring<kN>::kShared, a, b, c, p);
}

// Time of all tiles in turn, in units of one of 128 x 256: narrow tiles fetch more for what they do.
double turns(const MatrixProduct& q, int n, int cluster, int multiprocessors) {
  const int64_t tiles = q.batch * tiles_of(q.m, kM * cluster) * tiles_of(q.n, n);
  return static_cast<double>(tiles_of(tiles, multiprocessors / cluster)) * (n == 256 ? 1.0 : 0.58);
}

template <class T, bool kRowsB>
void run(const MatrixProduct& q, const Launch& l) {
  const int sms = l.multiprocessors;
  const bool wide = q.m > kM && turns(q, 256, 2, sms) <= turns(q, 128, 2, sms);
#ifdef MAAS_CUDA_EMULATE  // has no clusters
  return wide ? run<T, kRowsB, 256, 1>(q, l) : run<T, kRowsB, 128, 1>(q, l);
#else
  if (wide)
    run<T, kRowsB, 256, 2>(q, l);
  else if (q.m > kM && std::is_same_v<T, __nv_bfloat16>)
    run<__nv_bfloat16, kRowsB, 128, 2>(q, l);
  else
    run<T, kRowsB, 128, 1>(q, l);
#endif
}

}  // namespace

bool wgmma_product(const MatrixProduct& q, const Launch& l) {
  const auto fits = [&](const void* p, int64_t stride, int64_t batch_stride) {
    return reinterpret_cast<uintptr_t>(p) % 16 == 0 && stride % 8 == 0 && batch_stride % 8 == 0;
  };
  const bool rows_b = q.csb == 1;
  if (q.dtype != DType::bf16 && q.dtype != DType::f16) return false;
  if (q.m < (deterministic() ? 1 : 64) || q.n < 8 || q.n % 2 || q.k < 1 || q.batch < 1 || q.csa != 1 ||
      (!rows_b && q.rsb != 1))
    return false;
  if (!fits(q.a, q.rsa, q.a_batch) || !fits(q.b, rows_b ? q.rsb : q.csb, q.b_batch) || !fits(q.c, q.ldc, q.c_batch))
    return false;
  const ProductEpilogue& e = q.epilogue;
  if (reinterpret_cast<uintptr_t>(e.bias) % 4 || reinterpret_cast<uintptr_t>(e.residual) % 4) return false;
  constexpr int64_t kMost = int64_t{1} << 30;
  if (q.m > kMost || q.n > kMost || q.k > kMost || q.batch * tiles_of(q.m, kM) * tiles_of(q.n, 128) > kMost)
    return false;
  if (q.rsa < q.k || (rows_b ? q.rsb < q.n && q.k > 1 : q.csb < q.k && q.n > 1)) return false;  // overlapping rows
  if (q.dtype == DType::bf16)
    rows_b ? run<__nv_bfloat16, true>(q, l) : run<__nv_bfloat16, false>(q, l);
  else
    rows_b ? run<__half, true>(q, l) : run<__half, false>(q, l);
  return true;
}

}  // namespace maas::cuda
