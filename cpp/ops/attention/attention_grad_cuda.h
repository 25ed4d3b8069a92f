#pragma once
// Gradients of attention: weights are computed again from lse. One kernel owns dk and dv, another dq, so that every sum
// has one order. What both types of kernels share, and the float32 kernels on the ordinary units.
#include "cuda/vector.h"
#include "ops/attention/attention_f32_cuda.h"

namespace maas::attention_cuda {

struct GradProblem {
  Problem p;
  AttentionTensor y, dy, dq, dk, dv;
  const float* lse;
  float* delta;
  float* dscores;  // (batch, heads, queries, keys), or null
};

inline GradProblem problem_of(const AttentionGradArgs& a) {
  return {problem_of(a.s, a.q, a.k, a.v, a.mask, a.bias, a.dropout),
          a.y,
          a.dy,
          a.dq,
          a.dk,
          a.dv,
          static_cast<const float*>(a.lse),
          static_cast<float*>(a.delta),
          static_cast<float*>(a.dscores)};
}

// delta[row] = dy[row] . y[row]; one warp a row, or two rows a warp where 16 lanes load all of a row.
template <class T>
__global__ void __launch_bounds__(128) attention_delta_kernel(GradProblem a, bool vectors) {
  constexpr int kVector = cuda::kLanes<T>;
  const Problem& p = a.p;
  const bool halves = vectors && p.value_dim <= 16 * kVector;
  const int64_t rows = static_cast<int64_t>(p.batch) * p.heads * p.queries;
  const int lane = halves ? cuda::lane() % 16 : cuda::lane(), width = halves ? 16 : 32;
  const int64_t warp = static_cast<int64_t>(blockIdx.x) * 4 + cuda::warp();
  const int64_t row = halves ? 2 * warp + cuda::lane() / 16 : warp, last = min(row, rows - 1);
  const int query = static_cast<int>(last % p.queries), head = static_cast<int>(last / p.queries % p.heads),
            batch = static_cast<int>(last / p.queries / p.heads);
  const T *const y = row_at<const T>(a.y, batch, head, query), *const dy = row_at<const T>(a.dy, batch, head, query);
  float sum = 0;
  if (vectors) {
    for (int c = lane * kVector; c < p.value_dim; c += width * kVector) {
      const auto u = cuda::load(y + c), v = cuda::load(dy + c);
#pragma unroll
      for (int i = 0; i < kVector; ++i) sum = fmaf(to_float(u[i]), to_float(v[i]), sum);
    }
  } else {
    for (int c = lane; c < p.value_dim; c += width) sum = fmaf(to_float(y[c]), to_float(dy[c]), sum);
  }
  sum = cuda::warp_sum<16>(sum);
  const float other = cuda::shuffle_xor(sum, 16);
  if (lane == 0 && row < rows) a.delta[row] = halves ? sum : sum + other;
}
template <class T>
void run_delta(const GradProblem& a, const Launch& l) {
  const Problem& p = a.p;
  const int64_t rows = static_cast<int64_t>(p.batch) * p.heads * p.queries;
  if (rows == 0) return;
  const bool vectors = by_vectors<T>(a.y, p.value_dim) && by_vectors<T>(a.dy, p.value_dim);
  cuda::launch(l, attention_delta_kernel<T>, dim3(cuda::blocks_for(rows, 4)), dim3(128), 0, a, vectors);
}

// What one pair of query and key adds: its weight after dropout, g and ds / scale.
struct PairGradient {
  float weight, g, ds;
};
template <class T>
__device__ __forceinline__ PairGradient pair_gradient(const Problem& p, const ScoreRow<T>& score, const Range& range,
                                                      int n, int j, float product, float dp, float lse, float delta,
                                                      bool kept) {
  const float factor = kept ? p.inverse_keep : 0;
  if (j >= n) return {0, 0, 0};
  if (lse == -INFINITY) return {factor / static_cast<float>(n), 0, 0};  // sees nothing: the mean
  if (!range.holds(j)) return {0, 0, 0};
  float slope;
  const float t = score(p, j, product, slope);
  if (t == kNothing) return {0, 0, 0};
  const float w = exp2_fast(t - lse * kLog2e), g = w * (factor * dp - delta);
  return {w * factor, g, g * slope};
}

// True if rows [i0, i1) of a head have something to say about keys [j0, j1) of the n that are there. All threads of
// the block must ask.
__device__ __forceinline__ bool rows_matter(const GradProblem& a, int b, int h, int n, int i0, int i1, int j0, int j1,
                                            int threads) {
  const Range seeing = rows_seeing(a.p, n, j0, j1);
  if (i0 < seeing.last && i1 > seeing.first) return true;
  bool none = false;  // rows that see nothing give to every value
  for (int i = i0 + static_cast<int>(threadIdx.x); i < i1; i += threads)
    none = none || a.lse[flat_row(a.p, b, h, i)] == -INFINITY;
  return __syncthreads_or(none);
}

inline constexpr int kF32GradColumns = 32;
// R rows of 8 x 16 threads: 64 rows where their sums fit in registers.
template <int kDim>
inline constexpr int kF32GradR = kDim <= 64 ? 8 : 4;

template <int kDim>
struct F32GradLayout {
  static constexpr int kRows = 8 * kF32GradR<kDim>, kColumns = kF32GradColumns, kStride = kDim + 4;
  static constexpr int b = kRows * kStride, c = 2 * b, d = c + kColumns * kStride, w = d + kColumns * kStride,
                       u = w + kRows * (kColumns + 4), floats = u + kRows * (kColumns + 4);
};

// dk and dv of a block of keys: rows are keys, columns are queries of all heads that read them.
template <int kDim>
__global__ void __launch_bounds__(kF32Threads) attention_dkdv_f32_kernel(GradProblem a, int key_blocks, bool vectors) {
  using Layout = F32GradLayout<kDim>;
  constexpr int kR = kF32GradR<kDim>, kRows = Layout::kRows, kQ = Layout::kColumns, kStride = Layout::kStride,
                kC = kQ / 16;
  const Problem& p = a.p;
  float* const k = cuda::shared<float>();
  float *const v = k + Layout::b, *const q = k + Layout::c, *const dy = k + Layout::d, *const weights = k + Layout::w,
               *const slopes = k + Layout::u;
  const int tx = static_cast<int>(threadIdx.x) % 16, ty = static_cast<int>(threadIdx.x) / 16;
  const int j0 = static_cast<int>(blockIdx.x % key_blocks) * kRows;
  const int kv = static_cast<int>(blockIdx.x / key_blocks % p.kv_heads),
            b = static_cast<int>(blockIdx.x / key_blocks / p.kv_heads);
  const int n = length_of(p, b), j1 = min(j0 + kRows, p.keys);
  float dk[kR][kSums<kDim>], dv[kR][kSums<kDim>];
#pragma unroll
  for (int r = 0; r < kR; ++r)
#pragma unroll
    for (int i = 0; i < kSums<kDim>; ++i) dk[r][i] = dv[r][i] = 0;
  load_rows<float, kRows, kDim, kStride, kF32Threads>(k, p.head_dim, vectors, p.k.data, [&](int r) {
    return j0 + r < n ? row_at<const float>(p.k, b, kv, j0 + r) : nullptr;
  });
  load_rows<float, kRows, kDim, kStride, kF32Threads>(v, p.value_dim, vectors, p.v.data, [&](int r) {
    return j0 + r < n ? row_at<const float>(p.v, b, kv, j0 + r) : nullptr;
  });
  const Kept kept(p);
  for (int h = kv * p.groups; j0 < n && h < (kv + 1) * p.groups; ++h) {
    for (int i0 = 0; i0 < p.queries; i0 += kQ) {
      const int i1 = min(i0 + kQ, p.queries);
      if (!rows_matter(a, b, h, n, i0, i1, j0, j1, kF32Threads)) continue;
      load_rows<float, kQ, kDim, kStride, kF32Threads>(q, p.head_dim, vectors, p.q.data, [&](int r) {
        return i0 + r < i1 ? row_at<const float>(p.q, b, h, i0 + r) : nullptr;
      });
      load_rows<float, kQ, kDim, kStride, kF32Threads>(dy, p.value_dim, vectors, a.dy.data, [&](int r) {
        return i0 + r < i1 ? row_at<const float>(a.dy, b, h, i0 + r) : nullptr;
      });
      cuda::cp_async_commit();
      cuda::cp_async_wait<0>();
      __syncthreads();
      float s[kR][kC], dp[kR][kC];
      dots<kR, kC, kDim>(k, q, s);
      dots<kR, kC, kDim>(v, dy, dp);
#pragma unroll
      for (int c = 0; c < kC; ++c) {
        const int i = i0 + tx + 16 * c;
        const bool there = i < i1;
        const int row = there ? i : i0;
        const int64_t flat = flat_row(p, b, h, row);
        const ScoreRow<float> score(p, b, h, row);
        const Range range = range_of(p, n, row);
        const float lse = a.lse[flat], delta = a.delta[flat];
#pragma unroll
        for (int r = 0; r < kR; ++r) {
          const int j = j0 + kR * ty + r;
          const bool keep = !kept.on || kept(flat * p.keys + j);
          const PairGradient g = pair_gradient(p, score, range, n, j, s[r][c], dp[r][c], lse, delta, keep);
          const int at = (kR * ty + r) * (kQ + 4) + tx + 16 * c;
          weights[at] = there ? g.weight : 0;
          slopes[at] = there ? g.ds : 0;
        }
      }
      __syncthreads();
      add_weighted<kR, kQ, kDim>(weights, dy, dv);
      add_weighted<kR, kQ, kDim>(slopes, q, dk);
      __syncthreads();
    }
  }
  cuda::cp_async_wait<0>();
#pragma unroll
  for (int r = 0; r < kR; ++r) {
    const int j = j0 + kR * ty + r;
    if (j >= p.keys) continue;
    float *const to_k = row_at<float>(a.dk, b, kv, j), *const to_v = row_at<float>(a.dv, b, kv, j);
#pragma unroll
    for (int i = 0; i < kSums<kDim>; ++i) {
      const int c = column_of<kDim>(i);
      if (c < p.head_dim) to_k[c] = dk[r][i] * p.scale;
      if (c < p.value_dim) to_v[c] = dv[r][i];
    }
  }
}

// dq of a block of queries, and the gradient of their scores.
template <int kDim>
__global__ void __launch_bounds__(kF32Threads) attention_dq_f32_kernel(GradProblem a, int query_blocks, bool vectors) {
  using Layout = F32GradLayout<kDim>;
  constexpr int kR = kF32GradR<kDim>, kRows = Layout::kRows, kKeys = Layout::kColumns, kStride = Layout::kStride,
                kC = kKeys / 16;
  const Problem& p = a.p;
  float* const q = cuda::shared<float>();
  float *const dy = q + Layout::b, *const k = q + Layout::c, *const v = q + Layout::d, *const slopes = q + Layout::w;
  const int tx = static_cast<int>(threadIdx.x) % 16, ty = static_cast<int>(threadIdx.x) / 16;
  const int i0 = (query_blocks - 1 - static_cast<int>(blockIdx.x % query_blocks)) * kRows;
  const int h = static_cast<int>(blockIdx.x / query_blocks % p.heads),
            b = static_cast<int>(blockIdx.x / query_blocks / p.heads), kv = h / p.groups;
  const int n = length_of(p, b), i1 = min(i0 + kRows, p.queries);
  Range keys{range_of(p, n, i0).first / kKeys * kKeys, range_of(p, n, i1 - 1).last};
  if (a.dscores) keys = {0, p.keys};  // all are written
  load_rows<float, kRows, kDim, kStride, kF32Threads>(q, p.head_dim, vectors, p.q.data, [&](int r) {
    return i0 + r < i1 ? row_at<const float>(p.q, b, h, i0 + r) : nullptr;
  });
  load_rows<float, kRows, kDim, kStride, kF32Threads>(dy, p.value_dim, vectors, a.dy.data, [&](int r) {
    return i0 + r < i1 ? row_at<const float>(a.dy, b, h, i0 + r) : nullptr;
  });
  const Kept kept(p);
  float dq[kR][kSums<kDim>];
#pragma unroll
  for (int r = 0; r < kR; ++r)
#pragma unroll
    for (int i = 0; i < kSums<kDim>; ++i) dq[r][i] = 0;
  for (int j0 = keys.first; j0 < keys.last; j0 += kKeys) {
    load_rows<float, kKeys, kDim, kStride, kF32Threads>(k, p.head_dim, vectors, p.k.data, [&](int r) {
      return j0 + r < n ? row_at<const float>(p.k, b, kv, j0 + r) : nullptr;
    });
    load_rows<float, kKeys, kDim, kStride, kF32Threads>(v, p.value_dim, vectors, p.v.data, [&](int r) {
      return j0 + r < n ? row_at<const float>(p.v, b, kv, j0 + r) : nullptr;
    });
    cuda::cp_async_commit();
    cuda::cp_async_wait<0>();
    __syncthreads();
    float s[kR][kC], dp[kR][kC];
    dots<kR, kC, kDim>(q, k, s);
    dots<kR, kC, kDim>(dy, v, dp);
#pragma unroll
    for (int r = 0; r < kR; ++r) {
      const int i = i0 + kR * ty + r;
      const bool there = i < i1;
      const int row = there ? i : i0;
      const int64_t flat = flat_row(p, b, h, row);
      const ScoreRow<float> score(p, b, h, row);
      const Range range = range_of(p, n, row);
      const float lse = a.lse[flat], delta = a.delta[flat];
#pragma unroll
      for (int c = 0; c < kC; ++c) {
        const int j = j0 + tx + 16 * c;
        const bool keep = !kept.on || kept(flat * p.keys + j);
        const PairGradient g = pair_gradient(p, score, range, n, j, s[r][c], dp[r][c], lse, delta, keep);
        slopes[(kR * ty + r) * (kKeys + 4) + tx + 16 * c] = there ? g.ds : 0;
        if (a.dscores && there && j < p.keys) a.dscores[flat * p.keys + j] = g.g;
      }
    }
    __syncthreads();
    add_weighted<kR, kKeys, kDim>(slopes, k, dq);
    __syncthreads();
  }
  cuda::cp_async_wait<0>();
#pragma unroll
  for (int r = 0; r < kR; ++r) {
    const int i = i0 + kR * ty + r;
    if (i >= i1) continue;
    float* const to = row_at<float>(a.dq, b, h, i);
#pragma unroll
    for (int c = 0; c < kSums<kDim>; ++c)
      if (column_of<kDim>(c) < p.head_dim) to[column_of<kDim>(c)] = dq[r][c] * p.scale;
  }
}

}  // namespace maas::attention_cuda
