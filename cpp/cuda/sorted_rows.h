#pragma once
// y[r][n] = op(y[r][n], fold over j, in order, of x[j][n] where row(j) == r), for lists of rows in any order and with
// repeats: the rows are sorted, so that a fold has one owner and one order. Long runs of equal rows, such as padding,
// are folded in chunks by many threads and then joined.
#include "core/dtype.h"
#include "cuda/radix_sort.h"
#include "cuda/vector.h"

namespace maas::cuda {

constexpr int64_t kRowChunk = 32;  // sorted places that one thread folds

struct SortedRows {
  const NarrowItem* items;  // by row, then by j; a row of `size` or more is none
  void* partial;            // [outer][chunk][2][inner]: of a run that began before its chunk; of one that goes on
  int64_t count, size, outer, inner;
};

inline size_t aligned_bytes(size_t bytes) { return (bytes + 255) / 256 * 256; }
inline int64_t row_chunks(int64_t count) { return (count + kRowChunk - 1) / kRowChunk; }

// Scratch: the items, what the sort wants, the partial folds.
inline size_t sorted_scratch(int64_t count, int64_t outer, int64_t inner) {
  return aligned_bytes(static_cast<size_t>(count) * sizeof(NarrowItem)) +
         aligned_bytes(radix_scratch<NarrowItem>(1, count)) +
         static_cast<size_t>(outer * row_chunks(count) * 2 * inner) * sizeof(double);
}

// `items` lie at the begin of the scratch, in the order of j.
inline SortedRows sort_rows(const Launch& l, NarrowItem* items, int64_t count, int64_t size, int64_t outer,
                            int64_t inner) {
  char* const sorting = reinterpret_cast<char*>(items) + aligned_bytes(static_cast<size_t>(count) * sizeof(NarrowItem));
  int bits = 1;
  while (bits < 32 && (int64_t{1} << bits) <= size) ++bits;  // `size` itself is a key
  const NarrowItem* const sorted = radix_sort(l, items, sorting, 1, count, bits);
  return {sorted, sorting + aligned_bytes(radix_scratch<NarrowItem>(1, count)), count, size, outer, inner};
}

namespace detail {

// Where the thread's work lies: a chunk of one o, and columns.
struct ChunkWork {
  int64_t o, chunk, column;
};
__device__ __forceinline__ ChunkWork chunk_work(int64_t w, int64_t tiles, int64_t chunks, int lanes) {
  const int64_t column = (w % tiles * blockDim.x + threadIdx.x) * lanes;
  const int64_t oc = (w / tiles) * blockDim.y + threadIdx.y;
  return {oc / chunks, oc % chunks, column};
}

template <class T, int V, class Op>
__global__ void __launch_bounds__(256)
    fold_chunks(const T* x, T* y, SortedRows s, int64_t works, int64_t tiles, Op op) {
  using Acc = typename Op::Acc;
  constexpr int kAhead = 4;
  const int64_t chunks = (s.count + kRowChunk - 1) / kRowChunk;
  for (int64_t w = blockIdx.x; w < works; w += gridDim.x) {
    const ChunkWork at = chunk_work(w, tiles, chunks, V);
    if (at.o >= s.outer || at.column >= s.inner) continue;
    const int64_t begin = at.chunk * kRowChunk, end = begin + kRowChunk < s.count ? begin + kRowChunk : s.count;
    Acc* const partial = static_cast<Acc*>(s.partial) + (at.o * chunks + at.chunk) * 2 * s.inner + at.column;
    bool from_before = begin > 0 && s.items[begin - 1].key == s.items[begin].key;
    bool fresh = true;  // nothing is in acc
    Acc acc[V] = {};
    for (int64_t p = begin; p < end; p += kAhead) {
      Vector<T, V> v[kAhead];
      uint32_t row[kAhead];
#pragma unroll
      for (int u = 0; u < kAhead; ++u) {
        if (p + u >= end) continue;
        const NarrowItem item = s.items[p + u];
        row[u] = item.key;
        if (item.key < s.size) v[u] = load_const<T, V>(x + (at.o * s.count + item.index) * s.inner + at.column);
      }
#pragma unroll
      for (int u = 0; u < kAhead; ++u) {
        if (p + u >= end || row[u] >= s.size) continue;
#pragma unroll
        for (int j = 0; j < V; ++j) {
          const Acc value = Op::load(v[u][j]);
          acc[j] = fresh ? value : op(acc[j], value);
        }
        fresh = false;
        const bool last = p + u + 1 == s.count || s.items[p + u + 1].key != row[u];
        if (!last && p + u + 1 < end) continue;
        T* const to = y + (at.o * s.size + row[u]) * s.inner + at.column;
#pragma unroll
        for (int j = 0; j < V; ++j) {
          if (from_before)
            partial[j] = acc[j];
          else if (last)
            to[j] = op.finish(to[j], acc[j]);
          else
            partial[s.inner + j] = acc[j];
        }
        fresh = true;
        from_before = false;
      }
    }
  }
}

// The chunk where a run begins joins those where it goes on.
template <class T, int V, class Op>
__global__ void __launch_bounds__(256) join_chunks(T* y, SortedRows s, int64_t works, int64_t tiles, Op op) {
  using Acc = typename Op::Acc;
  const int64_t chunks = (s.count + kRowChunk - 1) / kRowChunk;
  for (int64_t w = blockIdx.x; w < works; w += gridDim.x) {
    const ChunkWork at = chunk_work(w, tiles, chunks, V);
    if (at.o >= s.outer || at.column >= s.inner || at.chunk + 1 >= chunks) continue;
    const int64_t begin = at.chunk * kRowChunk, end = begin + kRowChunk;
    const uint32_t row = s.items[end - 1].key;
    if (row >= s.size || s.items[end].key != row) continue;    // no run goes on
    if (begin > 0 && s.items[begin - 1].key == row) continue;  // it began before
    const Acc* const partial = static_cast<const Acc*>(s.partial) + at.o * chunks * 2 * s.inner + at.column;
    Acc acc[V];
#pragma unroll
    for (int j = 0; j < V; ++j) acc[j] = partial[(at.chunk * 2 + 1) * s.inner + j];
    for (int64_t c = at.chunk + 1; c < chunks && s.items[c * kRowChunk].key == row; ++c)
#pragma unroll
      for (int j = 0; j < V; ++j) acc[j] = op(acc[j], partial[c * 2 * s.inner + j]);
    T* const to = y + (at.o * s.size + row) * s.inner + at.column;
#pragma unroll
    for (int j = 0; j < V; ++j) to[j] = op.finish(to[j], acc[j]);
  }
}

template <class T, int V, class Op>
void launch_sorted(const Launch& l, const SortedRows& s, const T* x, T* y, Op op) {
  const int64_t columns = (s.inner + V - 1) / V, chunks = row_chunks(s.count);
  unsigned width = 1;
  while (width < 256 && width < columns) width *= 2;
  const int64_t tiles = (columns + width - 1) / width, per_block = 256 / width;
  const int64_t works = (s.outer * chunks + per_block - 1) / per_block * tiles;
  const dim3 block(width, static_cast<unsigned>(per_block));
  launch(l, fold_chunks<T, V, Op>, blocks_for(works, 1), block, 0, x, y, s, works, tiles, op);
  if (chunks > 1) launch(l, join_chunks<T, V, Op>, blocks_for(works, 1), block, 0, y, s, works, tiles, op);
}

}  // namespace detail

// x: outer x count x inner; y: outer x size x inner, which holds what the folds start from.
template <class T, class Op>
void fold_sorted(const Launch& l, const SortedRows& s, const T* x, T* y, Op op) {
  if (s.count * s.outer * s.inner == 0) return;
  if constexpr (sizeof(T) <= 4 && sizeof(typename Op::Acc) == 4) {
    if (vectorizable(x, s.inner) && s.inner % kLanes<T> == 0)
      return detail::launch_sorted<T, kLanes<T>>(l, s, x, y, op);
  }
  detail::launch_sorted<T, 1>(l, s, x, y, op);
}

// Sums into a y that holds zeros.
template <class T>
struct AddRows {
  using Acc = float;
  static __device__ __forceinline__ Acc load(T v) { return to_float(v); }
  __device__ __forceinline__ Acc operator()(Acc a, Acc b) const { return a + b; }
  __device__ __forceinline__ T finish(T, Acc a) const { return from_float<T>(a); }
};
template <>
struct AddRows<double> {
  using Acc = double;
  static __device__ __forceinline__ Acc load(double v) { return v; }
  __device__ __forceinline__ Acc operator()(Acc a, Acc b) const { return a + b; }
  __device__ __forceinline__ double finish(double, Acc a) const { return a; }
};
template <class T>
void add_sorted(const Launch& l, const SortedRows& s, const T* x, T* y) {
  fold_sorted(l, s, x, y, AddRows<T>{});
}

// fn(T{}) of a floating dtype.
template <class F>
void for_floating(DType dtype, F&& fn) {
  switch (dtype) {
    case DType::f32:
      return fn(float{});
    case DType::bf16:
      return fn(__nv_bfloat16{});
    case DType::f16:
      return fn(__half{});
    default:
      return fn(double{});
  }
}

}  // namespace maas::cuda
