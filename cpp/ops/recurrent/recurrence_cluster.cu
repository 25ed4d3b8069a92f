// A cluster of blocks has 8 or 16 rows of the batch. Each block has 32 units: their part of U stays in registers as
// fragments of tensor core instructions (gates x units are m, the batch is n), and every step sends the new h of these
// units to the shared memory of all blocks. A step waits for the bytes of h alone, there is no other barrier between
// blocks: h of even and odd steps lie apart, and nobody sends h of step s + 2 before all have sent theirs of s + 1,
// which they do when they have read h of step s.
//
// 16 warps: 4 groups of 8 units x 4 parts of k. Sums of a group meet in shared memory; one thread finishes a unit of a
// row. Sums run in one fixed order, whatever the batch is.
#ifndef MAAS_CUDA_EMULATE
#include "ops/recurrent/recurrent_cluster.h"

namespace maas {
namespace cuda::recurrent {
namespace {

constexpr int kParts = 4;

template <int kCluster, int kTiles>
struct ClusterShared {
  static constexpr int kRows = 8 * kTiles, kWidth = kUnits * kCluster;
  // Strides that keep eight rows in different banks.
  static constexpr int kStride = kWidth + 8, kSums = kRows + 4;
  Mbarrier full[2];
  alignas(128) bf16 h[2][kRows][kStride];
  float sums[kUnits / 8][kParts][4][8][kSums];
};

template <Cell kCell, int kCluster, int kTiles>
__global__ void __launch_bounds__(kThreads, 1) recurrence_cluster(RecurrenceArgs a) {
  using Shared = ClusterShared<kCluster, kTiles>;
  constexpr int G = kGates<kCell>, K = kKept<kCell>, M = G > 2 ? 2 : 1;
  constexpr int kSteps = kCluster * kUnits / 16 / kParts;  // of 16 k, in a part
  constexpr int kChains = kTiles == 1 && kSteps >= 4 ? 2 : 1;
  Shared& mem = *shared<Shared>();
  const int64_t H = a.units;
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  const int group = warp / kParts, part = warp % kParts;
  const int rank = static_cast<int>(cluster_rank());
  const int64_t first = static_cast<int64_t>(blockIdx.x / kCluster) * Shared::kRows;
  const int rows = static_cast<int>(a.batch - first < Shared::kRows ? a.batch - first : Shared::kRows);
  const uint32_t bytes = static_cast<uint32_t>(rows) * Shared::kWidth * 2;

  // ---- what stays: U of gates (0, 1) and (2, 3) of the group's units, rows 0-7 and 8-15 of two tiles
  uint32_t u[M][kSteps][4];
  {
    const bf16* panels = static_cast<const bf16*>(a.panels);
    const int64_t unit = rank * kUnits + group * 8 + lane / 4;
#pragma unroll
    for (int m = 0; m < M; ++m)
#pragma unroll
      for (int i = 0; i < kSteps; ++i) {
        const int64_t k = (part * kSteps + i) * 16 + lane % 4 * 2;
#pragma unroll
        for (int j = 0; j < 4; ++j) u[m][i][j] = pair_of<kCell>(panels, H, 2 * m + j % 2, unit, k + j / 2 * 8);
      }
  }
  // ---- h of step 0; rows and units that are not there stay 0
  for (int i = static_cast<int>(threadIdx.x); i < 2 * Shared::kRows * Shared::kStride; i += kThreads) {
    const int row = i / Shared::kStride, k = i % Shared::kStride;
    const bool real = row < rows && k < H;
    mem.h[0][row][k] = real ? static_cast<const bf16*>(a.h0)[(first + row) * H + k] : as<bf16>(0.f);
  }
  if (threadIdx.x == 0) {
    mbarrier_init(&mem.full[0]);
    mbarrier_init(&mem.full[1]);
    mbarrier_init_fence();
    mbarrier_expect(&mem.full[1], bytes);
    mbarrier_expect(&mem.full[0], bytes);
  }
  __syncthreads();
  cluster_sync();

  // ---- this thread's unit of one row
  const int mine = part * 32 + lane, local = mine % 8, row = mine / 8;
  const int64_t unit = rank * kUnits + group * 8 + local;
  const bool item = row < Shared::kRows, real = row < rows && unit < H;
  const int64_t bu = (first + row) * H + unit;
  float h = real ? load<bf16>(a.h0, bu) : 0.f, c = real && kCell == Cell::lstm ? load<bf16>(a.c0, bu) : 0.f;
  float bias[G];
#pragma unroll
  for (int g = 0; g < G; ++g) bias[g] = real && kCell == Cell::gru ? load<bf16>(a.recurrent_bias, g * H + unit) : 0.f;
  // Receivers lane % 8 and that + 8, where h of even steps goes; that of odd steps lies `kOdd` further.
  constexpr uint32_t kOdd = sizeof(mem.h[0]);
  uint32_t to[2] = {}, bar[2] = {};
#pragma unroll
  for (int i = 0; i < 2; ++i)
    if (lane % 8 + 8 * i < kCluster && item) {
      to[i] = remote_address(&mem.h[0][row][rank * kUnits + group * 8], lane % 8 + 8 * i);
      bar[i] = remote_address(&mem.full[0], lane % 8 + 8 * i);
    }
  const int64_t bt = (first + row) * a.steps;
  bf16 x[G];
  bool known = true;
  const auto fetch = [&](int64_t s) {
    if (!real) return;
    const int64_t time = bt + time_of(a, s);
#pragma unroll
    for (int g = 0; g < G; ++g) x[g] = static_cast<const bf16*>(a.xz)[(time * G + g) * H + unit];
    if (a.mask) known = a.mask[time];
  };
#pragma unroll
  for (int g = 0; g < G; ++g) x[g] = as<bf16>(0.f);
  if (a.steps > 0) fetch(0);

  for (int64_t s = 0; s < a.steps; ++s) {
    const int now = static_cast<int>(s & 1);
    if (s > 0) {
      mbarrier_wait(&mem.full[now], static_cast<uint32_t>((s - 1) / 2 & 1));
      if (threadIdx.x == 0) mbarrier_expect(&mem.full[now], bytes);
    }
    float sum[M][kTiles][kChains][4] = {};
#pragma unroll
    for (int i = 0; i < kSteps; i += 2) {
      const int k = (part * kSteps + i) * 16;
#pragma unroll
      for (int n = 0; n < kTiles; ++n) {
        uint32_t b[4];
        ldmatrix_x4(b, &mem.h[now][n * 8 + lane % 8][k + lane / 8 * 8]);
        const uint32_t b0[2] = {b[0], b[1]}, b1[2] = {b[2], b[3]};
#pragma unroll
        for (int m = 0; m < M; ++m) {
          mma_bf16(sum[m][n][0], u[m][i], b0);
          mma_bf16(sum[m][n][kChains - 1], u[m][i + 1], b1);
        }
      }
    }
#pragma unroll
    for (int m = 0; m < M; ++m)
#pragma unroll
      for (int n = 0; n < kTiles; ++n)
#pragma unroll
        for (int j = 0; j < 2; ++j)
          if (2 * m + j < G) {
            float2 v = {sum[m][n][0][2 * j], sum[m][n][0][2 * j + 1]};
            if (kChains == 2) v.x += sum[m][n][kChains - 1][2 * j], v.y += sum[m][n][kChains - 1][2 * j + 1];
            *reinterpret_cast<float2*>(&mem.sums[group][part][2 * m + j][lane / 4][n * 8 + lane % 4 * 2]) = v;
          }
    named_sync(1 + group, 32 * kParts);

    if (!item) continue;  // whole warps
    float z[G], kept[K];
#pragma unroll
    for (int g = 0; g < G; ++g) {
      const float (*p)[4][8][Shared::kSums] = mem.sums[group];
      z[g] = (p[0][g][local][row] + p[1][g][local][row]) + (p[2][g][local][row] + p[3][g][local][row]) + bias[g];
    }
    const float old = h, c_old = c;
    const bool keep = !known;
    with_activations<bf16>(a, [&](const auto& fn) {
      if constexpr (kCell == Cell::lstm) {
        const float i = fn.gate(as_float(x[0]) + z[0]), f = fn.gate(as_float(x[1]) + z[1]),
                    g = fn.act(as_float(x[2]) + z[2]), o = fn.gate(as_float(x[3]) + z[3]);
        const float next = fmaf(f, c, i * g);
        kept[0] = i, kept[1] = f, kept[2] = g, kept[3] = o;
        h = keep ? old : o * fn.act(next);
        c = keep ? c : next;
      } else if constexpr (kCell == Cell::gru) {
        const float update = fn.gate(as_float(x[0]) + z[0]), reset = fn.gate(as_float(x[1]) + z[1]);
        const float n = fn.act(fmaf(reset, z[2], as_float(x[2])));
        kept[0] = update, kept[1] = reset, kept[2] = n, kept[3] = z[2];
        h = keep ? old : fmaf(update, old, (1.f - update) * n);
      } else {
        kept[0] = fn.act(as_float(x[0]) + z[0]);
        h = keep ? old : kept[0];
      }
    });
    if (!real) h = 0.f;  // a product with it must be 0
    if (s + 1 < a.steps) {
      const uint32_t bits = pack_bf16(h, 0.f), other = shuffle_xor(bits, 1);
      const uint32_t pair = lane % 2 ? other | bits << 16 : bits | other << 16;
      uint32_t w[4];
#pragma unroll
      for (int j = 0; j < 4; ++j) w[j] = shuffle(pair, (lane & 24) + 2 * j);
      if (row < rows) {
        const uint32_t odd = 1 - now;
        if (lane % 8 < kCluster) remote_store(to[0] + odd * kOdd, bar[0] + odd * 8, w[0], w[1], w[2], w[3]);
        if (kCluster > 8) remote_store(to[1] + odd * kOdd, bar[1] + odd * 8, w[0], w[1], w[2], w[3]);
      }
    }
    if (real) {
      const int64_t time = bt + time_of(a, s), at = time * H + unit;
      if (a.gates)
#pragma unroll
        for (int g = 0; g < K; ++g)
          static_cast<bf16*>(a.gates)[(time * K + g) * H + unit] = as<bf16>(keep ? 0.f : kept[g]);
      if (kCell == Cell::lstm) store<bf16>(a.c_prev, at, c_old);
      store<bf16>(a.h_prev, at, old);
      store<bf16>(a.y, (bt + s) * H + unit, h);
    }
    if (s + 1 < a.steps) fetch(s + 1);
  }
  if (real) {
    store<bf16>(a.h, bu, h);
    if (kCell == Cell::lstm) store<bf16>(a.c, bu, c);
  }
  cluster_sync();  // nobody leaves while others may still write to it
}

template <Cell kCell, int kCluster, int kTiles>
bool start(const RecurrenceArgs& a, const Launch& l) {
  constexpr auto kernel = recurrence_cluster<kCell, kCluster, kTiles>;
  constexpr size_t bytes = sizeof(ClusterShared<kCluster, kTiles>);
  static const bool fits = cluster_fits(kernel, kCluster, kThreads, bytes);
  if (fits) launch_clusters(l, kernel, blocks_for(a.batch, 8 * kTiles), kCluster, kThreads, bytes, a);
  return fits;
}
template <Cell kCell, int kCluster>
bool start(const RecurrenceArgs& a, const Launch& l) {
  return a.batch <= 8 ? start<kCell, kCluster, 1>(a, l) : start<kCell, kCluster, 2>(a, l);
}
template <Cell kCell>
bool start(const RecurrenceArgs& a, const Launch& l) {
  if (a.units <= 4 * kUnits) return start<kCell, 4>(a, l);
  if (a.units <= 8 * kUnits) return start<kCell, 8>(a, l);
  return start<kCell, 16>(a, l);
}
bool start(const RecurrenceArgs& a, const Launch& l) {
  if (a.cell == Cell::lstm) return start<Cell::lstm>(a, l);
  if (a.cell == Cell::gru) return start<Cell::gru>(a, l);
  return start<Cell::simple_rnn>(a, l);
}

}  // namespace
}  // namespace cuda::recurrent

void recurrence_bf16_cuda(const RecurrenceArgs& a, const Launch& l);

// Where the GPU has no clusters of this size free (some multiprocessors are off): by rows.
void recurrence_bf16_cluster(const RecurrenceArgs& a, const Launch& l) {
  if (a.batch && !cuda::recurrent::start(a, l)) recurrence_bf16_cuda(a, l);
}

}  // namespace maas
#endif
