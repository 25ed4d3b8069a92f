// One block has some rows of the batch and walks all their steps; nothing passes between blocks. The states lie in
// shared memory, U is read from L2 in every step. A thread owns units: it sums their gates and finishes them.
#include "ops/recurrent/recurrent_device.h"

#define MAAS_KERNELS "ops/recurrent/kernels.inc"
#define MAAS_KERNEL_ARGS RecurrenceArgs
#define MAAS_KERNEL_TABLE recurrence_kernels
#include "cuda/kernel_table.h"

namespace maas {
namespace cuda::recurrent {
namespace {

constexpr int kThreads = 512;

// sum[g][r] += state[r] U of the gates from kFirst on; one chain over k, so its bits depend on nothing else.
template <class T, Cell kCell, int kRows, int kFirst, int kCount>
__device__ void add_products(float (&sum)[kCount][kRows], const float* state, int stride, const T* panels, int64_t H,
                             int64_t u) {
  const T* from[kCount];
  int64_t step = 0;
#pragma unroll
  for (int g = 0; g < kCount; ++g) {
    const Panel p = gate_panel<kCell>(H, kFirst + g, u);
    from[g] = panels + p.at;
    step = p.stride;
  }
  const int whole = static_cast<int>(H) / 4 * 4;
#pragma unroll 2
  for (int k = 0; k < whole; k += 4) {
    float w[kCount][4];
#pragma unroll
    for (int g = 0; g < kCount; ++g)
#pragma unroll
      for (int i = 0; i < 4; ++i) w[g][i] = as_float(from[g][(k + i) * step]);
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const float4 h = *reinterpret_cast<const float4*>(state + r * stride + k);
#pragma unroll
      for (int g = 0; g < kCount; ++g) {
        float s = fmaf(h.x, w[g][0], sum[g][r]);
        s = fmaf(h.y, w[g][1], s);
        s = fmaf(h.z, w[g][2], s);
        sum[g][r] = fmaf(h.w, w[g][3], s);
      }
    }
  }
  for (int k = whole; k < H; ++k)
#pragma unroll
    for (int g = 0; g < kCount; ++g) {
      const float w = as_float(from[g][k * step]);
#pragma unroll
      for (int r = 0; r < kRows; ++r) sum[g][r] = fmaf(state[r * stride + k], w, sum[g][r]);
    }
}

template <class T, Cell kCell, int kRows>
__global__ void __launch_bounds__(kThreads, 1) recurrence_rows(RecurrenceArgs a) {
  constexpr int G = kGates<kCell>, K = kKept<kCell>;
  constexpr int kFirst = kCell == Cell::gru_before ? 2 : G;  // gates of the first product
  const int64_t H = a.units;
  const int stride = static_cast<int>(H + 3) / 4 * 4;
  float* states = shared<float>();             // 2 x kRows x stride
  float* extra = states + 2 * kRows * stride;  // lstm: c; gru_before: r h
  const int64_t first = static_cast<int64_t>(blockIdx.x) * kRows;
  const int rows = static_cast<int>(a.batch - first < kRows ? a.batch - first : kRows);
  const T *xz = static_cast<const T*>(a.xz), *panels = static_cast<const T*>(a.panels);

  for (int i = threadIdx.x; i < kRows * stride; i += blockDim.x) {
    const int r = i / stride, u = i % stride;
    const bool real = r < rows && u < H;
    states[i] = real ? as_float(static_cast<const T*>(a.h0)[(first + r) * H + u]) : 0.f;
    states[kRows * stride + i] = 0.f;
    if (kCell == Cell::lstm) extra[i] = real ? as_float(static_cast<const T*>(a.c0)[(first + r) * H + u]) : 0.f;
    if (kCell == Cell::gru_before) extra[i] = 0.f;
  }
  __syncthreads();

  for (int64_t s = 0; s < a.steps; ++s) {
    const int64_t time = time_of(a, s);
    const float* before = states + (s % 2) * kRows * stride;
    float* after = states + ((s + 1) % 2) * kRows * stride;
    for (int64_t u = threadIdx.x; u < H; u += blockDim.x) {
      float x[G][kRows], sum[kFirst][kRows];
#pragma unroll
      for (int r = 0; r < kRows; ++r)
#pragma unroll
        for (int g = 0; g < G; ++g)
          x[g][r] = r < rows ? as_float(xz[(((first + r) * a.steps + time) * G + g) * H + u]) : 0.f;
#pragma unroll
      for (int g = 0; g < kFirst; ++g) {
        const float bias = kCell == Cell::gru ? load<T>(a.recurrent_bias, g * H + u) : 0.f;
#pragma unroll
        for (int r = 0; r < kRows; ++r) sum[g][r] = bias;
      }
      add_products<T, kCell, kRows, 0, kFirst>(sum, before, stride, panels, H, u);
#pragma unroll
      for (int r = 0; r < kRows; ++r) {
        if (r >= rows) break;
        const int64_t at = (first + r) * a.steps + time;
        const bool keep = a.mask && !a.mask[at];
        const int mine = r * stride + static_cast<int>(u);
        const float old = before[mine];
        float kept[K] = {}, h = 0.f;
        if constexpr (kCell == Cell::lstm) {
          const float i = activate(a.gate, x[0][r] + sum[0][r]), f = activate(a.gate, x[1][r] + sum[1][r]),
                      g = activate(a.activation, x[2][r] + sum[2][r]), o = activate(a.gate, x[3][r] + sum[3][r]);
          const float c = extra[mine], next = fmaf(f, c, i * g);
          kept[0] = i, kept[1] = f, kept[2] = g, kept[3] = o;
          h = o * activate(a.activation, next);
          store<T>(a.c_prev, at * H + u, c);
          if (!keep) extra[mine] = next;
        } else if constexpr (kCell == Cell::gru) {
          const float z = activate(a.gate, x[0][r] + sum[0][r]), reset = activate(a.gate, x[1][r] + sum[1][r]);
          const float q = sum[2][r], n = activate(a.activation, fmaf(reset, q, x[2][r]));
          kept[0] = z, kept[1] = reset, kept[2] = n, kept[3] = q;
          h = fmaf(z, old, (1.f - z) * n);
        } else if constexpr (kCell == Cell::gru_before) {
          const float z = activate(a.gate, x[0][r] + sum[0][r]), reset = activate(a.gate, x[1][r] + sum[1][r]);
          if (a.gates) {
            store<T>(a.gates, at * K * H + u, keep ? 0.f : z);
            store<T>(a.gates, (at * K + 1) * H + u, keep ? 0.f : reset);
          }
          extra[mine] = reset * old;
          after[mine] = z;  // until n is known
          continue;
        } else {
          kept[0] = h = activate(a.activation, x[0][r] + sum[0][r]);
        }
        if (a.gates)
#pragma unroll
          for (int g = 0; g < K; ++g) store<T>(a.gates, (at * K + g) * H + u, keep ? 0.f : kept[g]);
        store<T>(a.h_prev, at * H + u, old);
        h = keep ? old : h;
        store<T>(a.y, ((first + r) * a.steps + s) * H + u, h);
        after[mine] = h;
      }
    }
    __syncthreads();
    if constexpr (kCell == Cell::gru_before) {
      for (int64_t u = threadIdx.x; u < H; u += blockDim.x) {
        float sum[1][kRows] = {};
        add_products<T, kCell, kRows, 2, 1>(sum, extra, stride, panels, H, u);
#pragma unroll
        for (int r = 0; r < kRows; ++r) {
          if (r >= rows) break;
          const int64_t at = (first + r) * a.steps + time;
          const bool keep = a.mask && !a.mask[at];
          const int mine = r * stride + static_cast<int>(u);
          const float old = before[mine], z = after[mine];
          const float n = activate(a.activation, as_float(xz[(at * G + 2) * H + u]) + sum[0][r]);
          if (a.gates) store<T>(a.gates, (at * K + 2) * H + u, keep ? 0.f : n);
          store<T>(a.h_prev, at * H + u, old);
          const float h = keep ? old : fmaf(z, old, (1.f - z) * n);
          store<T>(a.y, ((first + r) * a.steps + s) * H + u, h);
          after[mine] = h;
        }
      }
      __syncthreads();
    }
  }
  const float* last = states + (a.steps % 2) * kRows * stride;
  for (int i = threadIdx.x; i < rows * stride; i += blockDim.x) {
    const int r = i / stride, u = i % stride;
    if (u >= H) continue;
    store<T>(a.h, (first + r) * H + u, last[i]);
    if (kCell == Cell::lstm) store<T>(a.c, (first + r) * H + u, extra[i]);
  }
}

template <class T, Cell kCell>
void rows(const RecurrenceArgs& a, const Launch& l) {
  const int64_t stride = (a.units + 3) / 4 * 4, planes = kCell == Cell::lstm || kCell == Cell::gru_before ? 3 : 2;
  const int64_t threads = (a.units + 31) / 32 * 32;
  const dim3 block(static_cast<unsigned>(threads < kThreads ? threads : kThreads));
  // Four rows share what is read of U, once there are enough of them for all multiprocessors.
  if (a.batch > 2 * l.multiprocessors && stride <= 4096)
    launch(l, recurrence_rows<T, kCell, 4>, blocks_for(a.batch, 4), block, planes * 4 * stride * 4, a);
  else
    launch(l, recurrence_rows<T, kCell, 1>, blocks_for(a.batch, 1), block, planes * stride * 4, a);
}

template <class T>
void any_cell(const RecurrenceArgs& a, const Launch& l) {
  if (!a.batch || !a.units) return;
  switch (a.cell) {
    case Cell::lstm:
      return rows<T, Cell::lstm>(a, l);
    case Cell::gru:
      return rows<T, Cell::gru>(a, l);
    case Cell::gru_before:
      return rows<T, Cell::gru_before>(a, l);
    case Cell::simple_rnn:
      return rows<T, Cell::simple_rnn>(a, l);
  }
}

}  // namespace
}  // namespace cuda::recurrent

void recurrence_f32_cuda(const RecurrenceArgs& a, const Launch& l) { cuda::recurrent::any_cell<float>(a, l); }
void recurrence_bf16_cuda(const RecurrenceArgs& a, const Launch& l) {
  cuda::recurrent::any_cell<cuda::recurrent::bf16>(a, l);
}

}  // namespace maas
