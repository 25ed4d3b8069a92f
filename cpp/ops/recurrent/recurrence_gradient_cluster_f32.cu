// Float32, backwards, on clusters of blocks: shares of dh pass as in recurrence_gradient_cluster.cu. A cluster has 8
// rows of the batch, or 1. A thread has a unit that dh is wanted of, and some k, which are (gate, unit of this block);
// its weights stay in registers, or half of them in shared memory. Lanes that have other k of the same unit add up.
#ifndef MAAS_CUDA_EMULATE
#include "ops/recurrent/recurrent_cluster.h"

namespace maas {
namespace cuda::recurrent {
namespace {

template <int G, int kCluster, int kBlock, int kRows>
struct BackShared32 {
  static constexpr int kWidth = kCluster * kBlock, kDepth = G * kBlock, kLanes = kThreads / kWidth;  // of one unit
  static constexpr int kEach = kDepth / kLanes, kKept = kEach > 64 ? 64 : kEach, kMore = kEach - kKept;
  Mbarrier full[2];
  alignas(128) float dz[2][kDepth][kRows];
  alignas(128) float shares[2][kCluster][kBlock][kRows];
  alignas(16) float4 more[kMore / 4 + (kMore == 0)][kMore ? kThreads : 1];
};

template <Cell kCell, int kCluster, int kBlock, int kRows>
__global__ void __launch_bounds__(kThreads, 1) recurrence_gradient_cluster_f32(RecurrenceGradientArgs a) {
  constexpr int G = kGates<kCell>, K = kKept<kCell>;
  using Shared = BackShared32<G, kCluster, kBlock, kRows>;
  constexpr int kLanes = Shared::kLanes, kTargets = 32 / kLanes;  // units of a warp
  static_assert(kLanes == 1 || kLanes == 2 || kLanes == 4);
  Shared& mem = *shared<Shared>();
  const int64_t H = a.units;
  const int thread = static_cast<int>(threadIdx.x), warp = thread / 32, lane = thread % 32;
  const int rank = static_cast<int>(cluster_rank());
  const int64_t first = static_cast<int64_t>(blockIdx.x / kCluster) * kRows;
  const int rows = static_cast<int>(a.batch - first < kRows ? a.batch - first : kRows);
  const uint32_t bytes = Shared::kWidth * (kRows == 1 ? 4 : (rows + 3) / 4 * 16);

  // ---- U of this thread's unit and k
  const int target = warp * kTargets + lane % kTargets, from_k = lane / kTargets * Shared::kEach;
  float u[Shared::kKept];
  const auto weight = [&](int i) {
    const int k = from_k + i, column = rank * kBlock + k % kBlock;
    if (target >= H || column >= H) return 0.f;
    const Panel p = wide_panel(H, G * H, target);
    return static_cast<const float*>(a.panels)[p.at + (k / kBlock * H + column) * p.stride];
  };
#pragma unroll
  for (int i = 0; i < Shared::kKept; ++i) u[i] = weight(i);
  for (int i = 0; i < Shared::kMore; i += 4) {
    const int k = Shared::kKept + i;
    mem.more[i / 4][thread] = {weight(k), weight(k + 1), weight(k + 2), weight(k + 3)};
  }
  if (thread == 0) {
    mbarrier_init(&mem.full[0]);
    mbarrier_init(&mem.full[1]);
    mbarrier_init_fence();
    mbarrier_expect(&mem.full[0], bytes);
    mbarrier_expect(&mem.full[1], bytes);
  }
  __syncthreads();
  cluster_sync();

  // ---- this thread's unit of one row
  const int local = thread / kRows, row = thread % kRows;
  const int64_t unit = rank * kBlock + local, bu = (first + row) * H + unit;
  const bool item = local < kBlock, real = item && row < rows && unit < H;
  float pass = real ? load<float>(a.dh, bu) : 0.f, dc = real && kCell == Cell::lstm ? load<float>(a.dc, bu) : 0.f;
  const int64_t bt = (first + row) * a.steps;
  float gate[K] = {}, before = 0.f, outside = 0.f;
  bool known = true;
  const auto fetch = [&](int64_t s) {
    if (!real) return;
    const int64_t time = bt + time_of(a, s);
#pragma unroll
    for (int g = 0; g < K; ++g) gate[g] = static_cast<const float*>(a.gates)[(time * K + g) * H + unit];
    if (kCell != Cell::simple_rnn) before = static_cast<const float*>(a.prev)[time * H + unit];
    if (a.dy) outside = static_cast<const float*>(a.dy)[(bt + s) * H + unit];
    if (a.mask) known = a.mask[time];
  };
  if (a.steps > 0) fetch(a.steps - 1);

  // ---- where the shares of this thread's unit go
  constexpr int kSent = kRows == 1 ? 1 : kLanes == 1 ? 8 : 4;  // rows
  const int half = kRows > 1 && kLanes > 1 ? lane / 16 : 0;
  const bool sends = kRows == 1 || kLanes == 4 ? lane / kTargets % (kRows == 1 ? kLanes : 2) == 0 : true;
  const uint32_t to = remote_address(&mem.shares[0][rank][target % kBlock][half * 4], target / kBlock);
  const uint32_t bar = remote_address(&mem.full[0], target / kBlock);
  constexpr uint32_t kOdd = sizeof(mem.shares[0]);

  for (int64_t p = 0; p <= a.steps; ++p) {
    const int now = static_cast<int>(p & 1);
    if (p > 0) {
      mbarrier_wait(&mem.full[1 - now], static_cast<uint32_t>((p - 1) / 2 & 1));
      if (thread == 0) mbarrier_expect(&mem.full[1 - now], bytes);
    }
    if (item) {
      float dh = pass;
      if (p > 0) {
        float sum = 0.f;
#pragma unroll
        for (int i = 0; i < kCluster; ++i) sum += mem.shares[1 - now][i][local][row];
        dh += sum;
      }
      if (p == a.steps) {
        if (real) {
          store<float>(a.dh0, bu, dh);
          if (kCell == Cell::lstm) store<float>(a.dc0, bu, dc);
        }
        break;
      }
      dh += outside;
      float dx[G], dr[G];  // dr: of h U
      float through = 0.f;
      const bool keep = !known;
      with_activations<float>(a, [&](const auto& fn) {
        if constexpr (kCell == Cell::lstm) {
          const float i = gate[0], f = gate[1], g = gate[2], o = gate[3];
          const float t = fn.act(fmaf(f, before, i * g));
          const float dct = fmaf(dh * o, fn.act_slope(t), dc);
          dx[0] = dct * g * fn.gate_slope(i);
          dx[1] = dct * before * fn.gate_slope(f);
          dx[2] = dct * i * fn.act_slope(g);
          dx[3] = dh * t * fn.gate_slope(o);
          dc = keep ? dc : dct * f;
        } else if constexpr (kCell == Cell::gru) {
          const float z = gate[0], reset = gate[1], n = gate[2];
          dx[0] = dh * (before - n) * fn.gate_slope(z);
          dx[2] = dh * (1.f - z) * fn.act_slope(n);
          dx[1] = dx[2] * gate[3] * fn.gate_slope(reset);
          through = dh * z;
          dr[0] = dx[0], dr[1] = dx[1], dr[2] = dx[2] * reset;
        } else {
          dx[0] = dh * fn.act_slope(gate[0]);
        }
      });
      pass = keep ? dh : through;
#pragma unroll
      for (int g = 0; g < G; ++g) {
        const bool nothing = keep || !real;  // a product with it must be 0
        const float d = nothing ? 0.f : dx[g], r = nothing ? 0.f : kCell == Cell::gru ? dr[g] : d;
        mem.dz[now][g * kBlock + local][row] = r;
        if (real) {
          const int64_t to_dx = ((bt + time_of(a, a.steps - 1 - p)) * G + g) * H + unit;
          if (a.dxz) static_cast<float*>(a.dxz)[to_dx] = d;
          if (kCell == Cell::gru && a.dhz) static_cast<float*>(a.dhz)[to_dx] = r;
        }
      }
      if (p + 1 < a.steps) fetch(a.steps - 2 - p);
    } else if (p == a.steps) {
      break;
    }
    __syncthreads();
    float sum[kRows] = {};
    const auto add = [&](float w, int k) {
      if constexpr (kRows == 1) {
        sum[0] = fmaf(w, mem.dz[now][k][0], sum[0]);
      } else {
        const float4 x = *reinterpret_cast<const float4*>(&mem.dz[now][k][0]);
        const float4 y = *reinterpret_cast<const float4*>(&mem.dz[now][k][4]);
        sum[0] = fmaf(w, x.x, sum[0]), sum[1] = fmaf(w, x.y, sum[1]);
        sum[2] = fmaf(w, x.z, sum[2]), sum[3] = fmaf(w, x.w, sum[3]);
        sum[4] = fmaf(w, y.x, sum[4]), sum[5] = fmaf(w, y.y, sum[5]);
        sum[6] = fmaf(w, y.z, sum[6]), sum[7] = fmaf(w, y.w, sum[7]);
      }
    };
#pragma unroll
    for (int i = 0; i < Shared::kKept; ++i) add(u[i], from_k + i);
#pragma unroll 2
    for (int i = 0; i < Shared::kMore; i += 4) {
      const float4 w = mem.more[i / 4][thread];
      const int k = from_k + Shared::kKept + i;
      add(w.x, k), add(w.y, k + 1), add(w.z, k + 2), add(w.w, k + 3);
    }
    if constexpr (kRows == 1) {
#pragma unroll
      for (int bits = 16; bits >= kTargets; bits /= 2) sum[0] += shuffle_xor(sum[0], bits);
      if (sends) remote_store(to + now * kOdd, bar + now * 8, __float_as_uint(sum[0]));
    } else {
      float v[kSent];
      if constexpr (kLanes == 1) {
#pragma unroll
        for (int j = 0; j < kSent; ++j) v[j] = sum[j];
      } else {
        // The two halves of a warp keep four rows each.
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          const float low = sum[j], high = sum[j + 4];
          v[j] = (half ? high : low) + shuffle_xor(half ? low : high, 16);
          if (kLanes == 4) v[j] += shuffle_xor(v[j], 8);
        }
      }
#pragma unroll
      for (int j = 0; j < kSent; j += 4)
        if (sends && half * 4 + j < rows)
          remote_store(to + now * kOdd + j * 4, bar + now * 8, __float_as_uint(v[j]), __float_as_uint(v[j + 1]),
                       __float_as_uint(v[j + 2]), __float_as_uint(v[j + 3]));
    }
  }
  cluster_sync();  // nobody leaves while others may still write to it
}

template <Cell kCell, int kCluster, int kBlock, int kRows>
bool start(const RecurrenceGradientArgs& a, const Launch& l) {
  constexpr auto kernel = recurrence_gradient_cluster_f32<kCell, kCluster, kBlock, kRows>;
  constexpr size_t bytes = sizeof(BackShared32<kGates<kCell>, kCluster, kBlock, kRows>);
  static const bool fits = cluster_fits(kernel, kCluster, kThreads, bytes);
  if (fits) launch_clusters(l, kernel, blocks_for(a.batch, kRows), kCluster, kThreads, bytes, a);
  return fits;
}
template <Cell kCell, int kCluster, int kBlock>
bool start(const RecurrenceGradientArgs& a, const Launch& l) {
  return a.batch == 1 ? start<kCell, kCluster, kBlock, 1>(a, l) : start<kCell, kCluster, kBlock, 8>(a, l);
}
template <Cell kCell>
bool start(const RecurrenceGradientArgs& a, const Launch& l) {
  if (a.units <= 128) return start<kCell, 8, 16>(a, l);
  if (a.units <= 256) return start<kCell, 16, 16>(a, l);
  return start<kCell, 16, 32>(a, l);
}
bool start(const RecurrenceGradientArgs& a, const Launch& l) {
  if (a.cell == Cell::lstm) return start<Cell::lstm>(a, l);
  if (a.cell == Cell::gru) return start<Cell::gru>(a, l);
  return start<Cell::simple_rnn>(a, l);
}

}  // namespace
}  // namespace cuda::recurrent

void recurrence_gradient_f32_cuda(const RecurrenceGradientArgs& a, const Launch& l);

// Where the GPU has no clusters of this size free (some multiprocessors are off): by rows.
void recurrence_gradient_f32_cluster(const RecurrenceGradientArgs& a, const Launch& l) {
  if (a.batch && !cuda::recurrent::start(a, l)) recurrence_gradient_f32_cuda(a, l);
}

}  // namespace maas
#endif
