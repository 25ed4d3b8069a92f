// Many units: one block on every multiprocessor, each with 8 units. U stays in registers: a warp has one of 16 parts of
// k, for all gates of the units. h passes through L2: a block writes its part and raises its flag, and a warp waits for
// the 8 blocks alone whose units are its part of k. There is no barrier of the whole grid: h of even and odd steps lie
// apart, and a block that writes h of step s + 2 has seen all flags of s + 1, which rise when h of step s has been
// read.
//
// bfloat16: tensor core instructions, gates x units are m, the batch is n. Float32: a lane has a gate of a unit.
// 8 or 64 rows of the batch at a time. Sums run in one fixed order, whatever the batch is.
#ifndef MAAS_CUDA_EMULATE
#include <type_traits>

#include "ops/recurrent/recurrent_grid.h"

namespace maas {
namespace cuda::recurrent {
namespace {

// In scratch. bfloat16: rows of h; float32: chunks of 8 rows, and in them units of 8 rows.
template <class T, int kRows>
struct GridState {
  alignas(16) T h[2][kRows * kWidth];
  uint32_t flags[kFlags][8];
};
template <class T, int kRows>
__host__ __device__ constexpr int place(int row, int64_t unit) {
  return sizeof(T) == 2 ? row * kWidth + static_cast<int>(unit)
                        : (row / 8 * kWidth + static_cast<int>(unit)) * 8 + row % 8;
}

template <class T, int kRows>
struct GridShared {
  // Strides that keep gates, and units, in different banks.
  static constexpr int kStride = kRows == 8 ? 8 : kRows + 8, kGate = kBlockUnits * kStride + 8;
  // With 8 rows some warps may be a step behind.
  static constexpr int kCopies = kRows == 8 ? 2 : 1;
  alignas(16) float sums[kCopies][kParts][4][kGate];
  alignas(16) float4 h[sizeof(T) == 4 ? kParts : 1][kPart * 2];  // of the warp's part, 8 rows
};

template <class T, int kRows>
__global__ void recurrence_grid_start(RecurrenceArgs a, GridState<T, kRows>* state, int64_t first) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < kFlags) state->flags[i][0] = 0;
  if (i >= kRows * kWidth) return;
  const int row = i / kWidth, unit = i % kWidth;
  const bool real = first + row < a.batch && unit < a.units;
  state->h[0][place<T, kRows>(row, unit)] =
      real ? static_cast<const T*>(a.h0)[(first + row) * a.units + unit] : as<T>(0.f);
  state->h[1][place<T, kRows>(row, unit)] = as<T>(0.f);
}

// The product of this warp's part, to `sums` of it.
template <Cell kCell, int kRows>
struct PartBf16 {
  static constexpr int G = kGates<kCell>, M = G > 2 ? 2 : 1;
  using Shared = GridShared<bf16, kRows>;
  uint32_t u[M][kPart / 16][4];

  // k of a lane are 8 neighbours in each 32: two instructions take them from one 16-byte load of h.
  __device__ void init(const RecurrenceArgs& a, int part, int lane) {
    const bf16* panels = static_cast<const bf16*>(a.panels);
    const int64_t unit = static_cast<int64_t>(blockIdx.x) * kBlockUnits + lane / 4;
#pragma unroll
    for (int m = 0; m < M; ++m)
#pragma unroll
      for (int i = 0; i < kPart / 16; ++i)
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          const int64_t k = part * kPart + i / 2 * 32 + lane % 4 * 8 + i % 2 * 4 + j / 2 * 2;
          u[m][i][j] = pair_of<kCell>(panels, a.units, 2 * m + j % 2, unit, k);
        }
  }
  __device__ void multiply(Shared&, const bf16* h, float (*sums)[Shared::kGate], int part, int lane, int) {
    constexpr int kTiles = kRows == 8 ? 1 : 4;
#pragma unroll 1
    for (int at = 0; at < kRows / 8; at += kTiles) {
      uint4 b[kTiles][2];
#pragma unroll
      for (int n = 0; n < kTiles; ++n)
#pragma unroll
        for (int j = 0; j < 2; ++j)
          b[n][j] = load_shared_by_all(h + ((at + n) * 8 + lane / 4) * kWidth + part * kPart + j * 32 + lane % 4 * 8);
      float sum[M][kTiles][4] = {};
#pragma unroll
      for (int j = 0; j < 2; ++j)
#pragma unroll
        for (int n = 0; n < kTiles; ++n) {
          const uint32_t b0[2] = {b[n][j].x, b[n][j].y}, b1[2] = {b[n][j].z, b[n][j].w};
#pragma unroll
          for (int m = 0; m < M; ++m) {
            mma_bf16(sum[m][n], u[m][2 * j], b0);
            mma_bf16(sum[m][n], u[m][2 * j + 1], b1);
          }
        }
#pragma unroll
      for (int m = 0; m < M; ++m)
#pragma unroll
        for (int n = 0; n < kTiles; ++n)
#pragma unroll
          for (int j = 0; j < 2; ++j)
            if (2 * m + j < G)
              *reinterpret_cast<float2*>(&sums[2 * m + j][lane / 4 * Shared::kStride + (at + n) * 8 + lane % 4 * 2]) = {
                  sum[m][n][2 * j], sum[m][n][2 * j + 1]};
    }
  }
};

template <Cell kCell, int kRows>
struct PartF32 {
  static constexpr int G = kGates<kCell>;
  using Shared = GridShared<float, kRows>;
  float u[kPart];

  __device__ void init(const RecurrenceArgs& a, int part, int lane) {
    const int64_t unit = static_cast<int64_t>(blockIdx.x) * kBlockUnits + lane % 8;
    const bool real = lane / 8 < G && unit < a.units;
    const Panel p = real ? gate_panel<kCell>(a.units, lane / 8, unit) : Panel{};
#pragma unroll
    for (int i = 0; i < kPart; ++i) {
      const int64_t k = part * kPart + i;
      u[i] = real && k < a.units ? static_cast<const float*>(a.panels)[p.at + k * p.stride] : 0.f;
    }
  }
  __device__ void multiply(Shared& mem, const float* h, float (*sums)[Shared::kGate], int part, int lane, int rows) {
    float4* mine = mem.h[part];
#pragma unroll 1
    for (int at = 0; at * 8 < rows; ++at) {
      const float* from = h + (static_cast<int64_t>(at) * kWidth + part * kPart) * 8;
      uint4 v[4];
#pragma unroll
      for (int j = 0; j < 4; ++j) v[j] = load_shared_by_all(from + (j * 32 + lane) * 4);
      __syncwarp();
#pragma unroll
      for (int j = 0; j < 4; ++j) *reinterpret_cast<uint4*>(&mine[j * 32 + lane]) = v[j];
      __syncwarp();
      float sum[8] = {};
#pragma unroll
      for (int i = 0; i < kPart; ++i) {
        const float4 x = mine[2 * i], y = mine[2 * i + 1];
        sum[0] = fmaf(u[i], x.x, sum[0]), sum[1] = fmaf(u[i], x.y, sum[1]);
        sum[2] = fmaf(u[i], x.z, sum[2]), sum[3] = fmaf(u[i], x.w, sum[3]);
        sum[4] = fmaf(u[i], y.x, sum[4]), sum[5] = fmaf(u[i], y.y, sum[5]);
        sum[6] = fmaf(u[i], y.z, sum[6]), sum[7] = fmaf(u[i], y.w, sum[7]);
      }
      if (lane / 8 < G) {
        float4* to = reinterpret_cast<float4*>(&sums[lane / 8][lane % 8 * Shared::kStride + at * 8]);
        to[0] = {sum[0], sum[1], sum[2], sum[3]};
        to[1] = {sum[4], sum[5], sum[6], sum[7]};
      }
    }
  }
};

template <class T, Cell kCell, int kRows>
__global__ void __launch_bounds__(kThreads, 1)
    recurrence_grid(RecurrenceArgs a, GridState<T, kRows>* state, int64_t first) {
  using Shared = GridShared<T, kRows>;
  constexpr int G = kGates<kCell>, K = kKept<kCell>;
  Shared& mem = *shared<Shared>();
  const int64_t H = a.units;
  const int part = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  const int rows = static_cast<int>(a.batch - first < kRows ? a.batch - first : kRows);
  std::conditional_t<sizeof(T) == 2, PartBf16<kCell, kRows>, PartF32<kCell, kRows>> product;
  product.init(a, part, lane);

  // ---- this thread's unit of one row
  const int local = static_cast<int>(threadIdx.x) / kRows, row = static_cast<int>(threadIdx.x) % kRows;
  const int64_t unit = static_cast<int64_t>(blockIdx.x) * kBlockUnits + local, bu = (first + row) * H + unit;
  const bool item = local < kBlockUnits, real = item && row < rows && unit < H;
  float h = real ? load<T>(a.h0, bu) : 0.f, c = real && kCell == Cell::lstm ? load<T>(a.c0, bu) : 0.f;
  float bias[G];
#pragma unroll
  for (int g = 0; g < G; ++g) bias[g] = real && kCell == Cell::gru ? load<T>(a.recurrent_bias, g * H + unit) : 0.f;
  const int64_t way = a.reverse ? -1 : 1, from = (first + row) * a.steps + time_of(a, 0);
  const T* xz = static_cast<const T*>(a.xz) + from * G * H + unit;
  int64_t at = from * H + unit, at_y = (first + row) * a.steps * H + unit, at_mask = from;
  T x[G];
  bool known = true;
  const auto fetch = [&] {
    if (!real) return;
#pragma unroll
    for (int g = 0; g < G; ++g) x[g] = xz[g * H];
    if (a.mask) known = a.mask[at_mask];
    xz += way * G * H;
    at_mask += way;
  };
#pragma unroll
  for (int g = 0; g < G; ++g) x[g] = as<T>(0.f);
  if (a.steps > 0) fetch();

  const Watch watch(state->flags);
  for (int64_t s = 0; s < a.steps; ++s) {
    const int now = static_cast<int>(s & 1);
    if (s > 0) watch.wait(s);
    auto& sums = mem.sums[Shared::kCopies == 2 ? now : 0];
    product.multiply(mem, state->h[now], sums[part], part, lane, rows);
    __syncthreads();
    if (!item) continue;  // whole warps

    float z[G], kept[K];
#pragma unroll
    for (int g = 0; g < G; ++g) {
      float sum[4] = {};
#pragma unroll
      for (int i = 0; i < kParts; ++i) sum[i % 4] += sums[i][g][local * Shared::kStride + row];
      z[g] = (sum[0] + sum[1]) + (sum[2] + sum[3]) + bias[g];
    }
    const float old = h, c_old = c;
    const bool keep = !known;
    with_activations<T>(a, [&](const auto& fn) {
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
    if (s + 1 < a.steps) {
      if (real) state->h[1 - now][place<T, kRows>(row, unit)] = as<T>(h);
      named_sync(1, kBlockUnits * kRows);
      if (threadIdx.x == 0) flag_set(state->flags[blockIdx.x], static_cast<uint32_t>(s + 1));
    }
    if (real) {
      if (a.gates)
#pragma unroll
        for (int g = 0; g < K; ++g)
          static_cast<T*>(a.gates)[(at - unit) * K + g * H + unit] = as<T>(keep ? 0.f : kept[g]);
      if (kCell == Cell::lstm) store<T>(a.c_prev, at, c_old);
      store<T>(a.h_prev, at, old);
      store<T>(a.y, at_y, h);
    }
    at += way * H;
    at_y += H;
    if (s + 1 < a.steps) fetch();
  }
  if (real) {
    store<T>(a.h, bu, h);
    if (kCell == Cell::lstm) store<T>(a.c, bu, c);
  }
}

template <class T, Cell kCell, int kRows>
bool start(const RecurrenceArgs& a, const Launch& l) {
  constexpr auto kernel = recurrence_grid<T, kCell, kRows>;
  constexpr size_t bytes = sizeof(GridShared<T, kRows>);
  const auto blocks = static_cast<unsigned>((a.units + kBlockUnits - 1) / kBlockUnits);
  static const bool fits = grid_fits(kernel, kFlags, kThreads, bytes, l.multiprocessors);
  if (!fits) return false;
  auto* state = static_cast<GridState<T, kRows>*>(l.scratch);
  for (int64_t first = 0; first < a.batch; first += kRows) {
    launch(l, recurrence_grid_start<T, kRows>, kRows * kWidth / 256, 256, 0, a, state, first);
    launch_together(l, kernel, blocks, kThreads, bytes, a, state, first);
  }
  return true;
}
template <class T, Cell kCell>
bool start(const RecurrenceArgs& a, const Launch& l) {
  return a.batch <= 8 ? start<T, kCell, 8>(a, l) : start<T, kCell, 64>(a, l);
}
template <class T>
bool start(const RecurrenceArgs& a, const Launch& l) {
  if (a.cell == Cell::lstm) return start<T, Cell::lstm>(a, l);
  if (a.cell == Cell::gru) return start<T, Cell::gru>(a, l);
  return start<T, Cell::simple_rnn>(a, l);
}

}  // namespace
}  // namespace cuda::recurrent

void recurrence_f32_cuda(const RecurrenceArgs& a, const Launch& l);
void recurrence_bf16_cuda(const RecurrenceArgs& a, const Launch& l);

size_t recurrence_bf16_grid_scratch(const RecurrenceArgs& a) {
  using namespace cuda::recurrent;
  return a.batch <= 8 ? sizeof(GridState<bf16, 8>) : sizeof(GridState<bf16, 64>);
}
size_t recurrence_f32_grid_scratch(const RecurrenceArgs& a) {
  using namespace cuda::recurrent;
  return a.batch <= 8 ? sizeof(GridState<float, 8>) : sizeof(GridState<float, 64>);
}
// Where the GPU has too few multiprocessors: by rows.
void recurrence_bf16_grid(const RecurrenceArgs& a, const Launch& l) {
  if (a.batch && !cuda::recurrent::start<cuda::recurrent::bf16>(a, l)) recurrence_bf16_cuda(a, l);
}
void recurrence_f32_grid(const RecurrenceArgs& a, const Launch& l) {
  if (a.batch && !cuda::recurrent::start<float>(a, l)) recurrence_f32_cuda(a, l);
}

}  // namespace maas
#endif
