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

// activate() within the error of bfloat16.
__device__ inline float activate_16(CellActivation a, float z) {
  if (a == CellActivation::sigmoid) return __fdividef(1.f, 1.f + __expf(-z));
  if (a == CellActivation::tanh) return approximate_tanh(z);
  return activate(a, z);
}

// The same within some epsilons of float32.
__device__ inline float activate_32(CellActivation a, float z) {
  if (a == CellActivation::sigmoid) return __fdividef(1.f, 1.f + __expf(-z));
  return activate(a, z);
}

}  // namespace maas::cuda::recurrent
