#pragma once
// Sums down the columns of a matrix in two fixed levels: blocks sum chunks of rows, then one kernel adds the chunks in
// order. Nothing depends on the GPU, so results have the same bits everywhere and in every run.
#include "cuda/launch.h"
#include "cuda/numbers.h"

namespace maas::cuda {

inline constexpr int kColumnThreads = 256;

// A block is `across` lanes by 256 / across rows; a lane has `width` neighbouring columns.
struct ColumnPlan {
  int width = 1, across = 1;
  int64_t tiles = 0, chunks = 0, rows_of_chunk = 0;
  dim3 grid() const { return dim3(static_cast<unsigned>(tiles), static_cast<unsigned>(chunks)); }
};

inline ColumnPlan plan_columns(int64_t rows, int64_t cols, int vector) {
  ColumnPlan p;
  p.width = cols % vector == 0 ? vector : 1;
  const int64_t lanes = (cols + p.width - 1) / p.width;
  while (p.across < lanes && p.across < kWarp) p.across *= 2;
  p.tiles = (lanes + p.across - 1) / p.across;
  // About four blocks for each multiprocessor of a large GPU, of at least eight rows a thread.
  const int64_t least = 8 * kColumnThreads / p.across;
  int64_t chunks = 528 / (p.tiles > 0 ? p.tiles : 1);
  if (chunks > (rows + least - 1) / least) chunks = (rows + least - 1) / least;
  if (chunks < 1) chunks = 1;
  p.rows_of_chunk = (rows + chunks - 1) / chunks;
  if (p.rows_of_chunk < 1) p.rows_of_chunk = 1;
  p.chunks = rows > 0 ? (rows + p.rows_of_chunk - 1) / p.rows_of_chunk : 1;
  return p;
}

// This thread's columns and rows under a plan.
struct ColumnPlace {
  int across, x, y, down;
  int64_t first_column, begin, end;
  __device__ __forceinline__ ColumnPlace(int across_lanes, int width, int64_t rows_of_chunk, int64_t rows)
      : across(across_lanes),
        x(static_cast<int>(threadIdx.x) % across_lanes),
        y(static_cast<int>(threadIdx.x) / across_lanes),
        down(static_cast<int>(blockDim.x) / across_lanes),
        first_column((static_cast<int64_t>(blockIdx.x) * across_lanes + x) * width),
        begin(blockIdx.y * rows_of_chunk),
        end(begin + rows_of_chunk < rows ? begin + rows_of_chunk : rows) {}
};

// f(row, vectors) for the rows of this thread: vectors[i] are N elements of operand i from its first column. Several
// rows are read before the first f.
template <class T, int N, int K, class F>
__device__ __forceinline__ void for_rows(const T* const (&p)[K], const ColumnPlace& place, int64_t cols, F f) {
  constexpr int kAhead = 4;
  if (place.first_column >= cols) return;
  bool aligned = true;
#pragma unroll
  for (int i = 0; i < K; ++i) aligned = aligned && vectorizable(p[i], cols);
  for (int64_t r = place.begin + place.y; r < place.end; r += kAhead * place.down) {
    Vector<T, N> v[kAhead][K];
#pragma unroll
    for (int u = 0; u < kAhead; ++u)
#pragma unroll
      for (int i = 0; i < K; ++i)
        if (r + u * place.down < place.end)
          v[u][i] = fetch<T, N>(p[i] + (r + u * place.down) * cols + place.first_column, aligned);
#pragma unroll
    for (int u = 0; u < kAhead; ++u)
      if (r + u * place.down < place.end) f(r + u * place.down, v[u]);
  }
}

// partial[chunk][which][column] = the sum of a[which] over the block's threads of that column, in order.
template <class A, int N>
__device__ __forceinline__ void store_column_sums(const A (&a)[2][N], const ColumnPlace& place, int64_t cols,
                                                  A* partial) {
  __shared__ A shared[2][N * kColumnThreads];
#pragma unroll
  for (int w = 0; w < 2; ++w)
#pragma unroll
    for (int j = 0; j < N; ++j) shared[w][(place.y * N + j) * place.across + place.x] = a[w][j];
  __syncthreads();
  const int mine = N * place.across;
  for (int t = static_cast<int>(threadIdx.x); t < 2 * mine; t += static_cast<int>(blockDim.x)) {
    const int w = t / mine, i = t - w * mine, j = i / place.across, x = i - j * place.across;
    const int64_t column = (static_cast<int64_t>(blockIdx.x) * place.across + x) * N + j;
    if (column >= cols) continue;
    A sum = 0;
    for (int y = 0; y < place.down; ++y) sum += shared[w][y * mine + i];
    partial[(2 * static_cast<int64_t>(blockIdx.y) + w) * cols + column] = sum;
  }
}

// first[c] = sum over chunks of partial[chunk][0][c], second[c] of partial[chunk][1][c]; either may be null.
template <class A>
__global__ void __launch_bounds__(256) add_chunks(const A* partial, int64_t chunks, int64_t cols, A* first, A* second) {
  __shared__ A shared[8][32];
  const int x = static_cast<int>(threadIdx.x) % 32, y = static_cast<int>(threadIdx.x) / 32;
  const int64_t column = static_cast<int64_t>(blockIdx.x) * 32 + x;
  A* const out = blockIdx.y ? second : first;
  if (!out) return;
  A sum = 0;
  if (column < cols) {
#pragma unroll 4
    for (int64_t k = y; k < chunks; k += 8) sum += partial[(2 * k + blockIdx.y) * cols + column];
  }
  shared[y][x] = sum;
  __syncthreads();
  if (y != 0 || column >= cols) return;
  for (int i = 1; i < 8; ++i) sum += shared[i][x];
  out[column] = sum;
}
template <class A>
void launch_add_chunks(const Launch& l, const A* partial, int64_t chunks, int64_t cols, A* first, A* second) {
  if (cols == 0) return;
  launch(l, add_chunks<A>, dim3(blocks_for(cols, 32), 2), dim3(256), 0, partial, chunks, cols, first, second);
}

}  // namespace maas::cuda
