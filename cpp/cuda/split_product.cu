#include <algorithm>

#include "cuda/activation.h"
#include "cuda/launch.h"
#include "cuda/shared.h"
#include "cuda/split_product.h"
#include "cuda/tma.h"
#include "cuda/wgmma.h"

namespace maas::cuda {
namespace {

using Half = __nv_bfloat16;
constexpr int kM = 128, kN = 128, kK = 64, kThreads = 384, kParts = 3, kStages = 2;
constexpr int kBlockBytes = 64 * 128;        // 64 rows of 128 bytes
constexpr int kPartBytes = 2 * kBlockBytes;  // of a or b
constexpr int kStageBytes = 2 * kParts * kPartBytes;
constexpr int kShared = 1024 + kStages * kStageBytes + kStages * 2 * 8;
constexpr int kGroup = 8;

// ---- cutting

// y[t][part][i][j], rows padded to ld; x[t * batch_stride + i * rs + j * cs]. A thread cuts 8 neighbours.
__global__ void __launch_bounds__(256) cut_kernel(const float* x, Half* y, int64_t rows, int64_t columns, int64_t ld,
                                                  int64_t rs, int64_t cs, int64_t batch_stride, int64_t count) {
  for (int64_t at = int64_t{blockIdx.x} * 256 + threadIdx.x; at < count; at += int64_t{gridDim.x} * 256) {
    const int64_t pieces = ld / 8, j = at % pieces * 8, i = at / pieces % rows, t = at / pieces / rows;
    const float* from = x + t * batch_stride + i * rs + j * cs;
    float v[8];
    if (cs == 1 && j + 8 <= columns && reinterpret_cast<uintptr_t>(from) % 16 == 0) {
      const Vector<float> low = load_stream(from), high = load_stream(from + 4);
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        v[e] = low[e];
        v[e + 4] = high[e];
      }
    } else {
#pragma unroll
      for (int e = 0; e < 8; ++e) v[e] = j + e < columns ? from[e * cs] : 0.f;
    }
    Vector<Half> parts[kParts];
#pragma unroll
    for (int e = 0; e < 8; ++e) {
      float rest = v[e];
#pragma unroll
      for (int p = 0; p < kParts; ++p) {
        // The largest floats round to infinity: cut them instead.
        Half part = __float2bfloat16_rn(rest);
        if (fabsf(rest) <= 3.4028234e38f && fabsf(__bfloat162float(part)) > 3.4028234e38f)
          part = __float2bfloat16_rz(rest);
        parts[p][e] = part;
        rest = rest - __bfloat162float(part);
        if (!(fabsf(rest) <= 3.4028234e38f)) rest = 0;  // of what is not finite
      }
    }
    Half* to = y + t * kParts * rows * ld + i * ld + j;
#pragma unroll
    for (int p = 0; p < kParts; ++p) store(to + p * rows * ld, parts[p]);
  }
}

// ---- the product

struct Problem {
  int m, n, blocks, rows, columns, tiles;
  int a_batches, b_batches;
  int64_t ldc, c_batch;
  float* c;
  EpilogueOf<float> epilogue;
};

template <bool kTransA, bool kTransB>
__device__ __forceinline__ void multiply_stage(float (&d)[kN / 2], const unsigned char* stage, int half) {
  constexpr int kLeft[] = {2, 0, 1, 1, 0, 0}, kRight[] = {0, 2, 1, 0, 1, 0};
  uint64_t a[kParts], b[kParts];
#pragma unroll
  for (int p = 0; p < kParts; ++p) {
    const unsigned char* const mine = stage + p * kPartBytes + half * kBlockBytes;
    a[p] = kTransA ? mn_major(mine, kBlockBytes) : k_major(mine);
    const unsigned char* const right = stage + (kParts + p) * kPartBytes;
    b[p] = kTransB ? mn_major(right, kBlockBytes) : k_major(right);
  }
  wgmma_fence();
#pragma unroll
  for (int t = 0; t < 6; ++t)
#pragma unroll
    for (int step = 0; step < kK / 16; ++step)
      Wgmma<Half, kN>::template ss<kTransA, kTransB>(d, next_k<kTransA>(a[kLeft[t]], step),
                                                     next_k<kTransB>(b[kRight[t]], step), t > 0 || step > 0);
  wgmma_commit();
}

__device__ __forceinline__ void write(const Problem& p, const float (&d)[kN / 2], int batch, int row0, int column0) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32 % 4;
  const int row = row0 + warp * 16 + lane / 4, column = column0 + lane % 4 * 2;
  const bool pairs = p.ldc % 2 == 0 && p.c_batch % 2 == 0 && reinterpret_cast<uintptr_t>(p.c) % 8 == 0;
  EpilogueOf<float> e = p.epilogue;
  if (e.residual) e.residual += batch * p.c_batch;
  float* const c = p.c + batch * p.c_batch;
#pragma unroll
  for (int j = 0; j < kN / 8; ++j)
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int i = row + h * 8, x = column + j * 8;
      if (i >= p.m || x >= p.n) continue;
      const int64_t at = i * p.ldc + x;
      const float first = e(d[j * 4 + h * 2], x, at);
      if (x + 1 < p.n) {
        const float second = e(d[j * 4 + h * 2 + 1], x + 1, at + 1);
        if (pairs) {
          store(c + at, Vector<float, 2>{first, second});
          continue;
        }
        c[at + 1] = second;
      }
      c[at] = first;
    }
}

template <bool kTransA, bool kTransB>
__global__ void __launch_bounds__(kThreads, 1)
    split_kernel(const __grid_constant__ CUtensorMap map_a, const __grid_constant__ CUtensorMap map_b,
                 const Problem p) {
  unsigned char* const ring = align_1024(shared());
  uint64_t* const full = reinterpret_cast<uint64_t*>(ring + kStages * kStageBytes);
  uint64_t* const empty = full + kStages;
  if (threadIdx.x == 0) {
    tma_prefetch(map_a);
    tma_prefetch(map_b);
    for (int s = 0; s < kStages; ++s) {
      mbarrier_init(&full[s], 1);
      mbarrier_init(&empty[s], 2);
    }
    mbarrier_init_fence();
  }
  __syncthreads();
  const auto place = [&](int tile, int& batch, int& row, int& column) {
    const int one = p.rows * p.columns, at = tile % one, band = kGroup * p.columns;
    const int first = at / band * kGroup, height = min(p.rows - first, kGroup);
    batch = tile / one;
    row = (first + at % band % height) * kM;
    column = at % band / height * kN;
  };
  const int group = static_cast<int>(threadIdx.x) / 128;
  if (group == 0) {
    fewer_registers<40>();
    if (threadIdx.x < 32 && elect_one()) {
      int stage = 0, batch, row, column;
      uint32_t parity = 0;
      for (int tile = blockIdx.x; tile < p.tiles; tile += gridDim.x) {
        place(tile, batch, row, column);
        const int batch_a = p.a_batches ? batch : 0, batch_b = p.b_batches ? batch : 0;
        for (int block = 0; block < p.blocks; ++block) {
          mbarrier_wait(&empty[stage], parity ^ 1);
          uint64_t* const done = &full[stage];
          mbarrier_expect(done, kStageBytes);
          unsigned char* to = ring + stage * kStageBytes;
          for (int part = 0; part < kParts; ++part, to += kPartBytes) {
            if constexpr (kTransA) {
              tma_load(to, map_a, done, row, block * kK, batch_a * kParts + part);
              tma_load(to + kBlockBytes, map_a, done, row + 64, block * kK, batch_a * kParts + part);
            } else {
              tma_load(to, map_a, done, block * kK, row, batch_a * kParts + part);
            }
          }
          for (int part = 0; part < kParts; ++part, to += kPartBytes) {
            if constexpr (kTransB) {
              tma_load(to, map_b, done, column, block * kK, batch_b * kParts + part);
              tma_load(to + kBlockBytes, map_b, done, column + 64, block * kK, batch_b * kParts + part);
            } else {
              tma_load(to, map_b, done, block * kK, column, batch_b * kParts + part);
            }
          }
          if (++stage == kStages) {
            stage = 0;
            parity ^= 1;
          }
        }
      }
    }
    __syncwarp();
  } else {
    more_registers<232>();
    const int half = group - 1;
    const bool leader = threadIdx.x % 128 == 0;
    int stage = 0, batch, row, column;
    uint32_t parity = 0;
    // The other warpgroup's products run while this one adds.
    for (int tile = blockIdx.x; tile < p.tiles; tile += gridDim.x) {
      float sum[kN / 2] = {};
      for (int block = 0; block < p.blocks; ++block) {
        float d[kN / 2];
        mbarrier_wait(&full[stage], parity);
        multiply_stage<kTransA, kTransB>(d, ring + stage * kStageBytes, half);
        wgmma_wait<0>();
        keep(d);
        if (leader) mbarrier_arrive(&empty[stage]);
#pragma unroll
        for (int i = 0; i < kN / 2; ++i) sum[i] += d[i];
        if (++stage == kStages) {
          stage = 0;
          parity ^= 1;
        }
      }
      place(tile, batch, row, column);
      write(p, sum, batch, row + half * 64, column);
    }
  }
}

// ---- host

int64_t tiles_of(int64_t size, int64_t tile) { return (size + tile - 1) / tile; }

// A cut operand: rows x columns as it is stored, which may be its transpose.
struct Cut {
  bool by_columns;  // rows of it are columns of the operand
  int64_t rows, columns, ld, rs, cs, batches, batch_stride;
  size_t bytes() const { return static_cast<size_t>(batches * kParts * rows * ld) * sizeof(Half); }
};
Cut cut(int64_t rows, int64_t columns, int64_t rs, int64_t cs, int64_t batch, int64_t batch_stride) {
  const bool by_columns = rs == 1 && cs != 1;
  if (by_columns) {
    std::swap(rows, columns);
    std::swap(rs, cs);
  }
  return {by_columns, rows, columns, (columns + 7) / 8 * 8, rs, cs, batch_stride ? batch : 1, batch_stride};
}
Cut cut_a(const MatrixProduct& p) { return cut(p.m, p.k, p.rsa, p.csa, p.batch, p.a_batch); }
Cut cut_b(const MatrixProduct& p) { return cut(p.k, p.n, p.rsb, p.csb, p.batch, p.b_batch); }
size_t aligned(size_t bytes) { return (bytes + 255) / 256 * 256; }

CUtensorMap cut_operand(const Cut& c, const void* x, Half* y, int box_rows, const Launch& l) {
  const int64_t count = c.batches * c.rows * c.ld / 8;
  launch(l, cut_kernel, blocks_for(count, 256, l.multiprocessors * 32), 256, 0, static_cast<const float*>(x), y, c.rows,
         c.columns, c.ld, c.rs, c.cs, c.batch_stride, count);
  const int64_t shape[] = {c.batches * kParts, c.rows, c.columns}, strides[] = {c.rows * c.ld, c.ld};
  const int box[] = {1, box_rows, 64};
  return tensor_map(CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, sizeof(Half), y, 3, shape, strides, box);
}

bool gains(const MatrixProduct& p) {
  constexpr int64_t kMost = int64_t{1} << 30;
  return p.dtype == DType::f32 && p.m >= 64 && p.n >= 32 && p.k >= 32 && p.batch >= 1 && p.m < kMost && p.n < kMost &&
         p.k < kMost && p.batch * kParts * tiles_of(p.m, kM) * tiles_of(p.n, kN) < kMost;
}

}  // namespace

size_t split_product_scratch(const MatrixProduct& p) {
  return gains(p) ? aligned(cut_a(p).bytes()) + aligned(cut_b(p).bytes()) : 0;
}

bool split_product(const MatrixProduct& q, const Launch& l) {
  if (!gains(q)) return false;
  const Cut a = cut_a(q), b = cut_b(q);
  auto* const first = static_cast<Half*>(l.scratch);
  auto* const second = reinterpret_cast<Half*>(static_cast<char*>(l.scratch) + aligned(a.bytes()));
  const CUtensorMap map_a = cut_operand(a, q.a, first, a.by_columns ? kK : kM, l);
  const CUtensorMap map_b = cut_operand(b, q.b, second, b.by_columns ? kN : kK, l);
  const auto narrow = [](int64_t v) { return static_cast<int>(v); };
  const int64_t rows = tiles_of(q.m, kM), columns = tiles_of(q.n, kN), tiles = q.batch * rows * columns;
  const Problem p{narrow(q.m),
                  narrow(q.n),
                  narrow(tiles_of(q.k, kK)),
                  narrow(rows),
                  narrow(columns),
                  narrow(tiles),
                  q.a_batch != 0,
                  q.b_batch != 0,
                  q.ldc,
                  q.c_batch,
                  static_cast<float*>(q.c),
                  EpilogueOf<float>(q.epilogue)};
  const auto kernel = a.by_columns ? (b.by_columns ? split_kernel<true, false> : split_kernel<true, true>)
                                   : (b.by_columns ? split_kernel<false, false> : split_kernel<false, true>);
  launch(l, kernel, static_cast<unsigned>(std::min<int64_t>(tiles, l.multiprocessors)), kThreads, kShared, map_a, map_b,
         p);
  return true;
}

}  // namespace maas::cuda
