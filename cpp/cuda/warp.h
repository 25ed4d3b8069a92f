#pragma once
// Collectives of a warp for any trivially copyable type. All lanes named in `mask` must get there; a lane that reads
// from one outside the mask gets garbage. Results of reductions are the same bits in every lane.
#include "cuda/platform.h"

namespace maas::cuda {

// What T's 4-byte words are sent as; types below 4 bytes are padded.
template <class T>
union WarpWords {
  static constexpr int kCount = (sizeof(T) + 3) / 4;
  T value;
  uint32_t words[kCount];
  __device__ WarpWords() : words{} {}
};

#define MAAS_SHUFFLE(name, intrinsic, argument)                                     \
  template <class T>                                                                \
  __device__ __forceinline__ T name(T v, int argument, unsigned mask = kAllLanes) { \
    WarpWords<T> w;                                                                 \
    w.value = v;                                                                    \
    _Pragma("unroll") for (int i = 0; i < WarpWords<T>::kCount; ++i) w.words[i] =   \
        intrinsic(mask, w.words[i], argument);                                      \
    return w.value;                                                                 \
  }
MAAS_SHUFFLE(shuffle, __shfl_sync, source)           // of lane `source`
MAAS_SHUFFLE(shuffle_xor, __shfl_xor_sync, bits)     // of lane ^ bits
MAAS_SHUFFLE(shuffle_up, __shfl_up_sync, delta)      // of lane - delta; its own where there is none
MAAS_SHUFFLE(shuffle_down, __shfl_down_sync, delta)  // of lane + delta; its own where there is none
#undef MAAS_SHUFFLE

struct Sum {
  template <class T>
  __device__ __forceinline__ T operator()(T a, T b) const {
    return a + b;
  }
};
struct Product {
  template <class T>
  __device__ __forceinline__ T operator()(T a, T b) const {
    return a * b;
  }
};
// NaN wins, as in NumPy and on the CPU.
struct Max {
  template <class T>
  __device__ __forceinline__ T operator()(T a, T b) const {
    return a > b || a != a ? a : b;
  }
};
struct Min {
  template <class T>
  __device__ __forceinline__ T operator()(T a, T b) const {
    return a < b || a != a ? a : b;
  }
};

// Over groups of kWidth neighbouring lanes (2, 4, ... 32), by a butterfly: op(a, b) must equal op(b, a).
template <int kWidth = kWarp, class T, class Op>
__device__ __forceinline__ T warp_reduce(T v, Op op, unsigned mask = kAllLanes) {
#pragma unroll
  for (int bits = kWidth / 2; bits > 0; bits /= 2) v = op(v, shuffle_xor(v, bits, mask));
  return v;
}
template <int kWidth = kWarp, class T>
__device__ __forceinline__ T warp_sum(T v) {
  return warp_reduce<kWidth>(v, Sum{});
}
template <int kWidth = kWarp, class T>
__device__ __forceinline__ T warp_max(T v) {
  return warp_reduce<kWidth>(v, Max{});
}
template <int kWidth = kWarp, class T>
__device__ __forceinline__ T warp_min(T v) {
  return warp_reduce<kWidth>(v, Min{});
}

// Lane i gets op over lanes 0 .. i, in a fixed tree; op(a, b) takes the earlier lanes first.
template <class T, class Op>
__device__ __forceinline__ T warp_scan(T v, Op op) {
#pragma unroll
  for (int delta = 1; delta < kWarp; delta *= 2) {
    const T before = shuffle_up(v, delta);
    if (lane() >= delta) v = op(before, v);
  }
  return v;
}

__device__ __forceinline__ bool warp_any(bool v) { return __any_sync(kAllLanes, v); }
__device__ __forceinline__ bool warp_all(bool v) { return __all_sync(kAllLanes, v); }
__device__ __forceinline__ unsigned warp_ballot(bool v) { return __ballot_sync(kAllLanes, v); }

}  // namespace maas::cuda
