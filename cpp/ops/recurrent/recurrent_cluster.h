#pragma once
// What the rows on clusters of blocks share: 512 threads, each block has 32 units.
#include "cuda/cluster.h"
#include "cuda/mma.h"
#include "cuda/warp.h"
#include "ops/recurrent/recurrent_device.h"

namespace maas::cuda::recurrent {

constexpr int kThreads = 512, kUnits = 32;

// (k, k + 1) of row `unit` of a gate, as mma takes them; zeros beyond the units.
template <Cell kCell>
__device__ inline uint32_t pair_of(const bf16* panels, int64_t H, int gate, int64_t unit, int64_t k) {
  if (gate >= kGates<kCell> || unit >= H) return 0;
  const Panel p = gate_panel<kCell>(H, gate, unit);
  const float low = k < H ? as_float(panels[p.at + k * p.stride]) : 0.f;
  const float high = k + 1 < H ? as_float(panels[p.at + (k + 1) * p.stride]) : 0.f;
  return pack_bf16(low, high);
}

// Activations by quick instructions, within the error of T: bfloat16, or some epsilons of float32. The usual pair is
// straight code, so that gates overlap; the others are looked up one by one.
template <class T>
struct UsualCell {
  __device__ float act(float z) const { return sizeof(T) == 2 ? approximate_tanh(z) : tanhf(z); }
  __device__ float gate(float z) const { return __fdividef(1.f, 1.f + __expf(-z)); }
  __device__ float act_slope(float y) const { return fmaf(-y, y, 1.f); }
  __device__ float gate_slope(float y) const { return y * (1.f - y); }
};
template <class T>
struct AnyCell {
  CellActivation activation, recurrent;
  __device__ float act(float z) const { return activate(activation, z); }
  __device__ float gate(float z) const { return activate(recurrent, z); }
  __device__ float act_slope(float y) const { return slope(activation, y); }
  __device__ float gate_slope(float y) const { return slope(recurrent, y); }
};
template <class T, class F>
__device__ __forceinline__ void with_activations(const RecurrenceShape& a, F&& f) {
  if (a.activation == CellActivation::tanh && a.gate == CellActivation::sigmoid)
    f(UsualCell<T>{});
  else
    f(AnyCell<T>{a.activation, a.gate});
}

}  // namespace maas::cuda::recurrent
