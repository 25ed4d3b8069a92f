// Backwards, as recurrence.cu: a block walks all steps of some rows of the batch. dz of the step that was done last
// lies in shared memory; a thread owns units and sums dh of one over all of dz.
#include "ops/recurrent/recurrent_device.h"

#define MAAS_KERNELS "ops/recurrent/gradient_kernels.inc"
#define MAAS_KERNEL_ARGS RecurrenceGradientArgs
#define MAAS_KERNEL_TABLE recurrence_gradient_kernels
#include "cuda/kernel_table.h"

namespace maas {
namespace cuda::recurrent {
namespace {

constexpr int kThreads = 512;

// sum[r] += dz[r] of one gate times the transposed U. dz: kRows x (gates x stride).
template <class T, int kRows>
__device__ void add_products(float (&sum)[kRows], const float* dz, int stride, int row, const T* from, int64_t step,
                             int64_t H) {
  const int whole = static_cast<int>(H) / 4 * 4;
#pragma unroll 4
  for (int k = 0; k < whole; k += 4) {
    float w[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) w[i] = as_float(from[(k + i) * step]);
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const float4 d = *reinterpret_cast<const float4*>(dz + r * row + k);
      float s = fmaf(d.x, w[0], sum[r]);
      s = fmaf(d.y, w[1], s);
      s = fmaf(d.z, w[2], s);
      sum[r] = fmaf(d.w, w[3], s);
    }
  }
  for (int k = whole; k < H; ++k) {
    const float w = as_float(from[k * step]);
#pragma unroll
    for (int r = 0; r < kRows; ++r) sum[r] = fmaf(dz[r * row + k], w, sum[r]);
  }
}

template <class T, Cell kCell, int kRows>
__global__ void __launch_bounds__(kThreads, 1) recurrence_gradient_rows(RecurrenceGradientArgs a) {
  constexpr int G = kGates<kCell>, K = kKept<kCell>;
  constexpr int kFirst = kCell == Cell::gru_before ? 2 : G;
  const int64_t H = a.units;
  const int stride = static_cast<int>(H + 3) / 4 * 4, row = G * stride;
  float* dz = shared<float>();              // kRows x G x stride: the gradient of h U
  float* pass = dz + kRows * row;           // kRows x stride
  float* dc_state = pass + kRows * stride;  // lstm
  const int64_t first = static_cast<int64_t>(blockIdx.x) * kRows;
  const int rows = static_cast<int>(a.batch - first < kRows ? a.batch - first : kRows);
  const T* panels = static_cast<const T*>(a.panels);
  for (int i = threadIdx.x; i < kRows * row; i += blockDim.x) dz[i] = 0.f;
  __syncthreads();

  for (int64_t s = a.steps - 1; s >= -1; --s) {
    const int64_t time = s < 0 ? 0 : time_of(a, s);
    // dh of this step, from dz of the next.
    for (int64_t u = threadIdx.x; u < H; u += blockDim.x) {
      float sum[kFirst][kRows] = {};
      const bool last = s == a.steps - 1;
      if (!last) {
        const Panel p = wide_panel(H, G * H, u);
#pragma unroll
        for (int g = 0; g < kFirst; ++g)
          add_products<T, kRows>(sum[g], dz + g * stride, stride, row, panels + p.at + g * H * p.stride, p.stride, H);
      }
#pragma unroll
      for (int r = 0; r < kRows; ++r) {
        if (r >= rows) break;
        const int64_t bu = (first + r) * H + u;
        const int mine = r * stride + static_cast<int>(u);
        float dh = sum[0][r];
#pragma unroll
        for (int g = 1; g < kFirst; ++g) dh += sum[g][r];
        if (last) {
          dh = load<T>(a.dh, bu);
          if (kCell == Cell::lstm) dc_state[mine] = load<T>(a.dc, bu);
        } else {
          dh += pass[mine];
        }
        if (s < 0) {
          store<T>(a.dh0, bu, dh);
          if (kCell == Cell::lstm) store<T>(a.dc0, bu, dc_state[mine]);
        } else {
          pass[mine] = dh + load<T>(a.dy, ((first + r) * a.steps + s) * H + u);
        }
      }
    }
    if (s < 0) return;
    __syncthreads();
    for (int64_t u = threadIdx.x; u < H; u += blockDim.x) {
      for (int r = 0; r < rows; ++r) {
        const int64_t at = (first + r) * a.steps + time;
        const bool keep = a.mask && !a.mask[at];
        const int mine = r * stride + static_cast<int>(u);
        const float dh = pass[mine];
        float dx[G], dr[G], gate[K];  // dr: of h U
#pragma unroll
        for (int g = 0; g < K; ++g) gate[g] = load<T>(a.gates, (at * K + g) * H + u);
        float through = 0.f;
        if constexpr (kCell == Cell::lstm) {
          const float i = gate[0], f = gate[1], g = gate[2], o = gate[3], dc = dc_state[mine];
          const float c = load<T>(a.prev, at * H + u), t = activate(a.activation, fmaf(f, c, i * g));
          const float dct = fmaf(dh * o, slope(a.activation, t), dc);
          dx[0] = dct * g * slope(a.gate, i);
          dx[1] = dct * c * slope(a.gate, f);
          dx[2] = dct * i * slope(a.activation, g);
          dx[3] = dh * t * slope(a.gate, o);
          if (!keep) dc_state[mine] = dct * f;
        } else if constexpr (kCell == Cell::gru || kCell == Cell::gru_before) {
          const float h = load<T>(a.prev, at * H + u), z = gate[0], n = gate[2];
          dx[0] = dh * (h - n) * slope(a.gate, z);
          dx[2] = dh * (1.f - z) * slope(a.activation, n);
          through = dh * z;
          if constexpr (kCell == Cell::gru) {
            const float reset = gate[1];
            dx[1] = dx[2] * gate[3] * slope(a.gate, reset);
            dr[0] = dx[0], dr[1] = dx[1], dr[2] = dx[2] * reset;
#pragma unroll
            for (int g = 0; g < G; ++g) store<T>(a.dhz, (at * G + g) * H + u, keep ? 0.f : dr[g]);
          } else {
            dx[1] = 0.f;  // follows from d of r h, below
          }
        } else {
          dx[0] = dh * slope(a.activation, gate[0]);
        }
#pragma unroll
        for (int g = 0; g < G; ++g) {
          store<T>(a.dxz, (at * G + g) * H + u, keep ? 0.f : dx[g]);
          dz[r * row + g * stride + u] = keep ? 0.f : kCell == Cell::gru ? dr[g] : dx[g];
        }
        pass[mine] = keep ? dh : through;
      }
    }
    __syncthreads();
    if constexpr (kCell == Cell::gru_before) {
      for (int64_t u = threadIdx.x; u < H; u += blockDim.x) {
        float sum[kRows] = {};
        const Panel p = wide_panel(H, G * H, u);
        add_products<T, kRows>(sum, dz + 2 * stride, stride, row, panels + p.at + 2 * H * p.stride, p.stride, H);
#pragma unroll
        for (int r = 0; r < kRows; ++r) {
          if (r >= rows) break;
          const int64_t at = (first + r) * a.steps + time;
          if (a.mask && !a.mask[at]) continue;
          const int mine = r * stride + static_cast<int>(u);
          const float reset = load<T>(a.gates, (at * K + 1) * H + u), h = load<T>(a.prev, at * H + u);
          const float dx = sum[r] * h * slope(a.gate, reset);
          store<T>(a.dxz, (at * G + 1) * H + u, dx);
          dz[r * row + stride + u] = dx;
          pass[mine] = fmaf(sum[r], reset, pass[mine]);
        }
      }
      __syncthreads();
    }
  }
}

template <class T, Cell kCell>
void rows(const RecurrenceGradientArgs& a, const Launch& l) {
  const int64_t stride = (a.units + 3) / 4 * 4, bytes = (cell_gates(kCell) + 2) * stride * 4;
  const int64_t threads = (a.units + 31) / 32 * 32;
  const dim3 block(static_cast<unsigned>(threads < kThreads ? threads : kThreads));
  if (a.batch > 2 * l.multiprocessors && stride <= 2048)
    launch(l, recurrence_gradient_rows<T, kCell, 4>, blocks_for(a.batch, 4), block, 4 * bytes, a);
  else
    launch(l, recurrence_gradient_rows<T, kCell, 1>, blocks_for(a.batch, 1), block, bytes, a);
}

template <class T>
void any_cell(const RecurrenceGradientArgs& a, const Launch& l) {
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

void recurrence_gradient_f32_cuda(const RecurrenceGradientArgs& a, const Launch& l) {
  cuda::recurrent::any_cell<float>(a, l);
}
void recurrence_gradient_bf16_cuda(const RecurrenceGradientArgs& a, const Launch& l) {
  cuda::recurrent::any_cell<cuda::recurrent::bf16>(a, l);
}

}  // namespace maas
