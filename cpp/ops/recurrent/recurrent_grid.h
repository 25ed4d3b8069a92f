#pragma once
// What the rows on a whole grid share: each block has 8 units, and of its 16 warps each has 64 units as k, which 8
// blocks own.
#include "cuda/grid.h"
#include "ops/recurrent/recurrent_cluster.h"

namespace maas::cuda::recurrent {

constexpr int kBlockUnits = 8, kParts = kThreads / 32, kPart = 64, kWidth = kParts * kPart;
constexpr int kFlags = kWidth / kBlockUnits;  // of all blocks, 32 bytes apart

// A lane of a warp that watches the flag of one block whose units are the warp's k.
struct Watch {
  const uint32_t* flag = nullptr;
  __device__ Watch(const uint32_t (*flags)[8]) {
    const int lane = static_cast<int>(threadIdx.x) % 32;
    const int producer = static_cast<int>(threadIdx.x) / 32 * (kPart / kBlockUnits) + lane;
    if (lane < kPart / kBlockUnits && producer < static_cast<int>(gridDim.x)) flag = flags[producer];
  }
  __device__ void wait(int64_t value) const {
    if (flag) flag_wait(flag, static_cast<uint32_t>(value));
    __syncwarp();
  }
};

}  // namespace maas::cuda::recurrent
