// Backwards, with the blocks of recurrence_cluster.cu. A block finds dz of its 32 units and multiplies it with its part
// of U (dz is k, all units are m), which gives its share of dh of all units; the shares go to the blocks that own these
// units, in float32, and are added there in the order of the blocks. That is half the bytes of sending dz around.
//
// Shares of even and odd steps lie apart: nobody sends those of step s - 2 before it has all of step s - 1, which every
// block sends after it has read those of step s. dz is kept apart likewise: warps of a block may be a step behind.
#ifndef MAAS_CUDA_EMULATE
#include "ops/recurrent/recurrent_cluster.h"

namespace maas {
namespace cuda::recurrent {
namespace {

template <int kGateCount, int kCluster, int kTiles>
struct BackShared {
  static constexpr int kRows = 8 * kTiles, kDepth = kGateCount * kUnits, kStride = kDepth + 8, kSums = kRows + 4;
  Mbarrier full[2];
  alignas(128) bf16 dz[2][kRows][kStride];
  alignas(128) float shares[2][kCluster][kUnits][kSums];
};

template <Cell kCell, int kCluster, int kTiles>
__global__ void __launch_bounds__(kThreads, 1) recurrence_gradient_cluster(RecurrenceGradientArgs a) {
  constexpr int G = kGates<kCell>, K = kKept<kCell>;
  using Shared = BackShared<G, kCluster, kTiles>;
  constexpr int kSteps = Shared::kDepth / 16;                        // of 16 k
  constexpr int M = kCluster > 8 ? kCluster * kUnits / 16 / 16 : 1;  // tiles of 16 units, of a warp
  constexpr int kWarps = kCluster * kUnits / 16 / M;                 // that have tiles
  constexpr int kChains = M * kTiles == 1 ? 2 : 1;
  Shared& mem = *shared<Shared>();
  const int64_t H = a.units;
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  const int rank = static_cast<int>(cluster_rank());
  const int64_t first = static_cast<int64_t>(blockIdx.x / kCluster) * Shared::kRows;
  const int rows = static_cast<int>(a.batch - first < Shared::kRows ? a.batch - first : Shared::kRows);
  const uint32_t bytes = static_cast<uint32_t>(kCluster * kUnits * ((rows + 3) / 4) * 16);

  // ---- U of all units and this block's gates; k is (gate, unit of the block)
  uint32_t u[M][kSteps][4];
  {
    const bf16* panels = static_cast<const bf16*>(a.panels);
#pragma unroll
    for (int m = 0; m < M; ++m)
#pragma unroll
      for (int i = 0; i < kSteps; ++i)
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          const int64_t unit = (warp * M + m) * 16 + lane / 4 + j % 2 * 8;
          const int k = i * 16 + lane % 4 * 2 + j / 2 * 8, gate = k / kUnits;
          const int64_t column = rank * kUnits + k % kUnits;  // even, so its neighbour is of the same gate
          float low = 0.f, high = 0.f;
          if (unit < H && warp < kWarps) {
            const Panel p = wide_panel(H, G * H, unit);
            if (column < H) low = as_float(panels[p.at + (gate * H + column) * p.stride]);
            if (column + 1 < H) high = as_float(panels[p.at + (gate * H + column + 1) * p.stride]);
          }
          u[m][i][j] = pack_bf16(low, high);
        }
  }
  for (int i = static_cast<int>(threadIdx.x); i < 2 * Shared::kRows * Shared::kStride; i += kThreads)
    mem.dz[0][0][i] = as<bf16>(0.f);
  if (threadIdx.x == 0) {
    mbarrier_init(&mem.full[0]);
    mbarrier_init(&mem.full[1]);
    mbarrier_init_fence();
    mbarrier_expect(&mem.full[0], bytes);
    mbarrier_expect(&mem.full[1], bytes);
  }
  __syncthreads();
  cluster_sync();

  // ---- this thread's unit of one row
  const int local = lane % 8 + warp % 4 * 8, row = lane / 8 + warp / 4 * 4;
  const int64_t unit = rank * kUnits + local, bu = (first + row) * H + unit;
  const bool real = row < rows && unit < H;
  float pass = real ? load<bf16>(a.dh, bu) : 0.f, dc = real && kCell == Cell::lstm ? load<bf16>(a.dc, bu) : 0.f;
  const int64_t bt = (first + row) * a.steps;
  bf16 gate[K], before = as<bf16>(0.f), outside = as<bf16>(0.f);
  bool known = true;
#pragma unroll
  for (int g = 0; g < K; ++g) gate[g] = as<bf16>(0.f);
  const auto fetch = [&](int64_t s) {
    if (!real) return;
    const int64_t time = bt + time_of(a, s);
#pragma unroll
    for (int g = 0; g < K; ++g) gate[g] = static_cast<const bf16*>(a.gates)[(time * K + g) * H + unit];
    if (kCell != Cell::simple_rnn) before = static_cast<const bf16*>(a.prev)[time * H + unit];
    if (a.dy) outside = static_cast<const bf16*>(a.dy)[(bt + s) * H + unit];
    if (a.mask) known = a.mask[time];
  };
  if (a.steps > 0) fetch(a.steps - 1);
  // ---- where this warp's tiles go: lanes 2t and 2t + 1 trade halves, so that each has four rows of one unit
  const int tile = warp * M, even = lane % 2 == 0;
  const int target_unit = tile % 2 * 16 + lane / 4 + (even ? 0 : 8), target_row = lane % 4 / 2 * 4;
  uint32_t to = 0, bar = 0;
  if (warp < kWarps) {
    to = remote_address(&mem.shares[0][rank][target_unit][target_row], tile / 2);
    bar = remote_address(&mem.full[0], tile / 2);
  }
  constexpr uint32_t kOdd = sizeof(mem.shares[0]), kTile = 16 * Shared::kSums * 4;

  for (int64_t p = 0; p <= a.steps; ++p) {
    const int now = static_cast<int>(p & 1);
    if (p > 0) {
      mbarrier_wait(&mem.full[1 - now], static_cast<uint32_t>((p - 1) / 2 & 1));
      if (threadIdx.x == 0) mbarrier_expect(&mem.full[1 - now], bytes);
    }
    if (row < Shared::kRows) {
      float dh = pass;
      if (p > 0) {
        float sum = 0.f;
#pragma unroll
        for (int i = 0; i < kCluster; ++i) sum += mem.shares[1 - now][i][local][row];
        dh += sum;
      }
      if (p == a.steps) {
        if (real) {
          store<bf16>(a.dh0, bu, dh);
          if (kCell == Cell::lstm) store<bf16>(a.dc0, bu, dc);
        }
        break;
      }
      dh += as_float(outside);
      float dx[G], dr[G];  // dr: of h U
      float through = 0.f;
      const bool keep = !known;
      with_activations<bf16>(a, [&](const auto& fn) {
        if constexpr (kCell == Cell::lstm) {
          const float i = as_float(gate[0]), f = as_float(gate[1]), g = as_float(gate[2]), o = as_float(gate[3]);
          const float c = as_float(before), t = fn.act(fmaf(f, c, i * g));
          const float dct = fmaf(dh * o, fn.act_slope(t), dc);
          dx[0] = dct * g * fn.gate_slope(i);
          dx[1] = dct * c * fn.gate_slope(f);
          dx[2] = dct * i * fn.act_slope(g);
          dx[3] = dh * t * fn.gate_slope(o);
          dc = keep ? dc : dct * f;
        } else if constexpr (kCell == Cell::gru) {
          const float z = as_float(gate[0]), reset = as_float(gate[1]), n = as_float(gate[2]), h = as_float(before);
          dx[0] = dh * (h - n) * fn.gate_slope(z);
          dx[2] = dh * (1.f - z) * fn.act_slope(n);
          dx[1] = dx[2] * as_float(gate[3]) * fn.gate_slope(reset);
          through = dh * z;
          dr[0] = dx[0], dr[1] = dx[1], dr[2] = dx[2] * reset;
        } else {
          dx[0] = dh * fn.act_slope(as_float(gate[0]));
        }
      });
      pass = keep ? dh : through;
      const int64_t to_dx = (bt + time_of(a, a.steps - 1 - p)) * G * H + unit;
#pragma unroll
      for (int g = 0; g < G; ++g) {
        const bool nothing = keep || !real;  // a product with it must be 0
        const bf16 d = as<bf16>(nothing ? 0.f : dx[g]), r = kCell == Cell::gru ? as<bf16>(nothing ? 0.f : dr[g]) : d;
        mem.dz[now][row][g * kUnits + local] = r;
        if (real) {
          if (a.dxz) static_cast<bf16*>(a.dxz)[to_dx + g * H] = d;
          if (kCell == Cell::gru && a.dhz) static_cast<bf16*>(a.dhz)[to_dx + g * H] = r;
        }
      }
      if (p + 1 < a.steps) fetch(a.steps - 2 - p);
    } else if (p == a.steps) {
      break;
    }
    __syncthreads();
    if (warp >= kWarps) continue;
    float sum[M][kTiles][kChains][4] = {};
#pragma unroll
    for (int i = 0; i < kSteps; i += 2)
#pragma unroll
      for (int n = 0; n < kTiles; ++n) {
        uint32_t b[4];
        ldmatrix_x4(b, &mem.dz[now][n * 8 + lane % 8][i * 16 + lane / 8 * 8]);
        const uint32_t b0[2] = {b[0], b[1]}, b1[2] = {b[2], b[3]};
#pragma unroll
        for (int m = 0; m < M; ++m) {
          mma_bf16(sum[m][n][0], u[m][i], b0);
          mma_bf16(sum[m][n][kChains - 1], u[m][i + 1], b1);
        }
      }
#pragma unroll
    for (int m = 0; m < M; ++m)
#pragma unroll
      for (int n = 0; n < kTiles; ++n) {
        float v[4];
#pragma unroll
        for (int j = 0; j < 4; ++j) v[j] = sum[m][n][0][j] + (kChains == 2 ? sum[m][n][kChains - 1][j] : 0.f);
        // Even lanes keep the unit of v[0], v[1] and get its next two rows; odd lanes keep that of v[2], v[3].
        const float x = shuffle_xor(even ? v[2] : v[0], 1), y = shuffle_xor(even ? v[3] : v[1], 1);
        if (n * 8 + target_row < rows) {
          const uint32_t move = now * kOdd + m * kTile + n * 32;
          const float first_two[2] = {even ? v[0] : x, even ? v[1] : y},
                      last_two[2] = {even ? x : v[2], even ? y : v[3]};
          remote_store(to + move, bar + now * 8, __float_as_uint(first_two[0]), __float_as_uint(first_two[1]),
                       __float_as_uint(last_two[0]), __float_as_uint(last_two[1]));
        }
      }
  }
  cluster_sync();  // nobody leaves while others may still write to it
}

template <Cell kCell, int kCluster, int kTiles>
bool start(const RecurrenceGradientArgs& a, const Launch& l) {
  constexpr auto kernel = recurrence_gradient_cluster<kCell, kCluster, kTiles>;
  constexpr size_t bytes = sizeof(BackShared<kGates<kCell>, kCluster, kTiles>);
  static const bool fits = cluster_fits(kernel, kCluster, kThreads, bytes);
  if (fits) launch_clusters(l, kernel, blocks_for(a.batch, 8 * kTiles), kCluster, kThreads, bytes, a);
  return fits;
}
template <Cell kCell, int kCluster>
bool start(const RecurrenceGradientArgs& a, const Launch& l) {
  return a.batch <= 8 ? start<kCell, kCluster, 1>(a, l) : start<kCell, kCluster, 2>(a, l);
}
template <Cell kCell>
bool start(const RecurrenceGradientArgs& a, const Launch& l) {
  if (a.units <= 4 * kUnits) return start<kCell, 4>(a, l);
  if (a.units <= 8 * kUnits) return start<kCell, 8>(a, l);
  return start<kCell, 16>(a, l);
}
bool start(const RecurrenceGradientArgs& a, const Launch& l) {
  if (a.cell == Cell::lstm) return start<Cell::lstm>(a, l);
  if (a.cell == Cell::gru) return start<Cell::gru>(a, l);
  return start<Cell::simple_rnn>(a, l);
}

}  // namespace
}  // namespace cuda::recurrent

void recurrence_gradient_bf16_cuda(const RecurrenceGradientArgs& a, const Launch& l);

// Where the GPU has no clusters of this size free (some multiprocessors are off): by rows.
void recurrence_gradient_bf16_cluster(const RecurrenceGradientArgs& a, const Launch& l) {
  if (a.batch && !cuda::recurrent::start(a, l)) recurrence_gradient_bf16_cuda(a, l);
}

}  // namespace maas
#endif
