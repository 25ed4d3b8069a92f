#pragma once
// Philox4x32-10 (core/random.h): the same words as on the CPU.
#include "core/philox_key.h"
#include "cuda/platform.h"

namespace maas::cuda {

// The bare cipher.
__device__ __forceinline__ uint4 philox4x32(uint4 c, uint2 k) {
#pragma unroll
  for (int round = 0; round < 10; ++round) {
    const uint32_t high0 = __umulhi(0xD2511F53u, c.x), low0 = 0xD2511F53u * c.x;
    const uint32_t high1 = __umulhi(0xCD9E8D57u, c.z), low1 = 0xCD9E8D57u * c.z;
    c = make_uint4(high1 ^ c.y ^ k.x, low1, high0 ^ c.w ^ k.y, low0);
    k.x += 0x9E3779B9u;
    k.y += 0xBB67AE85u;
  }
  return c;
}

// The key of (seed, stream, step); seed and step are the two elements of a state tensor.
template <class State>
__device__ __forceinline__ PhiloxKey philox_key(const State* state, int64_t stream) {
  const auto seed = static_cast<uint64_t>(static_cast<int64_t>(state[0]));
  const auto step = static_cast<uint64_t>(static_cast<int64_t>(state[1]));
  const auto by = static_cast<uint64_t>(stream);
  const uint4 mixed = philox4x32(make_uint4(static_cast<uint32_t>(by), static_cast<uint32_t>(by >> 32), 0, 0),
                                 make_uint2(static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)));
  return {{mixed.x, mixed.y}, {static_cast<uint32_t>(step), static_cast<uint32_t>(step >> 32)}};
}

// Words 4 * block .. 4 * block + 3.
__device__ __forceinline__ uint4 philox_words(const PhiloxKey& key, uint64_t block) {
  return philox4x32(
      make_uint4(static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32), key.step[0], key.step[1]),
      make_uint2(key.key[0], key.key[1]));
}

// [0, 1), 24 bits.
__device__ __forceinline__ float uniform_f32(uint32_t w) { return static_cast<float>(w >> 8) * 0x1p-24f; }

}  // namespace maas::cuda
