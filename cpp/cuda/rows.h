#pragma once
// Rows of a matrix, each taken by a group of lanes: `lanes` of a row is a power of two up to 32, so that a warp holds
// several rows, or a multiple of 32. A row's lanes, and so the order of its sums, depend on its length and dtype alone:
// a row has the same bits in every batch.
#include "cuda/numbers.h"
#include "cuda/reduce.h"

namespace maas::cuda {

inline constexpr int kRowVectors = 4;  // 16-byte vectors of a row that a lane keeps in registers

struct RowPlan {
  int lanes = 1, rows = 1;    // of a row; of a block
  bool in_registers = false;  // whether the lanes' registers hold the row
  dim3 block() const { return dim3(static_cast<unsigned>(lanes * rows)); }
};

// A block of about `threads` threads; a row gets `most` lanes at most.
inline RowPlan plan_rows(int64_t cols, int vector, int most, int threads = 128) {
  const int64_t vectors = (cols + vector - 1) / vector, wanted = (vectors + kRowVectors - 1) / kRowVectors;
  RowPlan plan;
  plan.in_registers = wanted <= most;
  if (wanted <= kWarp)
    while (plan.lanes < wanted) plan.lanes *= 2;
  else
    plan.lanes = static_cast<int>(wanted < most ? (wanted + kWarp - 1) / kWarp * kWarp : most);
  plan.rows = plan.lanes < threads ? threads / plan.lanes : 1;
  return plan;
}

// This thread's place: its row in the block, its lane in the row.
struct RowPlace {
  int lanes, row, lane, rows;
  __device__ __forceinline__ explicit RowPlace(int lanes_of_row)
      : lanes(lanes_of_row),
        row(static_cast<int>(threadIdx.x) / lanes_of_row),
        lane(static_cast<int>(threadIdx.x) - row * lanes_of_row),
        rows(static_cast<int>(blockDim.x) / lanes_of_row) {}
};

// op over the lanes of every row, in a fixed tree; every thread of the block must get here, whether it has a row or
// not. `slots`: 32 of shared memory, free again after the next barrier of the block.
template <class T, class Op>
__device__ __forceinline__ T row_reduce(T v, Op op, T identity, int lanes, T* slots) {
  if (lanes <= kWarp) {
    for (int bits = lanes / 2; bits > 0; bits /= 2) v = op(v, shuffle_xor(v, bits));
    return v;
  }
  v = warp_reduce(v, op);
  if (lane() == 0) slots[warp()] = v;
  __syncthreads();
  const int warps = lanes / kWarp, first = warp() / warps * warps;
  return warp_reduce(lane() < warps ? slots[first + lane()] : identity, op);
}

// The part of a row that a lane keeps: vector k begins at column (k lanes + lane) kWidth. It stays packed, so that
// 16-bit rows take half the registers.
template <class T>
struct RowPart {
  static constexpr int kWidth = kLanes<T>;
  uint4 packed[kRowVectors];

  __device__ __forceinline__ void get(int k, float (&f)[kWidth]) const { unpack<T>(packed[k], f); }
  __device__ __forceinline__ void set(int k, const float (&f)[kWidth]) { packed[k] = pack<T>(f); }
  __device__ __forceinline__ void set(int k, const Vector<T>& v) {
    memcpy(&packed[k], static_cast<const void*>(&v), sizeof v);
  }

  // What was unpacked is unpacked again, not kept.
  __device__ __forceinline__ void forget() {
#pragma unroll
    for (int k = 0; k < kRowVectors; ++k) cuda::forget(packed[k]);
  }

  // Columns from `cols` on read as `fill`.
  __device__ __forceinline__ void load(const T* p, int cols, int lane, int lanes, T fill) {
    Vector<T> missing;
#pragma unroll
    for (int j = 0; j < kWidth; ++j) missing[j] = fill;
    if (cols % kWidth == 0 && vectorizable(p)) {
#pragma unroll
      for (int k = 0; k < kRowVectors; ++k) {
        const int at = (k * lanes + lane) * kWidth;
        if (at < cols)
          packed[k] = __ldcs(reinterpret_cast<const uint4*>(p + at));
        else
          set(k, missing);
      }
      return;
    }
    // Element by element, one vector at a time: unrolled, each element would take a register.
#pragma unroll 1
    for (int k = 0; k < kRowVectors; ++k) {
      const int at = (k * lanes + lane) * kWidth;
      const Vector<T> some = load_some<T>(p + at, cols - at, fill);
#pragma unroll
      for (int i = 0; i < kRowVectors; ++i)
        if (i == k) set(i, some);
    }
  }
  __device__ __forceinline__ void store(T* p, int cols, int lane, int lanes) const {
    if (cols % kWidth == 0 && vectorizable(p)) {
#pragma unroll
      for (int k = 0; k < kRowVectors; ++k) {
        const int at = (k * lanes + lane) * kWidth;
        if (at < cols) *reinterpret_cast<uint4*>(p + at) = packed[k];
      }
      return;
    }
#pragma unroll 1
    for (int k = 0; k < kRowVectors; ++k) {
      const int at = (k * lanes + lane) * kWidth;
      uint4 some = packed[0];
#pragma unroll
      for (int i = 1; i < kRowVectors; ++i)
        if (i == k) some = packed[i];
      store_some(p + at, detail::from_raw<T, kWidth>(some), cols - at);
    }
  }
};

// f(at, vectors) for all columns of a row of any length: `vectors[i]` holds N elements of operand i from column `at`.
// Several are read before the first f, so that f may write over an operand.
template <class T, int N, int K, class F>
__device__ __forceinline__ void for_columns(const T* const (&p)[K], int64_t cols, int lane, int lanes, F f) {
  constexpr int kAhead = N == 1 ? 8 : K == 1 ? 4 : 2;
  bool aligned = true;
#pragma unroll
  for (int i = 0; i < K; ++i) aligned = aligned && vectorizable(p[i]);
  const int64_t step = static_cast<int64_t>(lanes) * N;
  for (int64_t first = static_cast<int64_t>(lane) * N; first < cols; first += kAhead * step) {
    Vector<T, N> v[kAhead][K];
#pragma unroll
    for (int u = 0; u < kAhead; ++u)
#pragma unroll
      for (int i = 0; i < K; ++i)
        if (first + u * step < cols) v[u][i] = fetch<T, N>(p[i] + first + u * step, aligned);
#pragma unroll
    for (int u = 0; u < kAhead; ++u)
      if (first + u * step < cols) f(first + u * step, v[u]);
  }
}
template <class T, int K, class F>
__device__ __forceinline__ void for_row(const T* const (&p)[K], int64_t cols, int lane, int lanes, F f) {
  if (cols % kLanes<T> == 0)
    for_columns<T, kLanes<T>>(p, cols, lane, lanes, f);
  else
    for_columns<T, 1>(p, cols, lane, lanes, f);
}

// Maximum and sum of exponentials above it of what was seen so far. NaN shows in the sum.
template <class T>
struct OnlineSum {
  using A = Wide<T>;
  A top = -infinity_of<A>(), total = 0;

  template <int N>
  __device__ __forceinline__ void add(const Vector<T, N>& v) {
    A most = widen(v[0]);
#pragma unroll
    for (int i = 1; i < N; ++i) most = larger(most, widen(v[i]));
    if (most > top) {
      total *= exp_for<T>(top - most);
      top = most;
    }
    const A base = top == -infinity_of<A>() ? A(0) : top;
#pragma unroll
    for (int i = 0; i < N; ++i) total += exp_for<T>(widen(v[i]) - base);
  }
  // This lane's columns of a row of any length.
  __device__ __forceinline__ void add_row(const T* x, int64_t cols, int lane, int lanes) {
    const T* const from[1] = {x};
    if (cols % kLanes<T> == 0) {
      for_columns<T, kLanes<T>>(from, cols, lane, lanes, [&](int64_t, const auto& v) { add(v[0]); });
      return;
    }
    // Eight neighbours in time share one look for the maximum.
    constexpr int kAhead = 8;
    const T none = narrow<T>(-infinity_of<A>());
    for (int64_t first = lane; first < cols; first += kAhead * lanes) {
      Vector<T, kAhead> v;
      if (first + (kAhead - 1) * lanes < cols) {
#pragma unroll
        for (int u = 0; u < kAhead; ++u) v[u] = x[first + u * lanes];
      } else {
#pragma unroll
        for (int u = 0; u < kAhead; ++u) v[u] = first + u * lanes < cols ? x[first + u * lanes] : none;
      }
      add(v);
    }
  }
  // Over the lanes of a row. `slots`: twice 32. A row of -inf alone becomes NaN.
  __device__ __forceinline__ void merge(int lanes, A* slots) {
    const A all = row_reduce(top, [](A a, A b) { return larger(a, b); }, -infinity_of<A>(), lanes, slots);
    // A lane that saw nothing has the sum 0 below -inf: it must not turn the row into NaN unless all did.
    const A mine = top == all ? total : total * exp_for<T>(top - all);
    total = row_reduce(mine, Sum{}, A(0), lanes, slots + kWarp);
    top = all;
    if (all == -infinity_of<A>()) total = all - all;
  }
};

}  // namespace maas::cuda
