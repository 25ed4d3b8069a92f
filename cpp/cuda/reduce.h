#pragma once
// Reductions and scans of a block, in a tree that depends on the block's size alone. Every thread of the block must
// call them; the block is a multiple of 32 threads. They may be called again at once: the last barrier is inside.
#include "cuda/warp.h"

namespace maas::cuda {

// op over v of all threads, in every thread. `identity`: op(identity, v) == v. op(a, b) must equal op(b, a).
template <class T, class Op>
__device__ __forceinline__ T block_reduce(T v, Op op, T identity) {
  __shared__ __align__(16) unsigned char memory[kWarp * sizeof(T)];
  T* const of_warp = reinterpret_cast<T*>(memory);
  v = warp_reduce(v, op);
  const int warps = block_threads() / kWarp;
  if (warps == 1) return v;
  if (lane() == 0) of_warp[warp()] = v;
  __syncthreads();
  T all = lane() < warps ? of_warp[lane()] : identity;
  all = warp_reduce(all, op);
  __syncthreads();
  return all;
}
template <class T>
__device__ __forceinline__ T block_sum(T v) {
  return block_reduce(v, Sum{}, T(0));
}
// `lowest`: -inf, or the least value of the type.
template <class T>
__device__ __forceinline__ T block_max(T v, T lowest) {
  return block_reduce(v, Max{}, lowest);
}
template <class T>
__device__ __forceinline__ T block_min(T v, T highest) {
  return block_reduce(v, Min{}, highest);
}

// Two sums at once, for the price of one.
template <class T>
struct SumPair {
  T a, b;
  __device__ __forceinline__ SumPair operator+(SumPair o) const { return {a + o.a, b + o.b}; }
};
template <class T>
__device__ __forceinline__ SumPair<T> block_sum(T a, T b) {
  return block_reduce(SumPair<T>{a, b}, Sum{}, SumPair<T>{T(0), T(0)});
}

// A value and where it is. The larger (smaller) wins, NaN before all, the first position among equals.
template <class T>
struct ValueAt {
  T value;
  int64_t at;
};
struct ArgMax {
  template <class T>
  __device__ __forceinline__ ValueAt<T> operator()(ValueAt<T> a, ValueAt<T> b) const {
    const bool a_nan = a.value != a.value, b_nan = b.value != b.value;
    if (a_nan || b_nan) return a_nan && (!b_nan || a.at < b.at) ? a : b;
    if (a.value == b.value) return a.at < b.at ? a : b;
    return a.value > b.value ? a : b;
  }
};
struct ArgMin {
  template <class T>
  __device__ __forceinline__ ValueAt<T> operator()(ValueAt<T> a, ValueAt<T> b) const {
    const bool a_nan = a.value != a.value, b_nan = b.value != b.value;
    if (a_nan || b_nan) return a_nan && (!b_nan || a.at < b.at) ? a : b;
    if (a.value == b.value) return a.at < b.at ? a : b;
    return a.value < b.value ? a : b;
  }
};

// Thread i gets op over v of threads 0 .. i; `total` gets op over all.
template <class T, class Op>
__device__ __forceinline__ T block_scan(T v, Op op, T identity, T& total) {
  __shared__ __align__(16) unsigned char memory[kWarp * sizeof(T)];
  T* const of_warp = reinterpret_cast<T*>(memory);
  const int warps = block_threads() / kWarp;
  v = warp_scan(v, op);
  if (lane() == kWarp - 1) of_warp[warp()] = v;
  __syncthreads();
  const T sums = warp_scan(lane() < warps ? of_warp[lane()] : identity, op);
  total = shuffle(sums, warps - 1);
  const T before = shuffle(sums, warp() > 0 ? warp() - 1 : 0);
  __syncthreads();
  return warp() > 0 ? op(before, v) : v;
}

}  // namespace maas::cuda
