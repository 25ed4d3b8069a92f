// Few rows of a: every element of b is read once, 16 bytes at a time, and meets all rows in registers. Each sum is cut
// into the same parts for every m: lanes, warps and blocks, added in a fixed order.
#include <algorithm>

#include "cuda/activation.h"
#include "cuda/blas.h"
#include "cuda/launch.h"
#include "cuda/skinny_product.h"
#include "cuda/warp.h"

namespace maas::cuda {
namespace {

constexpr int kMostRows = 4, kWarps = 8, kThreads = kWarps * kWarp;

// b by rows: a lane takes 16 bytes of a row; kVectors lanes are neighbours in it, the others take the next rows.
constexpr int kVectors = 4, kSlices = kWarp / kVectors, kBlockSlices = kSlices * kWarps;
constexpr int kUnroll = 4;  // rows of b that a lane has in flight
constexpr int kMostParts = 8, kMostCounters = 4096;

// Blocks that finished their part of a sum. Zero between launches: the last one resets it. Launches of a GPU are queued
// on one stream, so two never count at once.
__device__ unsigned counters[kMostCounters];

template <class T>
struct Skinny {
  const T* a;
  const T* b;
  T* c;
  int64_t m, n, k, rsa, csa, ldb, ldc, a_batch, b_batch, c_batch, batch;
  EpilogueOf<T> epilogue;
  float* partial;  // [batch][block of columns][part][row][column], where parts > 1
  int parts;
};

// Adds sums over the slices of a warp: in every step a lane keeps half of its sums and hands the other half to its
// partner; the last one that is left is added as it is. Returns which sum flat[0] is now.
template <int kCount, int kBits, int kAll>
__device__ __forceinline__ int add_slices(float (&flat)[kAll]) {
  if constexpr (kBits < kVectors) {
    return 0;
  } else if constexpr (kCount == 1) {
    flat[0] += shuffle_xor(flat[0], kBits);
    return add_slices<1, kBits / 2>(flat);
  } else {
    constexpr int kHalf = kCount / 2;
    const bool upper = lane() & kBits;
#pragma unroll
    for (int i = 0; i < kHalf; ++i) {
      const float low = flat[i], high = flat[kHalf + i];
      const float other = shuffle_xor(upper ? low : high, kBits);
      flat[i] = (upper ? high : low) + other;
    }
    return add_slices<kHalf, kBits / 2>(flat) + (upper ? kHalf : 0);
  }
}

template <class T, int kRows>
__global__ void __launch_bounds__(kThreads) rows_kernel(Skinny<T> p) {
  constexpr int kV = kLanes<T>, kColumns = kVectors * kV, kSums = kRows * kV;
  __shared__ float of_warps[kWarps][kRows][kColumns];
  __shared__ bool last;
  const int64_t blocks = p.n / kColumns + (p.n % kColumns != 0);
  int64_t block = blockIdx.x;
  const int part = static_cast<int>(block % p.parts);
  block /= p.parts;
  const int64_t t = block / blocks, column0 = block % blocks * kColumns;
  const int vector = lane() % kVectors, slice = lane() / kVectors + warp() * kSlices;
  const int64_t column = column0 + vector * kV;
  const int64_t whole = (p.k + p.parts - 1) / p.parts, begin = part * whole;
  const int64_t end = begin + whole < p.k ? begin + whole : p.k;
  const T* const a = p.a + t * p.a_batch;
  const T* const b = p.b + t * p.b_batch + column;

  float sum[kRows][kV] = {};
  if (column < p.n) {
    for (int64_t row0 = begin + slice; row0 < end; row0 += kBlockSlices * kUnroll) {
      Vector<T> w[kUnroll];
      float x[kUnroll][kRows];
#pragma unroll
      for (int u = 0; u < kUnroll; ++u) {
        const int64_t row = row0 + u * kBlockSlices;
        const bool in = row < end;
        w[u] = load_stream(b + (in ? row : row0) * p.ldb);
#pragma unroll
        for (int i = 0; i < kRows; ++i) x[u][i] = in && i < p.m ? to_float(a[i * p.rsa + row * p.csa]) : 0.f;
        // A row that is not there must not meet an infinity.
        if (!in) w[u] = {};
      }
#pragma unroll
      for (int u = 0; u < kUnroll; ++u)
#pragma unroll
        for (int v = 0; v < kV; ++v) {
          const float weight = to_float(w[u][v]);
#pragma unroll
          for (int i = 0; i < kRows; ++i) sum[i][v] = fmaf(x[u][i], weight, sum[i][v]);
        }
    }
  }

  float flat[kSums];
#pragma unroll
  for (int i = 0; i < kSums; ++i) flat[i] = sum[i / kV][i % kV];
  const int first = add_slices<kSums, kWarp / 2>(flat);
  constexpr int kKept = kSums >= kSlices ? kSums / kSlices : 1;
#pragma unroll
  for (int i = 0; i < kKept; ++i) {
    const int at = first + i;
    of_warps[warp()][at / kV][vector * kV + at % kV] = flat[i];
  }
  __syncthreads();

  T* const c = p.c + t * p.c_batch;
  const auto finish = [&](float value, int64_t i, int j) {
    if (i < p.m && column0 + j < p.n) {
      const int64_t at = i * p.ldc + column0 + j;
      EpilogueOf<T> e = p.epilogue;
      if (e.residual) e.residual += t * p.c_batch;
      c[at] = from_float<T>(e(value, column0 + j, at));
    }
  };
  float* const partial = p.partial + block * p.parts * kRows * kColumns;
  for (int e = static_cast<int>(threadIdx.x); e < kRows * kColumns; e += kThreads) {
    const int i = e / kColumns, j = e % kColumns;
    float value = 0;
#pragma unroll
    for (int w = 0; w < kWarps; ++w) value += of_warps[w][i][j];
    if (p.parts == 1)
      finish(value, i, j);
    else
      partial[part * kRows * kColumns + e] = value;
  }
  if (p.parts == 1) return;
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) {
    last = atomicAdd(&counters[block], 1u) == static_cast<unsigned>(p.parts - 1);
    if (last) counters[block] = 0;
  }
  __syncthreads();
  if (!last) return;
  __threadfence();
  for (int e = static_cast<int>(threadIdx.x); e < kRows * kColumns; e += kThreads) {
    float value = 0;
    for (int s = 0; s < p.parts; ++s) value += __ldcg(partial + s * kRows * kColumns + e);
    finish(value, e / kColumns, e % kColumns);
  }
}

// b by columns: a warp takes kColumns of them, its lanes 16 bytes each along k.
template <class T, int kRows, int kColumns>
__global__ void __launch_bounds__(kThreads) columns_kernel(Skinny<T> p) {
  constexpr int kV = kLanes<T>;
  const int64_t groups = (p.n + kColumns - 1) / kColumns;
  const int64_t group = int64_t{blockIdx.x} * kWarps + warp();
  const int64_t t = group / groups, column0 = group % groups * kColumns;
  if (t >= p.batch) return;
  const T* const a = p.a + t * p.a_batch;
  const T* const b = p.b + t * p.b_batch;
  float sum[kRows][kColumns] = {};
  for (int64_t k = lane() * kV; k < p.k; k += kWarp * kV) {
    Vector<T> w[kColumns];
#pragma unroll
    for (int j = 0; j < kColumns; ++j) w[j] = load_stream(b + (column0 + j < p.n ? column0 + j : column0) * p.ldb + k);
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      const Vector<T> x = load_const(a + (i < p.m ? i : 0) * p.rsa + k);
#pragma unroll
      for (int v = 0; v < kV; ++v)
#pragma unroll
        for (int j = 0; j < kColumns; ++j) sum[i][j] = fmaf(to_float(x[v]), to_float(w[j][v]), sum[i][j]);
    }
  }
#pragma unroll
  for (int i = 0; i < kRows; ++i)
#pragma unroll
    for (int j = 0; j < kColumns; ++j) {
      const float value = warp_sum(sum[i][j]);
      const int64_t column = column0 + j, at = t * p.c_batch + i * p.ldc + column;
      if (lane() == (i * kColumns + j) % kWarp && i < p.m && column < p.n)
        p.c[at] = from_float<T>(p.epilogue(value, column, at));
    }
}

template <class T, int kRows>
void run(Skinny<T> p, bool by_columns, const Launch& l) {
  if (by_columns) {
    constexpr int kColumns = 4;
    // Few columns: one a warp, so that more warps read.
    const bool few = p.n * p.batch < int64_t{l.multiprocessors} * kWarps * kColumns * 2;
    const int64_t groups = (few ? p.n : (p.n + kColumns - 1) / kColumns) * p.batch;
    return launch(l, few ? columns_kernel<T, kRows, 1> : columns_kernel<T, kRows, kColumns>,
                  static_cast<unsigned>((groups + kWarps - 1) / kWarps), kThreads, 0, p);
  }
  constexpr int kColumns = kVectors * kLanes<T>;
  const int64_t blocks = (p.n + kColumns - 1) / kColumns * p.batch;
  // Two blocks a multiprocessor, unless a lane had too few rows.
  const int64_t wanted = (2 * l.multiprocessors + blocks - 1) / blocks, longest = p.k / (kBlockSlices * kUnroll);
  p.parts = static_cast<int>(std::clamp<int64_t>(std::min(wanted, longest), 1, kMostParts));
  if (blocks > kMostCounters) p.parts = 1;
  p.partial = static_cast<float*>(l.scratch);
  launch(l, rows_kernel<T, kRows>, static_cast<unsigned>(blocks * p.parts), kThreads, 0, p);
}

template <class T>
bool run(const MatrixProduct& q, const Launch& l) {
  constexpr int64_t kV = kLanes<T>;
  const bool by_columns = q.rsb == 1 && q.csb != 1;
  if (!by_columns && q.csb != 1) return false;
  const int64_t ldb = by_columns ? q.csb : q.rsb, rsa = q.m == 1 ? 0 : q.rsa;
  const auto wide = [](const void* p, int64_t stride, int64_t batch_stride) {
    return reinterpret_cast<uintptr_t>(p) % 16 == 0 && stride % kV == 0 && batch_stride % kV == 0;
  };
  if (!wide(q.b, ldb, q.b_batch) || (by_columns ? q.k : q.n) % kV) return false;
  if (by_columns && (q.csa != 1 || !wide(q.a, rsa, q.a_batch))) return false;
  Skinny<T> p{static_cast<const T*>(q.a),
              static_cast<const T*>(q.b),
              static_cast<T*>(q.c),
              q.m,
              q.n,
              q.k,
              rsa,
              q.csa,
              ldb,
              q.ldc,
              q.a_batch,
              q.b_batch,
              q.c_batch,
              q.batch,
              EpilogueOf<T>(q.epilogue),
              nullptr,
              1};
  if (q.m == 1)
    run<T, 1>(p, by_columns, l);
  else if (q.m == 2)
    run<T, 2>(p, by_columns, l);
  else
    run<T, 4>(p, by_columns, l);
  return true;
}

}  // namespace

bool skinny_product(const MatrixProduct& p, const Launch& l) {
  if (p.m < 1 || p.m > kMostRows || p.n < 1 || p.k < 1 || p.batch < 1 || deterministic()) return false;
  // Many small products are better off in one call of the library.
  // So are long sums for few columns, of which too few blocks would be at work.
  if (p.k > int64_t{1} << 15 && p.n * p.batch < 1024) return false;
  if (p.n * p.batch > int64_t{1} << 30 || (p.batch > 1 && p.n * p.k < 4096)) return false;
  switch (p.dtype) {
    case DType::f32:
      return run<float>(p, l);
    case DType::bf16:
      return run<__nv_bfloat16>(p, l);
    case DType::f16:
      return run<__half>(p, l);
    default:
      return false;
  }
}

}  // namespace maas::cuda
