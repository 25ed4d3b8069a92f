// Batch normalization, channels last: a lane walks down the rows of its channels. Means and squared deviations are kept
// by Welford's step and put together by Chan's, so that nothing cancels; sums have two fixed levels (cuda/columns.h).
#include "cuda/columns.h"
#include "ops/norm/batch_norm_kernels.h"

#define MAAS_KERNELS "ops/norm/batch_norm_train_kernels.inc"
#define MAAS_KERNEL_ARGS BatchNormArgs
#define MAAS_KERNEL_TABLE batch_norm_train_kernels
#include "cuda/kernel_table.h"

#define MAAS_KERNELS "ops/norm/batch_norm_grad_kernels.inc"
#define MAAS_KERNEL_ARGS BatchNormGradArgs
#define MAAS_KERNEL_TABLE batch_norm_grad_kernels
#include "cuda/kernel_table.h"

namespace maas {
namespace {

using namespace cuda;

// Mean and sum of squared deviations of `count` numbers.
template <class A>
struct Moments {
  A count = 0, mean = 0, squares = 0;

  // Chan et al., 1979.
  __device__ __forceinline__ void merge(const Moments& o) {
    if (o.count == 0) return;
    const A all = count + o.count, d = o.mean - mean, share = o.count / all;
    mean += d * share;
    squares += o.squares + d * d * count * share;
    count = all;
  }
};

template <class T, int N>
__global__ void __launch_bounds__(kColumnThreads)
    chunk_moments(const T* x, int64_t rows, int64_t cols, int across, int64_t rows_of_chunk, Wide<T>* partial) {
  using A = Wide<T>;
  __shared__ A means[N * kColumnThreads], squares[N * kColumnThreads];
  const ColumnPlace place(across, N, rows_of_chunk, rows);
  const T* const from[1] = {x};
  A mean[N] = {}, square[N] = {}, count = 0;
  for_rows<T, N>(from, place, cols, [&](int64_t, const auto& v) {
    count += 1;
    const A share = 1 / count;
#pragma unroll
    for (int j = 0; j < N; ++j) {
      const A z = widen(v[0][j]), d = z - mean[j];
      mean[j] += d * share;
      square[j] += d * (z - mean[j]);
    }
  });
#pragma unroll
  for (int j = 0; j < N; ++j) {
    means[(place.y * N + j) * across + place.x] = mean[j];
    squares[(place.y * N + j) * across + place.x] = square[j];
  }
  __syncthreads();
  const int mine = N * across;
  const int64_t height = place.end > place.begin ? place.end - place.begin : 0;
  for (int i = static_cast<int>(threadIdx.x); i < mine; i += static_cast<int>(blockDim.x)) {
    const int j = i / across;
    const int64_t column = (static_cast<int64_t>(blockIdx.x) * across + (i - j * across)) * N + j;
    if (column >= cols) continue;
    Moments<A> all;
    for (int y = 0; y < place.down; ++y)
      all.merge({static_cast<A>(height > y ? (height - y + place.down - 1) / place.down : 0), means[y * mine + i],
                 squares[y * mine + i]});
    partial[2 * static_cast<int64_t>(blockIdx.y) * cols + column] = all.mean;
    partial[(2 * static_cast<int64_t>(blockIdx.y) + 1) * cols + column] = all.squares;
  }
}

template <class A>
__global__ void __launch_bounds__(256) merge_chunks(const A* partial, int64_t chunks, int64_t rows_of_chunk,
                                                    int64_t rows, int64_t cols, A* mean, A* variance) {
  __shared__ A shared[3][8][32];
  const int x = static_cast<int>(threadIdx.x) % 32, y = static_cast<int>(threadIdx.x) / 32;
  const int64_t column = static_cast<int64_t>(blockIdx.x) * 32 + x;
  Moments<A> all;
  if (column < cols)
    for (int64_t k = y; k < chunks; k += 8) {
      const int64_t left = rows - k * rows_of_chunk;
      all.merge({static_cast<A>(left < rows_of_chunk ? left : rows_of_chunk), partial[2 * k * cols + column],
                 partial[(2 * k + 1) * cols + column]});
    }
  shared[0][y][x] = all.count;
  shared[1][y][x] = all.mean;
  shared[2][y][x] = all.squares;
  __syncthreads();
  if (y != 0 || column >= cols) return;
  for (int i = 1; i < 8; ++i) all.merge({shared[0][i][x], shared[1][i][x], shared[2][i][x]});
  // Without rows 0 / 0: NaN.
  mean[column] = rows ? all.mean : A(0) / all.count;
  variance[column] = all.squares / all.count;
}

template <class A>
struct Channels {
  const A *mean, *variance;
  Parameter gamma, beta;
  const A *dgamma, *dbeta, *dmean, *dvariance;  // backward
  int64_t rows, cols, rows_of_chunk;
  double epsilon;
};

template <class T, int N>
__global__ void __launch_bounds__(kColumnThreads) apply_moments(const T* x, T* y, Channels<Wide<T>> c, int across) {
  using A = Wide<T>;
  const ColumnPlace place(across, N, c.rows_of_chunk, c.rows);
  if (place.first_column >= c.cols) return;
  A mean[N], scale[N], shift[N] = {};
#pragma unroll
  for (int j = 0; j < N; ++j) scale[j] = 1;
  read_parameter(c.gamma, place.first_column, N, scale);
  read_parameter(c.beta, place.first_column, N, shift);
#pragma unroll
  for (int j = 0; j < N; ++j) {
    mean[j] = c.mean[place.first_column + j];
    scale[j] *= 1 / root_of(c.variance[place.first_column + j] + static_cast<A>(c.epsilon));
  }
  const bool aligned = vectorizable(y, c.cols);
  const T* const from[1] = {x};
  for_rows<T, N>(from, place, c.cols, [&](int64_t row, const auto& v) {
    Vector<T, N> z;
#pragma unroll
    for (int j = 0; j < N; ++j) z[j] = narrow<T>((widen(v[0][j]) - mean[j]) * scale[j] + shift[j]);
    put(y + row * c.cols + place.first_column, z, aligned);
  });
}

// Sums of dy h and of dy over a chunk.
template <class T, int N>
__global__ void __launch_bounds__(kColumnThreads)
    chunk_gradients(const T* x, const T* dy, Channels<Wide<T>> c, int across, Wide<T>* partial) {
  using A = Wide<T>;
  const ColumnPlace place(across, N, c.rows_of_chunk, c.rows);
  A mean[N] = {}, rstd[N] = {}, sums[2][N] = {};
  if (place.first_column < c.cols) {
#pragma unroll
    for (int j = 0; j < N; ++j) {
      mean[j] = c.mean[place.first_column + j];
      rstd[j] = 1 / root_of(c.variance[place.first_column + j] + static_cast<A>(c.epsilon));
    }
  }
  const T* const from[2] = {x, dy};
  for_rows<T, N>(from, place, c.cols, [&](int64_t, const auto& v) {
#pragma unroll
    for (int j = 0; j < N; ++j) {
      const A d = widen(v[1][j]);
      sums[0][j] += d * ((widen(v[0][j]) - mean[j]) * rstd[j]);
      sums[1][j] += d;
    }
  });
  store_column_sums(sums, place, c.cols, partial);
}

// dx = scale dy + slope (x - mean) + offset: what does not depend on the row is put together first.
template <class T, int N>
__global__ void __launch_bounds__(kColumnThreads)
    apply_gradients(const T* x, const T* dy, T* dx, Channels<Wide<T>> c, int across) {
  using A = Wide<T>;
  const ColumnPlace place(across, N, c.rows_of_chunk, c.rows);
  if (place.first_column >= c.cols) return;
  const A count = static_cast<A>(c.rows);
  A mean[N], scale[N], slope[N], offset[N];
#pragma unroll
  for (int j = 0; j < N; ++j) scale[j] = 1;
  read_parameter(c.gamma, place.first_column, N, scale);
#pragma unroll
  for (int j = 0; j < N; ++j) {
    const int64_t i = place.first_column + j;
    const A rstd = 1 / root_of(c.variance[i] + static_cast<A>(c.epsilon));
    mean[j] = c.mean[i];
    scale[j] *= rstd;
    offset[j] = -scale[j] * (c.dbeta[i] / count) + (c.dmean ? c.dmean[i] / count : A(0));
    slope[j] = -scale[j] * rstd * (c.dgamma[i] / count) + (c.dmean ? 2 * (c.dvariance[i] / count) : A(0));
  }
  const bool aligned = vectorizable(dx, c.cols);
  const T* const from[2] = {x, dy};
  for_rows<T, N>(from, place, c.cols, [&](int64_t row, const auto& v) {
    Vector<T, N> z;
#pragma unroll
    for (int j = 0; j < N; ++j)
      z[j] = narrow<T>(scale[j] * widen(v[1][j]) + (slope[j] * (widen(v[0][j]) - mean[j]) + offset[j]));
    put(dx + row * c.cols + place.first_column, z, aligned);
  });
}

template <class T, class Args>
size_t scratch(const Args& a) {
  return static_cast<size_t>(2 * plan_columns(a.rows, a.cols, kLanes<T>).chunks * a.cols) * sizeof(Wide<T>);
}

template <class T, int N>
void forward(const BatchNormArgs& a, const Launch& l, const ColumnPlan& plan) {
  using A = Wide<T>;
  const T* x = static_cast<const T*>(a.x);
  A *partial = static_cast<A*>(l.scratch), *mean = static_cast<A*>(a.mean), *variance = static_cast<A*>(a.variance);
  const dim3 block(kColumnThreads);
  if (a.rows)
    launch(l, chunk_moments<T, N>, plan.grid(), block, 0, x, a.rows, a.cols, plan.across, plan.rows_of_chunk, partial);
  launch(l, merge_chunks<A>, dim3(blocks_for(a.cols, 32)), dim3(256), 0, partial, a.rows ? plan.chunks : 0,
         plan.rows_of_chunk, a.rows, a.cols, mean, variance);
  const Channels<A> c{mean,
                      variance,
                      {a.gamma, a.gamma_type},
                      {a.beta, a.beta_type},
                      nullptr,
                      nullptr,
                      nullptr,
                      nullptr,
                      a.rows,
                      a.cols,
                      plan.rows_of_chunk,
                      a.epsilon};
  if (a.rows) launch(l, apply_moments<T, N>, plan.grid(), block, 0, x, static_cast<T*>(a.y), c, plan.across);
}

template <class T, int N>
void backward(const BatchNormGradArgs& a, const Launch& l, const ColumnPlan& plan) {
  using A = Wide<T>;
  const T *x = static_cast<const T*>(a.x), *dy = static_cast<const T*>(a.dy);
  A *partial = static_cast<A*>(l.scratch), *dgamma = static_cast<A*>(a.dgamma), *dbeta = static_cast<A*>(a.dbeta);
  const dim3 block(kColumnThreads);
  const Channels<A> c{static_cast<const A*>(a.mean),
                      static_cast<const A*>(a.variance),
                      {a.gamma, a.gamma_type},
                      {nullptr, DType::f32},
                      dgamma,
                      dbeta,
                      static_cast<const A*>(a.dmean),
                      static_cast<const A*>(a.dvariance),
                      a.rows,
                      a.cols,
                      plan.rows_of_chunk,
                      a.epsilon};
  // Without rows the one chunk is empty and the sums are 0.
  launch(l, chunk_gradients<T, N>, plan.grid(), block, 0, x, dy, c, plan.across, partial);
  launch_add_chunks(l, partial, plan.chunks, a.cols, dgamma, dbeta);
  if (a.rows) launch(l, apply_gradients<T, N>, plan.grid(), block, 0, x, dy, static_cast<T*>(a.dx), c, plan.across);
}

template <class T>
void run(const BatchNormArgs& a, const Launch& l) {
  if (a.cols == 0) return;
  const ColumnPlan plan = plan_columns(a.rows, a.cols, kLanes<T>);
  plan.width > 1 ? forward<T, kLanes<T>>(a, l, plan) : forward<T, 1>(a, l, plan);
}
template <class T>
void run(const BatchNormGradArgs& a, const Launch& l) {
  if (a.cols == 0) return;
  const ColumnPlan plan = plan_columns(a.rows, a.cols, kLanes<T>);
  plan.width > 1 ? backward<T, kLanes<T>>(a, l, plan) : backward<T, 1>(a, l, plan);
}

}  // namespace

#define MAAS_BATCH_NORM(name, T)                                                             \
  void batch_norm_train_##name(const BatchNormArgs& a, const Launch& l) { run<T>(a, l); }    \
  void batch_norm_grad_##name(const BatchNormGradArgs& a, const Launch& l) { run<T>(a, l); } \
  size_t batch_norm_train_##name##_scratch(const BatchNormArgs& a) { return scratch<T>(a); } \
  size_t batch_norm_grad_##name##_scratch(const BatchNormGradArgs& a) { return scratch<T>(a); }
MAAS_BATCH_NORM(f32_cuda, float)
MAAS_BATCH_NORM(bf16_cuda, __nv_bfloat16)
MAAS_BATCH_NORM(f16_cuda, __half)
MAAS_BATCH_NORM(f64_cuda, double)
#undef MAAS_BATCH_NORM

}  // namespace maas
