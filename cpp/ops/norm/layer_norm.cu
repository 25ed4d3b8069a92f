// Layer and RMS normalization: a row is read once into the registers of its lanes, its statistics come from there in
// two steps, mean first. Longer rows are read again, mostly from L2. The backward kernel walks rows with the next one
// under way, and sums dgamma and dbeta of its rows in shared memory.
#include "cuda/columns.h"
#include "cuda/rows.h"
#include "cuda/shared.h"
#include "ops/norm/layer_norm_kernels.h"

#define MAAS_KERNELS "ops/norm/layer_norm_kernels.inc"
#define MAAS_KERNEL_ARGS LayerNormArgs
#define MAAS_KERNEL_TABLE layer_norm_kernels
#include "cuda/kernel_table.h"

#define MAAS_KERNELS "ops/norm/layer_norm_grad_kernels.inc"
#define MAAS_KERNEL_ARGS LayerNormGradArgs
#define MAAS_KERNEL_TABLE layer_norm_grad_kernels
#include "cuda/kernel_table.h"

namespace maas {
namespace {

using namespace cuda;

// Lanes of a row held in registers, in both directions; of a longer one.
template <class T>
constexpr int kMost = sizeof(T) == 2 ? 512 : 1024;
constexpr int kMostGradient = 512;
constexpr int kLongLanes = 512;

template <class A, int N>
__device__ __forceinline__ void fill(A (&v)[N], A value) {
#pragma unroll
  for (int i = 0; i < N; ++i) v[i] = value;
}

// ---- forward

struct Forward {
  Parameter gamma, beta;
  void *mean, *rstd;  // or null
  int64_t rows, cols;
  double epsilon;
  bool subtract_mean;
};

template <class T>
__global__ void __launch_bounds__(kMost<T>) norm_in_registers(const T* x, T* y, Forward a, int lanes) {
  __shared__ float slots[2][kWarp];
  constexpr int kWidth = kLanes<T>;
  const RowPlace p(lanes);
  const int64_t row = static_cast<int64_t>(blockIdx.x) * p.rows + p.row;
  const int n = row < a.rows ? static_cast<int>(a.cols) : 0;
  const float count = static_cast<float>(a.cols);
  RowPart<T> part;
  part.load(x + row * a.cols, n, p.lane, lanes, from_float<T>(0.f));

  float v[kWidth], mean = 0;
  if (a.subtract_mean) {
#pragma unroll
    for (int k = 0; k < kRowVectors; ++k) {
      part.get(k, v);
#pragma unroll
      for (int j = 0; j < kWidth; ++j) mean += v[j];
    }
    mean = row_reduce(mean, Sum{}, 0.f, lanes, slots[0]) / count;
  }
  float squares = 0;
#pragma unroll
  for (int k = 0; k < kRowVectors; ++k) {
    const int left = n - (k * lanes + p.lane) * kWidth;
    part.get(k, v);
#pragma unroll
    for (int j = 0; j < kWidth; ++j) squares += j < left ? (v[j] - mean) * (v[j] - mean) : 0.f;
  }
  squares = row_reduce(squares, Sum{}, 0.f, lanes, slots[1]);
  const float rstd = 1.f / sqrtf(squares / count + static_cast<float>(a.epsilon));

#pragma unroll
  for (int k = 0; k < kRowVectors; ++k) {
    const int at = (k * lanes + p.lane) * kWidth;
    float gamma[kWidth], beta[kWidth];
    fill(gamma, 1.f);
    fill(beta, 0.f);
    read_parameter(a.gamma, at, n - at, gamma);
    read_parameter(a.beta, at, n - at, beta);
    part.get(k, v);
#pragma unroll
    for (int j = 0; j < kWidth; ++j) v[j] = (v[j] - mean) * rstd * gamma[j] + beta[j];
    part.set(k, v);
  }
  part.store(y + row * a.cols, n, p.lane, lanes);
  if (p.lane == 0 && row < a.rows) {
    if (a.mean) static_cast<float*>(a.mean)[row] = mean;
    if (a.rstd) static_cast<float*>(a.rstd)[row] = rstd;
  }
}

template <class T>
__global__ void __launch_bounds__(kLongLanes) norm_long(const T* x, T* y, Forward a) {
  using A = Wide<T>;
  __shared__ A slots[2][kWarp];
  const int lane = static_cast<int>(threadIdx.x), lanes = static_cast<int>(blockDim.x);
  const int64_t row = blockIdx.x;
  x += row * a.cols;
  y += row * a.cols;
  const T* const from[1] = {x};
  const A count = static_cast<A>(a.cols);
  A mean = 0, squares = 0;
  if (a.subtract_mean) {
    for_row<T>(from, a.cols, lane, lanes, [&](int64_t, const auto& v) {
#pragma unroll
      for (int j = 0; j < static_cast<int>(sizeof v[0] / sizeof(T)); ++j) mean += widen(v[0][j]);
    });
    mean = row_reduce(mean, Sum{}, A(0), lanes, slots[0]) / count;
  }
  for_row<T>(from, a.cols, lane, lanes, [&](int64_t, const auto& v) {
#pragma unroll
    for (int j = 0; j < static_cast<int>(sizeof v[0] / sizeof(T)); ++j) {
      const A d = widen(v[0][j]) - mean;
      squares += d * d;
    }
  });
  squares = row_reduce(squares, Sum{}, A(0), lanes, slots[1]);
  const A rstd = 1 / root_of(squares / count + static_cast<A>(a.epsilon));
  const bool aligned = vectorizable(y);
  for_row<T>(from, a.cols, lane, lanes, [&](int64_t at, const auto& v) {
    constexpr int kWidth = static_cast<int>(sizeof v[0] / sizeof(T));
    A gamma[kWidth], beta[kWidth];
    fill(gamma, A(1));
    fill(beta, A(0));
    read_parameter(a.gamma, at, kWidth, gamma);
    read_parameter(a.beta, at, kWidth, beta);
    auto z = v[0];
#pragma unroll
    for (int j = 0; j < kWidth; ++j) z[j] = narrow<T>((widen(v[0][j]) - mean) * rstd * gamma[j] + beta[j]);
    put(y + at, z, aligned);
  });
  if (lane == 0) {
    if (a.mean) static_cast<A*>(a.mean)[row] = mean;
    if (a.rstd) static_cast<A*>(a.rstd)[row] = rstd;
  }
}

template <class T>
void forward(const LayerNormArgs& a, const Launch& l) {
  const T* x = static_cast<const T*>(a.x);
  T* y = static_cast<T*>(a.y);
  if (a.rows == 0) return;
  const Forward f{{a.gamma, a.gamma_type}, {a.beta, a.beta_type}, a.mean, a.rstd, a.rows, a.cols, a.epsilon,
                  a.subtract_mean};
  if constexpr (sizeof(T) < 8) {
    const RowPlan plan = plan_rows(a.cols, kLanes<T>, kMost<T>);
    if (plan.in_registers)
      return launch(l, norm_in_registers<T>, dim3(blocks_for(a.rows, plan.rows)), plan.block(), 0, x, y, f, plan.lanes);
  }
  launch(l, norm_long<T>, dim3(static_cast<unsigned>(a.rows)), dim3(kLongLanes), 0, x, y, f);
}

// ---- backward

template <class A>
struct Backward {
  Parameter gamma;
  const A *mean, *rstd;
  A* partial;  // blocks x 2 x cols, or null: no dgamma, dbeta
  int64_t rows, cols;
  bool subtract_mean;
};

// dx of rows block, block + grid, ...; partial[block] = their share of dgamma and dbeta. Shared memory, with partial:
// for each thread and each four of its columns the sums of dgamma, then of dbeta.
template <class T>
__global__ void __launch_bounds__(kMostGradient)
    gradient_in_registers(const T* x, const T* dy, T* dx, Backward<float> a, int lanes) {
  constexpr int kWidth = kLanes<T>, kQuads = kWidth / 4, kFours = kRowVectors * kQuads;
  __shared__ SumPair<float> slots[2][kWarp];
  float4* const dgamma = shared<float4>();
  const int threads = static_cast<int>(blockDim.x), thread = static_cast<int>(threadIdx.x);
  float4* const dbeta = dgamma + kFours * threads;
  const RowPlace p(lanes);
  const float count = static_cast<float>(a.cols);
  if (a.partial)
    for (int i = 0; i < kFours; ++i)
      dgamma[i * threads + thread] = dbeta[i * threads + thread] = make_float4(0, 0, 0, 0);

  const int64_t step = static_cast<int64_t>(gridDim.x) * p.rows;
  int64_t first = static_cast<int64_t>(blockIdx.x) * p.rows;  // the same in all threads: barriers are met by all
  RowPart<T> next_x, next_dy;
  float next_mean = 0, next_rstd = 0;
  auto fetch_row = [&](int64_t row) {
    const int n = row < a.rows ? static_cast<int>(a.cols) : 0;
    next_x.load(x + row * a.cols, n, p.lane, lanes, from_float<T>(0.f));
    next_dy.load(dy + row * a.cols, n, p.lane, lanes, from_float<T>(0.f));
    next_mean = n && a.subtract_mean ? a.mean[row] : 0.f;
    next_rstd = n ? a.rstd[row] : 0.f;
  };
  fetch_row(first + p.row);
  for (int turn = 0; first < a.rows; first += step, turn ^= 1) {
    const int64_t row = first + p.row;
    const int n = row < a.rows ? static_cast<int>(a.cols) : 0;
    RowPart<T> this_x = next_x, this_dy = next_dy;
    const float mean = next_mean, rstd = next_rstd;
    fetch_row(row + step);

    SumPair<float> sums{0, 0};
#pragma unroll
    for (int k = 0; k < kRowVectors; ++k) {
      const int at = (k * lanes + p.lane) * kWidth;
      float gamma[kWidth];
      fill(gamma, 1.f);
      read_parameter(a.gamma, at, n - at, gamma);
      float x_of[kWidth], dy_of[kWidth];
      this_x.get(k, x_of);
      this_dy.get(k, dy_of);
#pragma unroll
      for (int q = 0; q < kQuads; ++q) {
        float h[4];
        const float* const d = dy_of + 4 * q;
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          // Columns that are not there have dy 0: they add 0.
          h[j] = (x_of[4 * q + j] - mean) * rstd;
          const float g = d[j] * gamma[4 * q + j];
          sums.a += g;
          sums.b += g * h[j];
        }
        if (a.partial) {
          float4& to = dgamma[(k * kQuads + q) * threads + thread];
          float4 v = to;
          v.x += d[0] * h[0], v.y += d[1] * h[1], v.z += d[2] * h[2], v.w += d[3] * h[3];
          to = v;
          float4& also = dbeta[(k * kQuads + q) * threads + thread];
          v = also;
          v.x += d[0], v.y += d[1], v.z += d[2], v.w += d[3];
          also = v;
        }
      }
    }
    sums = row_reduce(sums, Sum{}, SumPair<float>{0, 0}, lanes, slots[turn]);
    const float of_g = a.subtract_mean ? sums.a / count : 0.f, of_gh = sums.b / count;
    this_x.forget();
    this_dy.forget();
#pragma unroll
    for (int k = 0; k < kRowVectors; ++k) {
      const int at = (k * lanes + p.lane) * kWidth;
      float gamma[kWidth];
      fill(gamma, 1.f);
      read_parameter(a.gamma, at, n - at, gamma);
      float x_of[kWidth], d[kWidth];
      this_x.get(k, x_of);
      this_dy.get(k, d);
#pragma unroll
      for (int j = 0; j < kWidth; ++j) d[j] = rstd * (d[j] * gamma[j] - of_g - (x_of[j] - mean) * rstd * of_gh);
      this_dy.set(k, d);
    }
    this_dy.store(dx + row * a.cols, n, p.lane, lanes);
  }
  if (!a.partial) return;

  // The block's rows of lanes, added in order.
  __syncthreads();
  for (int i = thread; i < kFours * lanes; i += threads) {
    const int four = i / lanes, l = i - four * lanes;
    const int64_t column = (static_cast<int64_t>(four / kQuads) * lanes + l) * kWidth + four % kQuads * 4;
    for (int w = 0; w < 2; ++w) {
      const float4* const from = (w ? dbeta : dgamma) + four * threads + l;
      float4 v = from[0];
      for (int r = 1; r < p.rows; ++r) {
        const float4 u = from[r * lanes];
        v.x += u.x, v.y += u.y, v.z += u.z, v.w += u.w;
      }
      float* const to = a.partial + (2 * static_cast<int64_t>(blockIdx.x) + w) * a.cols + column;
      const float each[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
      for (int j = 0; j < 4; ++j)
        if (column + j < a.cols) to[j] = each[j];
    }
  }
}

template <class T>
__global__ void __launch_bounds__(kLongLanes) gradient_long(const T* x, const T* dy, T* dx, Backward<Wide<T>> a) {
  using A = Wide<T>;
  __shared__ SumPair<A> slots[kWarp];
  const int lane = static_cast<int>(threadIdx.x), lanes = static_cast<int>(blockDim.x);
  const int64_t row = blockIdx.x;
  const T* const from[2] = {x + row * a.cols, dy + row * a.cols};
  T* const to = dx + row * a.cols;
  const A mean = a.subtract_mean ? a.mean[row] : A(0), rstd = a.rstd[row];
  SumPair<A> sums{0, 0};
  for_row<T>(from, a.cols, lane, lanes, [&](int64_t at, const auto& v) {
    constexpr int kWidth = static_cast<int>(sizeof v[0] / sizeof(T));
    A gamma[kWidth];
    fill(gamma, A(1));
    read_parameter(a.gamma, at, kWidth, gamma);
#pragma unroll
    for (int j = 0; j < kWidth; ++j) {
      const A g = widen(v[1][j]) * gamma[j];
      sums.a += g;
      sums.b += g * ((widen(v[0][j]) - mean) * rstd);
    }
  });
  sums = row_reduce(sums, Sum{}, SumPair<A>{0, 0}, lanes, slots);
  const A count = static_cast<A>(a.cols), of_g = a.subtract_mean ? sums.a / count : A(0), of_gh = sums.b / count;
  const bool aligned = vectorizable(to);
  for_row<T>(from, a.cols, lane, lanes, [&](int64_t at, const auto& v) {
    constexpr int kWidth = static_cast<int>(sizeof v[0] / sizeof(T));
    A gamma[kWidth];
    fill(gamma, A(1));
    read_parameter(a.gamma, at, kWidth, gamma);
    auto z = v[0];
#pragma unroll
    for (int j = 0; j < kWidth; ++j) {
      const A h = (widen(v[0][j]) - mean) * rstd, g = widen(v[1][j]) * gamma[j];
      z[j] = narrow<T>(rstd * (g - of_g - h * of_gh));
    }
    put(to + at, z, aligned);
  });
}

// partial[chunk] = the chunk's share of dgamma and dbeta, for rows that gradient_in_registers cannot hold.
template <class T, int N>
__global__ void __launch_bounds__(kColumnThreads)
    parameter_gradient(const T* x, const T* dy, Backward<Wide<T>> a, int across, int64_t rows_of_chunk) {
  using A = Wide<T>;
  const ColumnPlace place(across, N, rows_of_chunk, a.rows);
  const T* const from[2] = {x, dy};
  A sums[2][N] = {};
  for_rows<T, N>(from, place, a.cols, [&](int64_t row, const auto& v) {
    const A mean = a.subtract_mean ? a.mean[row] : A(0), rstd = a.rstd[row];
#pragma unroll
    for (int j = 0; j < N; ++j) {
      const A d = widen(v[1][j]);
      sums[0][j] += d * ((widen(v[0][j]) - mean) * rstd);
      sums[1][j] += d;
    }
  });
  store_column_sums(sums, place, a.cols, a.partial);
}

// Blocks of gradient_in_registers: enough to fill a large GPU, few enough that adding their shares is cheap.
struct GradientPlan {
  RowPlan rows;
  unsigned blocks = 0;
};
template <class T>
GradientPlan plan_gradient(const LayerNormGradArgs& a) {
  GradientPlan plan{plan_rows(a.cols, kLanes<T>, kMostGradient, 256)};
  if (sizeof(T) == 8) plan.rows.in_registers = false;
  plan.blocks = blocks_for(a.rows, plan.rows.rows, plan.rows.block().x > 256 ? 132 : 264);
  return plan;
}

template <class T>
size_t gradient_scratch(const LayerNormGradArgs& a) {
  if (!a.dgamma && !a.dbeta) return 0;
  const GradientPlan plan = plan_gradient<T>(a);
  const int64_t chunks = plan.rows.in_registers ? plan.blocks : plan_columns(a.rows, a.cols, kLanes<T>).chunks;
  return static_cast<size_t>(2 * chunks * a.cols) * sizeof(Wide<T>);
}

template <class T>
void backward(const LayerNormGradArgs& a, const Launch& l) {
  using A = Wide<T>;
  const T *x = static_cast<const T*>(a.x), *dy = static_cast<const T*>(a.dy);
  T* dx = static_cast<T*>(a.dx);
  A *dgamma = static_cast<A*>(a.dgamma), *dbeta = static_cast<A*>(a.dbeta);
  A* const partial = dgamma || dbeta ? static_cast<A*>(l.scratch) : nullptr;
  const Backward<A> b{
      {a.gamma, a.gamma_type}, static_cast<const A*>(a.mean), static_cast<const A*>(a.rstd), partial, a.rows, a.cols,
      a.subtract_mean};
  const GradientPlan plan = plan_gradient<T>(a);
  if constexpr (sizeof(T) < 8)
    if (plan.rows.in_registers) {
      // Without rows one block still writes its zeros.
      const size_t bytes = partial ? 2 * sizeof(float) * kRowVectors * kLanes<T> * plan.rows.block().x : 0;
      launch(l, gradient_in_registers<T>, dim3(plan.blocks), plan.rows.block(), bytes, x, dy, dx, b, plan.rows.lanes);
      if (partial) launch_add_chunks(l, partial, plan.blocks, a.cols, dgamma, dbeta);
      return;
    }
  if (a.rows) launch(l, gradient_long<T>, dim3(static_cast<unsigned>(a.rows)), dim3(kLongLanes), 0, x, dy, dx, b);
  if (!partial || a.cols == 0) return;
  const ColumnPlan columns = plan_columns(a.rows, a.cols, kLanes<T>);
  if (columns.width > 1)
    launch(l, parameter_gradient<T, kLanes<T>>, columns.grid(), dim3(kColumnThreads), 0, x, dy, b, columns.across,
           columns.rows_of_chunk);
  else
    launch(l, parameter_gradient<T, 1>, columns.grid(), dim3(kColumnThreads), 0, x, dy, b, columns.across,
           columns.rows_of_chunk);
  launch_add_chunks(l, partial, columns.chunks, a.cols, dgamma, dbeta);
}

}  // namespace

#define MAAS_LAYER_NORM(name, T)                                                                  \
  void layer_norm_##name(const LayerNormArgs& a, const Launch& l) { forward<T>(a, l); }           \
  void layer_norm_grad_##name(const LayerNormGradArgs& a, const Launch& l) { backward<T>(a, l); } \
  size_t layer_norm_grad_##name##_scratch(const LayerNormGradArgs& a) { return gradient_scratch<T>(a); }
MAAS_LAYER_NORM(f32_cuda, float)
MAAS_LAYER_NORM(bf16_cuda, __nv_bfloat16)
MAAS_LAYER_NORM(f16_cuda, __half)
MAAS_LAYER_NORM(f64_cuda, double)
#undef MAAS_LAYER_NORM

}  // namespace maas
