// Backwards on a whole grid, as recurrence_grid.cu: dz of a step passes through L2, a warp waits for the 8 blocks whose
// dz are its k and multiplies them with the transposed U of the block's 8 units, which stays in registers.
//
// bfloat16: the batch is m, the units are n. Float32: a lane has a unit and a quarter of k. 8 or 64 rows of the batch
// at a time. Sums run in one fixed order, whatever the batch is.
#ifndef MAAS_CUDA_EMULATE
#include <type_traits>

#include "ops/recurrent/recurrent_grid.h"

namespace maas {
namespace cuda::recurrent {
namespace {

// In scratch: dz of even and odd steps. bfloat16: rows of gates of units; float32: chunks of 8 rows, and in them gates
// of units of 8 rows.
template <class T, int G, int kRows>
struct GridBackState {
  static constexpr int kDepth = G * kWidth;
  alignas(16) T dz[2][kRows * kDepth];
  uint32_t flags[kFlags][8];
  static __device__ int place(int row, int gate, int64_t unit) {
    const int k = gate * kWidth + static_cast<int>(unit);
    return sizeof(T) == 2 ? row * kDepth + k : (row / 8 * kDepth + k) * 8 + row % 8;
  }
};

template <class T, int kRows>
struct GridBackShared {
  static constexpr int kStride = kBlockUnits + (sizeof(T) == 2 ? 0 : 1);
  static constexpr int kCopies = kRows == 8 ? 2 : 1;  // with 8 rows some warps may be a step behind
  alignas(16) float sums[kCopies][kParts][kRows * kStride];
  alignas(16) float4 dz[sizeof(T) == 4 ? kParts : 1][kPart * 2];  // of the warp's part and one gate, 8 rows
};

template <class T, int G, int kRows>
__global__ void recurrence_gradient_grid_start(GridBackState<T, G, kRows>* state) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < kFlags) state->flags[i][0] = 0;
  if (i < 2 * kRows * G * kWidth) state->dz[0][i] = as<T>(0.f);
}

template <Cell kCell, int kRows>
struct BackBf16 {
  static constexpr int G = kGates<kCell>;
  using State = GridBackState<bf16, G, kRows>;
  using Shared = GridBackShared<bf16, kRows>;
  uint32_t u[G][kPart / 16][2];

  // k of a lane are 8 neighbours in each 32: two instructions take them from one 16-byte load of dz.
  __device__ void init(const RecurrenceGradientArgs& a, int part, int lane) {
    const int64_t H = a.units, unit = static_cast<int64_t>(blockIdx.x) * kBlockUnits + lane / 4;
    const bf16* panels = static_cast<const bf16*>(a.panels);
    const Panel p = unit < H ? wide_panel(H, G * H, unit) : Panel{};
#pragma unroll
    for (int g = 0; g < G; ++g)
#pragma unroll
      for (int i = 0; i < kPart / 16; ++i)
#pragma unroll
        for (int j = 0; j < 2; ++j) {
          const int64_t k = part * kPart + i / 2 * 32 + lane % 4 * 8 + i % 2 * 4 + j * 2;
          const float low = unit < H && k < H ? as_float(panels[p.at + (g * H + k) * p.stride]) : 0.f;
          const float high = unit < H && k + 1 < H ? as_float(panels[p.at + (g * H + k + 1) * p.stride]) : 0.f;
          u[g][i][j] = pack_bf16(low, high);
        }
  }
  __device__ void multiply(Shared&, const bf16* dz, float* sums, int part, int lane, int) {
    constexpr int kHalves = kRows == 8 ? 1 : 2;  // of the 16 rows of an instruction
#pragma unroll 1
    for (int at = 0; at < kRows; at += 16) {
      float sum[2][4] = {};
#pragma unroll
      for (int g = 0; g < G; ++g) {
        uint4 d[2][2] = {};
#pragma unroll
        for (int r = 0; r < kHalves; ++r)
#pragma unroll
          for (int j = 0; j < 2; ++j)
            d[r][j] = load_shared_by_all(dz + (at + r * 8 + lane / 4) * State::kDepth + g * kWidth + part * kPart +
                                         j * 32 + lane % 4 * 8);
#pragma unroll
        for (int j = 0; j < 2; ++j) {
          const uint32_t a0[4] = {d[0][j].x, d[1][j].x, d[0][j].y, d[1][j].y};
          const uint32_t a1[4] = {d[0][j].z, d[1][j].z, d[0][j].w, d[1][j].w};
          mma_bf16(sum[j], a0, u[g][2 * j]);
          mma_bf16(sum[j], a1, u[g][2 * j + 1]);
        }
      }
#pragma unroll
      for (int r = 0; r < kHalves; ++r)
        *reinterpret_cast<float2*>(&sums[(at + r * 8 + lane / 4) * Shared::kStride + lane % 4 * 2]) = {
            sum[0][2 * r] + sum[1][2 * r], sum[0][2 * r + 1] + sum[1][2 * r + 1]};
    }
  }
};

template <Cell kCell, int kRows>
struct BackF32 {
  static constexpr int G = kGates<kCell>;
  using State = GridBackState<float, G, kRows>;
  using Shared = GridBackShared<float, kRows>;
  float u[G][kPart / 4];

  __device__ void init(const RecurrenceGradientArgs& a, int part, int lane) {
    const int64_t H = a.units, unit = static_cast<int64_t>(blockIdx.x) * kBlockUnits + lane % 8;
    const Panel p = unit < H ? wide_panel(H, G * H, unit) : Panel{};
#pragma unroll
    for (int g = 0; g < G; ++g)
#pragma unroll
      for (int i = 0; i < kPart / 4; ++i) {
        const int64_t k = part * kPart + i * 4 + lane / 8;
        u[g][i] = unit < H && k < H ? static_cast<const float*>(a.panels)[p.at + (g * H + k) * p.stride] : 0.f;
      }
  }
  __device__ void multiply(Shared& mem, const float* dz, float* sums, int part, int lane, int rows) {
    float4* mine = mem.dz[part];
#pragma unroll 1
    for (int at = 0; at * 8 < rows; ++at) {
      float sum[8] = {};
#pragma unroll
      for (int g = 0; g < G; ++g) {
        const float* from = dz + (static_cast<int64_t>(at) * State::kDepth + g * kWidth + part * kPart) * 8;
        uint4 v[4];
#pragma unroll
        for (int j = 0; j < 4; ++j) v[j] = load_shared_by_all(from + (j * 32 + lane) * 4);
        __syncwarp();
#pragma unroll
        for (int j = 0; j < 4; ++j) *reinterpret_cast<uint4*>(&mine[j * 32 + lane]) = v[j];
        __syncwarp();
#pragma unroll
        for (int i = 0; i < kPart / 4; ++i) {
          const float4 x = mine[2 * (i * 4 + lane / 8)], y = mine[2 * (i * 4 + lane / 8) + 1];
          sum[0] = fmaf(u[g][i], x.x, sum[0]), sum[1] = fmaf(u[g][i], x.y, sum[1]);
          sum[2] = fmaf(u[g][i], x.z, sum[2]), sum[3] = fmaf(u[g][i], x.w, sum[3]);
          sum[4] = fmaf(u[g][i], y.x, sum[4]), sum[5] = fmaf(u[g][i], y.y, sum[5]);
          sum[6] = fmaf(u[g][i], y.z, sum[6]), sum[7] = fmaf(u[g][i], y.w, sum[7]);
        }
      }
#pragma unroll
      for (int j = 0; j < 8; ++j) {
        sum[j] += shuffle_xor(sum[j], 16);
        sum[j] += shuffle_xor(sum[j], 8);
        if (j / 2 == lane / 8) sums[(at * 8 + j) * Shared::kStride + lane % 8] = sum[j];
      }
    }
  }
};

template <class T, Cell kCell, int kRows>
__global__ void __launch_bounds__(kThreads, 1)
    recurrence_gradient_grid(RecurrenceGradientArgs a, GridBackState<T, kGates<kCell>, kRows>* state, int64_t first) {
  using Shared = GridBackShared<T, kRows>;
  constexpr int G = kGates<kCell>, K = kKept<kCell>;
  Shared& mem = *shared<Shared>();
  const int64_t H = a.units;
  const int part = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  const int rows = static_cast<int>(a.batch - first < kRows ? a.batch - first : kRows);
  std::conditional_t<sizeof(T) == 2, BackBf16<kCell, kRows>, BackF32<kCell, kRows>> product;
  product.init(a, part, lane);

  // ---- this thread's unit of one row
  const int local = static_cast<int>(threadIdx.x) % kBlockUnits, row = static_cast<int>(threadIdx.x) / kBlockUnits;
  const int64_t unit = static_cast<int64_t>(blockIdx.x) * kBlockUnits + local, bu = (first + row) * H + unit;
  const bool item = row < kRows, real = row < rows && unit < H;
  float pass = real ? load<T>(a.dh, bu) : 0.f, dc = real && kCell == Cell::lstm ? load<T>(a.dc, bu) : 0.f;
  const int64_t bt = (first + row) * a.steps;
  T gate[K], before = as<T>(0.f), outside = as<T>(0.f);
  bool known = true;
#pragma unroll
  for (int g = 0; g < K; ++g) gate[g] = as<T>(0.f);
  const auto fetch = [&](int64_t s) {
    if (!real) return;
    const int64_t time = bt + time_of(a, s);
#pragma unroll
    for (int g = 0; g < K; ++g) gate[g] = static_cast<const T*>(a.gates)[(time * K + g) * H + unit];
    if (kCell != Cell::simple_rnn) before = static_cast<const T*>(a.prev)[time * H + unit];
    if (a.dy) outside = static_cast<const T*>(a.dy)[(bt + s) * H + unit];
    if (a.mask) known = a.mask[time];
  };
  if (a.steps > 0) fetch(a.steps - 1);

  const Watch watch(state->flags);
  for (int64_t p = 0; p <= a.steps; ++p) {
    const int now = static_cast<int>(p & 1);
    auto& sums = mem.sums[Shared::kCopies == 2 ? now : 0];
    if (p > 0) {
      watch.wait(p);
      product.multiply(mem, state->dz[1 - now], sums[part], part, lane, rows);
      __syncthreads();
    }
    if (!item) continue;  // whole warps
    float dh = pass;
    if (p > 0) {
      float sum[4] = {};
#pragma unroll
      for (int i = 0; i < kParts; ++i) sum[i % 4] += sums[i][row * Shared::kStride + local];
      dh += (sum[0] + sum[1]) + (sum[2] + sum[3]);
    }
    if (p == a.steps) {
      if (real) {
        store<T>(a.dh0, bu, dh);
        if (kCell == Cell::lstm) store<T>(a.dc0, bu, dc);
      }
      break;
    }
    dh += as_float(outside);
    float dx[G], dr[G];  // dr: of h U
    float through = 0.f;
    const bool keep = !known;
    with_activations<T>(a, [&](const auto& fn) {
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
    T d[G], r[G];
#pragma unroll
    for (int g = 0; g < G; ++g) {
      d[g] = as<T>(keep ? 0.f : dx[g]);
      r[g] = kCell == Cell::gru ? as<T>(keep ? 0.f : dr[g]) : d[g];
      if (real) state->dz[now][GridBackState<T, G, kRows>::place(row, g, unit)] = r[g];
    }
    named_sync(1, kBlockUnits * kRows);
    if (threadIdx.x == 0) flag_set(state->flags[blockIdx.x], static_cast<uint32_t>(p + 1));
    if (real) {
      const int64_t time = bt + time_of(a, a.steps - 1 - p);
#pragma unroll
      for (int g = 0; g < G; ++g) {
        const int64_t to = (time * G + g) * H + unit;
        if (a.dxz) static_cast<T*>(a.dxz)[to] = d[g];
        if (kCell == Cell::gru && a.dhz) static_cast<T*>(a.dhz)[to] = r[g];
      }
    }
    if (p + 1 < a.steps) fetch(a.steps - 2 - p);
  }
}

template <class T, Cell kCell, int kRows>
bool start(const RecurrenceGradientArgs& a, const Launch& l) {
  constexpr auto kernel = recurrence_gradient_grid<T, kCell, kRows>;
  constexpr int G = kGates<kCell>;
  constexpr size_t bytes = sizeof(GridBackShared<T, kRows>);
  const auto blocks = static_cast<unsigned>((a.units + kBlockUnits - 1) / kBlockUnits);
  static const bool fits = grid_fits(kernel, kFlags, kThreads, bytes, l.multiprocessors);
  if (!fits) return false;
  auto* state = static_cast<GridBackState<T, G, kRows>*>(l.scratch);
  for (int64_t first = 0; first < a.batch; first += kRows) {
    launch(l, recurrence_gradient_grid_start<T, G, kRows>, 2 * kRows * G * kWidth / 256, 256, 0, state);
    launch_together(l, kernel, blocks, kThreads, bytes, a, state, first);
  }
  return true;
}
template <class T, Cell kCell>
bool start(const RecurrenceGradientArgs& a, const Launch& l) {
  return a.batch <= 8 ? start<T, kCell, 8>(a, l) : start<T, kCell, 64>(a, l);
}
template <class T>
bool start(const RecurrenceGradientArgs& a, const Launch& l) {
  if (a.cell == Cell::lstm) return start<T, Cell::lstm>(a, l);
  if (a.cell == Cell::gru) return start<T, Cell::gru>(a, l);
  return start<T, Cell::simple_rnn>(a, l);
}
template <class T>
size_t scratch(const RecurrenceGradientArgs& a) {
  return a.batch <= 8 ? sizeof(GridBackState<T, 4, 8>) : sizeof(GridBackState<T, 4, 64>);
}

}  // namespace
}  // namespace cuda::recurrent

void recurrence_gradient_f32_cuda(const RecurrenceGradientArgs& a, const Launch& l);
void recurrence_gradient_bf16_cuda(const RecurrenceGradientArgs& a, const Launch& l);

size_t recurrence_gradient_bf16_grid_scratch(const RecurrenceGradientArgs& a) {
  return cuda::recurrent::scratch<cuda::recurrent::bf16>(a);
}
size_t recurrence_gradient_f32_grid_scratch(const RecurrenceGradientArgs& a) {
  return cuda::recurrent::scratch<float>(a);
}
// Where the GPU has too few multiprocessors: by rows.
void recurrence_gradient_bf16_grid(const RecurrenceGradientArgs& a, const Launch& l) {
  if (a.batch && !cuda::recurrent::start<cuda::recurrent::bf16>(a, l)) recurrence_gradient_bf16_cuda(a, l);
}
void recurrence_gradient_f32_grid(const RecurrenceGradientArgs& a, const Launch& l) {
  if (a.batch && !cuda::recurrent::start<float>(a, l)) recurrence_gradient_f32_cuda(a, l);
}

}  // namespace maas
#endif
