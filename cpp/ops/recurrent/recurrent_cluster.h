#pragma once
// What the rows on clusters of blocks share: 512 threads, each block has 32 units.
#include "cuda/cluster.h"
#include "cuda/mma.h"
#include "cuda/warp.h"
#include "ops/recurrent/recurrent_device.h"

namespace maas::cuda::recurrent {

constexpr int kThreads = 512, kUnits = 32;

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
