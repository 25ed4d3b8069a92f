// Float32 on clusters of blocks: h passes as in recurrence_cluster.cu. A cluster has 8 rows of the batch, or 1. A warp
// has a unit or two; its lanes share the sums over k, whose weights stay in registers (those of the second unit in
// shared memory), and then trade halves of their sums, so that four lanes end up with all gates of the unit in one row.
// Each of the four finds one gate. Sums run in one fixed order, whatever the batch is.
#ifndef MAAS_CUDA_EMULATE
#include "ops/recurrent/recurrent_cluster.h"

namespace maas {
namespace cuda::recurrent {
namespace {

constexpr int kWarps = kThreads / 32;

template <int kCluster, int kEach, int kRows>
struct ClusterShared32 {
  static constexpr int kBlock = kWarps * kEach, kWidth = kBlock * kCluster, kSteps = kWidth / 32;
  Mbarrier full[2];
  alignas(128) float h[2][kWidth][kRows];
  alignas(16) float4 more[kEach - 1][kWarps][kSteps][32];  // U of the second units
  // Rows 4c .. 4c + 3 of unit k: halves of every other four units are swapped, so that 8 lanes read 8 groups of banks.
  static __device__ int chunk(int64_t k, int c) { return kRows == 1 ? 0 : (c ^ (k / 4 % 2)) * 4; }
};

// Sums v[g][row] of all lanes; the caller gets those of row lane / 4.
template <int G, int kRows>
__device__ __forceinline__ void add_lanes(const float (&v)[G][kRows], float (&sum)[G], int lane) {
  if constexpr (kRows == 1) {
#pragma unroll
    for (int g = 0; g < G; ++g) {
      sum[g] = v[g][0];
#pragma unroll
      for (int bits = 16; bits > 0; bits /= 2) sum[g] += shuffle_xor(sum[g], bits);
    }
  } else {
    constexpr int kHalf = kRows / 2, kBits = kRows * 2;
    const bool high = lane & kBits;
    float half[G][kHalf];
#pragma unroll
    for (int g = 0; g < G; ++g)
#pragma unroll
      for (int j = 0; j < kHalf; ++j) {
        const float first = v[g][j], second = v[g][j + kHalf];
        half[g][j] = (high ? second : first) + shuffle_xor(high ? first : second, kBits);
      }
    if constexpr (kHalf == 1) {
#pragma unroll
      for (int g = 0; g < G; ++g) {
        sum[g] = half[g][0];
        sum[g] += shuffle_xor(sum[g], 2);
        sum[g] += shuffle_xor(sum[g], 1);
      }
    } else {
      add_lanes<G, kHalf>(half, sum, lane);
    }
  }
}

// What four lanes know of one unit in one row; `q` of a lane is its place among them.
template <Cell kCell>
struct Place {
  bool real;
  float h, c, bias[kGates<kCell>], x;
  const float* xz;  // of gate q of the step
  float* gates;     // of kept value q
  float* other;     // y, h_prev, c_prev
  int64_t way;      // of `other`
};

template <Cell kCell, int kCluster, int kEach, int kRows>
__global__ void __launch_bounds__(kThreads, 1) recurrence_cluster_f32(RecurrenceArgs a) {
  using Shared = ClusterShared32<kCluster, kEach, kRows>;
  constexpr int G = kGates<kCell>, K = kKept<kCell>, kSteps = Shared::kSteps;
  Shared& mem = *shared<Shared>();
  const int64_t H = a.units;
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32, q = lane % 4;
  const int rank = static_cast<int>(cluster_rank());
  const int64_t first = static_cast<int64_t>(blockIdx.x / kCluster) * kRows;
  const int rows = static_cast<int>(a.batch - first < kRows ? a.batch - first : kRows);
  const uint32_t bytes = Shared::kWidth * (kRows == 1 ? 4 : (rows + 3) / 4 * 16);
  const int own = rank * Shared::kBlock + warp * kEach;  // first unit of the warp

  float u[kSteps][G];
  {
    const float* panels = static_cast<const float*>(a.panels);
    for (int e = 0; e < kEach; ++e)
#pragma unroll
      for (int i = 0; i < kSteps; ++i) {
        const int64_t k = i * 32 + lane;
        float w[4] = {};
#pragma unroll
        for (int g = 0; g < G; ++g)
          if (k < H && own + e < H) {
            const Panel p = gate_panel<kCell>(H, g, own + e);
            w[g] = panels[p.at + k * p.stride];
          }
        if (e == 0)
#pragma unroll
          for (int g = 0; g < G; ++g) u[i][g] = w[g];
        else
          mem.more[e - 1][warp][i][lane] = {w[0], w[1], w[2], w[3]};
      }
  }
  for (int i = static_cast<int>(threadIdx.x); i < Shared::kWidth * kRows; i += kThreads) {
    const int k = i / kRows, row = i % kRows, at = Shared::chunk(k, row / 4) + row % 4;
    const bool real = row < rows && k < H;
    mem.h[0][k][at] = real ? static_cast<const float*>(a.h0)[(first + row) * H + k] : 0.f;
    mem.h[1][k][at] = 0.f;
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

  const int row = kRows == 1 ? 0 : lane / 4;
  const int64_t way = a.reverse ? -1 : 1, from = (first + row) * a.steps + time_of(a, 0);
  Place<kCell> places[kEach];
#pragma unroll
  for (int e = 0; e < kEach; ++e) {
    Place<kCell>& p = places[e];
    const int64_t unit = own + e, bu = (first + row) * H + unit;
    p.real = row < rows && unit < H && (kRows > 1 || lane < 4);
    p.h = row < rows && unit < H ? load<float>(a.h0, bu) : 0.f;
    p.c = row < rows && unit < H && kCell == Cell::lstm ? load<float>(a.c0, bu) : 0.f;
#pragma unroll
    for (int g = 0; g < G; ++g)
      p.bias[g] = kCell == Cell::gru && unit < H ? load<float>(a.recurrent_bias, g * H + unit) : 0.f;
    p.x = 0.f;
    p.xz = p.real && q < G ? static_cast<const float*>(a.xz) + (from * G + q) * H + unit : nullptr;
    p.gates = p.real && q < K && a.gates ? static_cast<float*>(a.gates) + (from * K + q) * H + unit : nullptr;
    p.other = nullptr;
    p.way = way * H;
    if (q == 0 && a.y) p.other = static_cast<float*>(a.y) + (first + row) * a.steps * H + unit, p.way = H;
    if (q == 1 && a.h_prev) p.other = static_cast<float*>(a.h_prev) + from * H + unit;
    if (q == 2 && kCell == Cell::lstm && a.c_prev) p.other = static_cast<float*>(a.c_prev) + from * H + unit;
    if (!p.real) p.other = nullptr;
    if (p.xz && a.steps > 0) p.x = *p.xz;
  }
  const uint8_t* mask = a.mask && row < rows ? a.mask + from : nullptr;
  bool known = mask && a.steps > 0 ? *mask : true;

  // ---- a lane sends four rows, or the only one, of the warp's unit to one block
  const int half = kRows == 1 ? 0 : lane / 16, target = kRows == 1 ? lane : lane % 16;
  const bool sends = target < kCluster && half * 4 < rows;
  uint32_t to[kEach] = {}, bar = 0;
  constexpr uint32_t kOdd = sizeof(mem.h[0]);
  if (sends) {
    bar = remote_address(&mem.full[0], target);
#pragma unroll
    for (int e = 0; e < kEach; ++e) to[e] = remote_address(&mem.h[0][own + e][Shared::chunk(own + e, half)], target);
  }

  for (int64_t s = 0; s < a.steps; ++s) {
    const uint32_t now = s & 1, next = 1 - now;
    if (s > 0) {
      mbarrier_wait(&mem.full[now], static_cast<uint32_t>((s - 1) / 2 & 1));
      if (threadIdx.x == 0) mbarrier_expect(&mem.full[now], bytes);
    }
    const bool keep = !known, more = s + 1 < a.steps;
#pragma unroll
    for (int e = 0; e < kEach; ++e) {
      Place<kCell>& p = places[e];
      float sums[G][kRows] = {}, z[G];
#pragma unroll
      for (int i = 0; i < kSteps; ++i) {
        const int k = i * 32 + lane;
        float w[4] = {};
        if (e == 0) {
#pragma unroll
          for (int g = 0; g < G; ++g) w[g] = u[i][g];
        } else {
          const float4 v = mem.more[e - 1][warp][i][lane];
          w[0] = v.x, w[1] = v.y, w[2] = v.z, w[3] = v.w;
        }
        if constexpr (kRows == 1) {
          const float h = mem.h[now][k][0];
#pragma unroll
          for (int g = 0; g < G; ++g) sums[g][0] = fmaf(w[g], h, sums[g][0]);
        } else {
#pragma unroll
          for (int c = 0; c < kRows / 4; ++c) {
            const float4 h = *reinterpret_cast<const float4*>(&mem.h[now][k][Shared::chunk(k, c)]);
#pragma unroll
            for (int g = 0; g < G; ++g) {
              sums[g][4 * c] = fmaf(w[g], h.x, sums[g][4 * c]);
              sums[g][4 * c + 1] = fmaf(w[g], h.y, sums[g][4 * c + 1]);
              sums[g][4 * c + 2] = fmaf(w[g], h.z, sums[g][4 * c + 2]);
              sums[g][4 * c + 3] = fmaf(w[g], h.w, sums[g][4 * c + 3]);
            }
          }
        }
      }
      add_lanes<G, kRows>(sums, z, lane);

      const float old = p.h, c_old = p.c;
      float kept, h;  // kept: what this lane keeps
      with_activations<float>(a, [&](const auto& fn) {
        if constexpr (kCell == Cell::lstm) {
          const float mine = p.x + (q == 0 ? z[0] : q == 1 ? z[1] : q == 2 ? z[2] : z[3]);
          kept = q == 2 ? fn.act(mine) : fn.gate(mine);
          const int base = kRows == 1 ? 0 : lane & 28;
          const float i = shuffle(kept, base), f = shuffle(kept, base + 1), g = shuffle(kept, base + 2),
                      o = shuffle(kept, base + 3);
          const float c = fmaf(f, p.c, i * g);
          h = o * fn.act(c);
          p.c = keep ? p.c : c;
        } else if constexpr (kCell == Cell::gru) {
          const float mine = p.x + (q == 0 ? z[0] + p.bias[0] : z[1] + p.bias[1]), gate = fn.gate(mine);
          const int base = kRows == 1 ? 0 : lane & 28;
          const float update = shuffle(gate, base), reset = shuffle(gate, base + 1), x = shuffle(p.x, base + 2);
          const float inner = z[2] + p.bias[2], n = fn.act(fmaf(reset, inner, x));
          kept = q < 2 ? gate : q == 2 ? n : inner;
          h = fmaf(update, old, (1.f - update) * n);
        } else {
          kept = h = fn.act(shuffle(p.x, kRows == 1 ? 0 : lane & 28) + z[0]);
        }
      });
      p.h = keep ? old : h;
      if (own + e >= H || row >= rows) p.h = 0.f;  // a product with it must be 0
      if (more) {
        if constexpr (kRows == 1) {
          if (sends) remote_store(to[e] + next * kOdd, bar + next * 8, __float_as_uint(p.h));
        } else {
          uint32_t w[4];
#pragma unroll
          for (int j = 0; j < 4; ++j) w[j] = __float_as_uint(shuffle(p.h, half * 16 + j * 4));
          if (sends) remote_store(to[e] + next * kOdd, bar + next * 8, w[0], w[1], w[2], w[3]);
        }
      }
      if (p.gates) *p.gates = keep ? 0.f : kept, p.gates += way * K * H;
      if (p.other) *p.other = q == 0 ? p.h : q == 1 ? old : c_old, p.other += p.way;
      if (p.xz && more) p.xz += way * G * H, p.x = *p.xz;
    }
    if (mask && more) mask += way, known = *mask;
  }
#pragma unroll
  for (int e = 0; e < kEach; ++e)
    if (places[e].real && q == 0) {
      const int64_t bu = (first + row) * H + own + e;
      store<float>(a.h, bu, places[e].h);
      if (kCell == Cell::lstm) store<float>(a.c, bu, places[e].c);
    }
  cluster_sync();  // nobody leaves while others may still write to it
}

template <Cell kCell, int kCluster, int kEach, int kRows>
bool start(const RecurrenceArgs& a, const Launch& l) {
  constexpr auto kernel = recurrence_cluster_f32<kCell, kCluster, kEach, kRows>;
  constexpr size_t bytes = sizeof(ClusterShared32<kCluster, kEach, kRows>);
  static const bool fits = cluster_fits(kernel, kCluster, kThreads, bytes);
  if (fits) launch_clusters(l, kernel, blocks_for(a.batch, kRows), kCluster, kThreads, bytes, a);
  return fits;
}
template <Cell kCell, int kCluster, int kEach>
bool start(const RecurrenceArgs& a, const Launch& l) {
  return a.batch == 1 ? start<kCell, kCluster, kEach, 1>(a, l) : start<kCell, kCluster, kEach, 8>(a, l);
}
template <Cell kCell>
bool start(const RecurrenceArgs& a, const Launch& l) {
  if (a.units <= 8 * kWarps) return start<kCell, 8, 1>(a, l);
  if (a.units <= 16 * kWarps) return start<kCell, 16, 1>(a, l);
  return start<kCell, 16, 2>(a, l);
}
bool start(const RecurrenceArgs& a, const Launch& l) {
  if (a.cell == Cell::lstm) return start<Cell::lstm>(a, l);
  if (a.cell == Cell::gru) return start<Cell::gru>(a, l);
  return start<Cell::simple_rnn>(a, l);
}

}  // namespace
}  // namespace cuda::recurrent

void recurrence_f32_cuda(const RecurrenceArgs& a, const Launch& l);

// Where the GPU has no clusters of this size free (some multiprocessors are off): by rows.
void recurrence_f32_cluster(const RecurrenceArgs& a, const Launch& l) {
  if (a.batch && !cuda::recurrent::start(a, l)) recurrence_f32_cuda(a, l);
}

}  // namespace maas
#endif
