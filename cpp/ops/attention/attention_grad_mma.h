#pragma once
// Gradients in bfloat16 and float16 on mma.sync. A warp has 16 rows of each product; weights and slopes go from one
// product to the next in registers.
#include "ops/attention/attention_grad_cuda.h"
#include "ops/attention/attention_mma.h"

namespace maas::attention_cuda {

// Tiles of 64 rows by kColumns. Sums of dk and dv take kOut columns of a block, so that they fit in registers.
template <int kDimP>
struct MmaGradConfig {
  static constexpr int kDim = kDimP, kThreads = 128, kRows = 64, kColumns = kDim <= 128 ? 64 : 32, kStages = 2;
  static constexpr int kOut = kDim <= 128 ? kDim : 128, kParts = kDim / kOut, kStride = kDim + 8;
  static constexpr int kRowTile = kRows * kStride, kColumnTile = kColumns * kStride;
  static constexpr size_t kBytes = 2 * (2 * kRowTile + 2 * kStages * kColumnTile);
};

template <class C, class T>
__device__ __forceinline__ void clear_and_multiply(float (&s)[C::kColumns / 8][4], const T* rows, const T* columns,
                                                   int row0) {
#pragma unroll
  for (int c = 0; c < C::kColumns / 8; ++c) s[c][0] = s[c][1] = s[c][2] = s[c][3] = 0;
#pragma unroll
  for (int step = 0; step < C::kDim / 16; ++step) {
    uint32_t a[4];
    load_a<C::kStride>(a, rows, row0, 16 * step);
#pragma unroll
    for (int c = 0; c < C::kColumns / 8; c += 2) {
      uint32_t b[2][2];
      load_b<C::kStride>(b, columns, 8 * c, 16 * step);
      mma<T>(s[c], a, b[0]);
      mma<T>(s[c + 1], a, b[1]);
    }
  }
}

// acc += s x, x being kColumns rows of the columns from `first` on.
template <class C, class T, int kWidth>
__device__ __forceinline__ void add_products(float (&acc)[kWidth / 8][4], const float (&s)[C::kColumns / 8][4],
                                             const T* x, int first) {
#pragma unroll
  for (int c = 0; c < C::kColumns / 8; c += 2) {
    const uint32_t a[4] = {pack<T>(s[c][0], s[c][1]), pack<T>(s[c][2], s[c][3]), pack<T>(s[c + 1][0], s[c + 1][1]),
                           pack<T>(s[c + 1][2], s[c + 1][3])};
#pragma unroll
    for (int column = 0; column < kWidth / 8; column += 2) {
      uint32_t b[2][2];
      load_b_transposed<C::kStride>(b, x, 8 * c, first + 8 * column);
      mma<T>(acc[column], a, b[0]);
      mma<T>(acc[column + 1], a, b[1]);
    }
  }
}

template <class T, int kWidth>
__device__ __forceinline__ void store_row(T* to, const float (&acc)[kWidth / 8][4], int half, int first, int dim,
                                          float by, bool pairs) {
  const int t = cuda::lane() % 4;
#pragma unroll
  for (int c = 0; c < kWidth / 8; ++c) {
    const int column = first + 8 * c + 2 * t;
    const float x = acc[c][2 * half] * by, y = acc[c][2 * half + 1] * by;
    if (pairs && column + 1 < dim) {
      *reinterpret_cast<uint32_t*>(to + column) = pack<T>(x, y);
    } else {
      if (column < dim) to[column] = from_float<T>(x);
      if (column + 1 < dim) to[column + 1] = from_float<T>(y);
    }
  }
}

struct GradFlags {
  int blocks;    // of rows
  bool vectors;  // q, k, v and dy may be read 16 bytes at a time
  bool pairs;    // dq, dk and dv may be written two elements at a time
};

template <class T, class C, bool kPlain>
__global__ void __launch_bounds__(C::kThreads) attention_dkdv_mma_kernel(GradProblem a, GradFlags flags) {
  constexpr int kStride = C::kStride, kQ = C::kColumns;
  const Problem& p = a.p;
  T* const k = cuda::shared<T>();
  T *const v = k + C::kRowTile, *const tiles = v + C::kRowTile;
  const int lane = cuda::lane(), g = lane / 4, t = lane % 4, row0 = 16 * cuda::warp();
  unsigned block = blockIdx.x;
  const int part = static_cast<int>(block % C::kParts) * C::kOut;
  block /= C::kParts;
  const int j0 = static_cast<int>(block % flags.blocks) * C::kRows;
  block /= flags.blocks;
  const int kv = static_cast<int>(block % p.kv_heads), b = static_cast<int>(block / p.kv_heads);
  const int n = length_of(p, b), j1 = min(j0 + C::kRows, p.keys);

  load_rows<T, C::kRows, C::kDim, kStride, C::kThreads>(k, p.head_dim, flags.vectors, p.k.data, [&](int r) {
    return j0 + r < n ? row_at<const T>(p.k, b, kv, j0 + r) : nullptr;
  });
  load_rows<T, C::kRows, C::kDim, kStride, C::kThreads>(v, p.value_dim, flags.vectors, p.v.data, [&](int r) {
    return j0 + r < n ? row_at<const T>(p.v, b, kv, j0 + r) : nullptr;
  });
  // Blocks of queries, head after head; those that have nothing to say are passed over.
  const int query_blocks = (p.queries + kQ - 1) / kQ, all = j0 < n ? p.groups * query_blocks : 0;
  const auto next_block = [&](int at) {
    while (at < all) {
      const int h = kv * p.groups + at / query_blocks, i0 = at % query_blocks * kQ;
      if (rows_matter(a, b, h, n, i0, min(i0 + kQ, p.queries), j0, j1, C::kThreads)) break;
      ++at;
    }
    return at;
  };
  const auto load_block = [&](int at, int stage) {
    if (at < all) {
      const int h = kv * p.groups + at / query_blocks, i0 = at % query_blocks * kQ, i1 = min(i0 + kQ, p.queries);
      T* const q = tiles + stage * 2 * C::kColumnTile;
      load_rows<T, kQ, C::kDim, kStride, C::kThreads>(q, p.head_dim, flags.vectors, p.q.data, [&](int r) {
        return i0 + r < i1 ? row_at<const T>(p.q, b, h, i0 + r) : nullptr;
      });
      load_rows<T, kQ, C::kDim, kStride, C::kThreads>(
          q + C::kColumnTile, p.value_dim, flags.vectors, a.dy.data,
          [&](int r) { return i0 + r < i1 ? row_at<const T>(a.dy, b, h, i0 + r) : nullptr; });
    }
    cuda::cp_async_commit();
  };

  const Kept kept(p);
  float dk[C::kOut / 8][4], dv[C::kOut / 8][4];
#pragma unroll
  for (int c = 0; c < C::kOut / 8; ++c)
#pragma unroll
    for (int e = 0; e < 4; ++e) dk[c][e] = dv[c][e] = 0;
  int at = next_block(0), stage = 0;
  load_block(at, 0);
  for (; at < all; stage ^= 1) {
    const int ahead = next_block(at + 1);
    cuda::cp_async_wait<0>();
    __syncthreads();
    load_block(ahead, stage ^ 1);  // over the block that all have left
    const T *const q = tiles + stage * 2 * C::kColumnTile, *const dy = q + C::kColumnTile;
    const int h = kv * p.groups + at / query_blocks, i0 = at % query_blocks * kQ, i1 = min(i0 + kQ, p.queries);
    float s[kQ / 8][4], dp[kQ / 8][4];
    clear_and_multiply<C>(s, k, q, row0);
    clear_and_multiply<C>(dp, v, dy, row0);
#pragma unroll
    for (int c = 0; c < kQ / 8; ++c) {
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        const int i = i0 + 8 * c + 2 * t + e, row = i < i1 ? i : i0;
        const int64_t flat = flat_row(p, b, h, row);
        const ScoreRow<T> score(p, b, h, row);
        const Range range = range_of(p, n, row);
        const float lse = a.lse[flat], delta = a.delta[flat];
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          const int j = j0 + row0 + g + 8 * half;
          float &x = s[c][2 * half + e], &y = dp[c][2 * half + e];
          PairGradient pair{0, 0, 0};
          if (kPlain) {
            if (i < i1 && range.holds(j) && lse != -INFINITY) {
              const float w = exp2_fast(fmaf(x, p.scale_log2, -lse * kLog2e));
              pair = {w, 0, w * (y - delta)};
            } else if (i < i1 && j < n && lse == -INFINITY) {
              pair.weight = 1 / static_cast<float>(n);
            }
          } else if (i < i1) {
            const bool keep = !kept.on || kept(flat * p.keys + j);
            pair = pair_gradient(p, score, range, n, j, x, y, lse, delta, keep);
          }
          x = pair.weight;
          y = pair.ds;
        }
      }
    }
    add_products<C, T, C::kOut>(dv, s, dy, part);
    add_products<C, T, C::kOut>(dk, dp, q, part);
    at = ahead;
  }
  cuda::cp_async_wait<0>();
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int j = j0 + row0 + g + 8 * half;
    if (j >= p.keys) continue;
    store_row<T, C::kOut>(row_at<T>(a.dk, b, kv, j), dk, half, part, p.head_dim, p.scale, flags.pairs);
    store_row<T, C::kOut>(row_at<T>(a.dv, b, kv, j), dv, half, part, p.value_dim, 1, flags.pairs);
  }
}

template <class T, class C, bool kPlain>
__global__ void __launch_bounds__(C::kThreads) attention_dq_mma_kernel(GradProblem a, GradFlags flags) {
  constexpr int kStride = C::kStride, kKeys = C::kColumns;
  const Problem& p = a.p;
  T* const q = cuda::shared<T>();
  T *const dy = q + C::kRowTile, *const tiles = dy + C::kRowTile;
  const int lane = cuda::lane(), g = lane / 4, t = lane % 4, row0 = 16 * cuda::warp();
  const int i0 = (flags.blocks - 1 - static_cast<int>(blockIdx.x % flags.blocks)) * C::kRows;
  const int h = static_cast<int>(blockIdx.x / flags.blocks % p.heads),
            b = static_cast<int>(blockIdx.x / flags.blocks / p.heads), kv = h / p.groups;
  const int n = length_of(p, b), i1 = min(i0 + C::kRows, p.queries);
  Range keys{range_of(p, n, i0).first / kKeys * kKeys, range_of(p, n, i1 - 1).last};
  if (a.dscores) keys = {0, p.keys};  // all are written
  load_rows<T, C::kRows, C::kDim, kStride, C::kThreads>(q, p.head_dim, flags.vectors, p.q.data, [&](int r) {
    return i0 + r < i1 ? row_at<const T>(p.q, b, h, i0 + r) : nullptr;
  });
  load_rows<T, C::kRows, C::kDim, kStride, C::kThreads>(dy, p.value_dim, flags.vectors, a.dy.data, [&](int r) {
    return i0 + r < i1 ? row_at<const T>(a.dy, b, h, i0 + r) : nullptr;
  });
  const auto load_block = [&](int j0, int stage) {
    if (j0 < keys.last) {
      T* const k = tiles + stage * 2 * C::kColumnTile;
      load_rows<T, kKeys, C::kDim, kStride, C::kThreads>(k, p.head_dim, flags.vectors, p.k.data, [&](int r) {
        return j0 + r < n ? row_at<const T>(p.k, b, kv, j0 + r) : nullptr;
      });
      load_rows<T, kKeys, C::kDim, kStride, C::kThreads>(
          k + C::kColumnTile, p.value_dim, flags.vectors, p.v.data,
          [&](int r) { return j0 + r < n ? row_at<const T>(p.v, b, kv, j0 + r) : nullptr; });
    }
    cuda::cp_async_commit();
  };
  load_block(keys.first, 0);

  const Kept kept(p);
  float dq[C::kDim / 8][4], lse[2], delta[2];
#pragma unroll
  for (int c = 0; c < C::kDim / 8; ++c)
#pragma unroll
    for (int e = 0; e < 4; ++e) dq[c][e] = 0;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int64_t flat = flat_row(p, b, h, min(i0 + row0 + g + 8 * half, i1 - 1));
    lse[half] = a.lse[flat], delta[half] = a.delta[flat];
  }
  int stage = 0;
  for (int j0 = keys.first; j0 < keys.last; j0 += kKeys, stage ^= 1) {
    cuda::cp_async_wait<0>();
    __syncthreads();
    load_block(j0 + kKeys, stage ^ 1);  // over the block that all have left
    const T *const k = tiles + stage * 2 * C::kColumnTile, *const v = k + C::kColumnTile;
    float s[kKeys / 8][4], dp[kKeys / 8][4];
    clear_and_multiply<C>(s, q, k, row0);
    clear_and_multiply<C>(dp, dy, v, row0);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int i = i0 + row0 + g + 8 * half, row = min(i, i1 - 1);
      const int64_t flat = flat_row(p, b, h, row);
      const ScoreRow<T> score(p, b, h, row);
      const Range range = range_of(p, n, row);
#pragma unroll
      for (int c = 0; c < kKeys / 8; ++c) {
#pragma unroll
        for (int e = 0; e < 2; ++e) {
          const int j = j0 + 8 * c + 2 * t + e;
          const float x = s[c][2 * half + e];
          float& y = dp[c][2 * half + e];
          PairGradient pair{0, 0, 0};
          if (kPlain) {
            if (i < i1 && range.holds(j) && lse[half] != -INFINITY)
              pair.ds = exp2_fast(fmaf(x, p.scale_log2, -lse[half] * kLog2e)) * (y - delta[half]);
          } else if (i < i1) {
            const bool keep = !kept.on || kept(flat * p.keys + j);
            pair = pair_gradient(p, score, range, n, j, x, y, lse[half], delta[half], keep);
            if (a.dscores && j < p.keys) a.dscores[flat * p.keys + j] = pair.g;
          }
          y = pair.ds;
        }
      }
    }
    add_products<C, T, C::kDim>(dq, dp, k, 0);
  }
  cuda::cp_async_wait<0>();
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int i = i0 + row0 + g + 8 * half;
    if (i < i1) store_row<T, C::kDim>(row_at<T>(a.dq, b, h, i), dq, half, 0, p.head_dim, p.scale, flags.pairs);
  }
}

template <class T, class C, bool kPlain>
void run_grad_mma(const GradProblem& a, const Launch& l) {
  const Problem& p = a.p;
  const auto pairs = [](const AttentionTensor& t) {
    return reinterpret_cast<uintptr_t>(t.data) % 4 == 0 && (t.batch | t.head | t.row) % 2 == 0;
  };
  GradFlags flags{};
  flags.vectors = by_vectors<T>(p.q, p.head_dim) && by_vectors<T>(p.k, p.head_dim) && by_vectors<T>(p.v, p.value_dim) &&
                  by_vectors<T>(a.dy, p.value_dim);
  flags.pairs = pairs(a.dq) && pairs(a.dk) && pairs(a.dv);
  flags.blocks = (p.keys + C::kRows - 1) / C::kRows;
  cuda::launch(l, attention_dkdv_mma_kernel<T, C, kPlain>,
               dim3(static_cast<unsigned>(static_cast<int64_t>(p.batch) * p.kv_heads * flags.blocks * C::kParts)),
               dim3(C::kThreads), C::kBytes, a, flags);
  flags.blocks = (p.queries + C::kRows - 1) / C::kRows;
  cuda::launch(l, attention_dq_mma_kernel<T, C, kPlain>,
               dim3(static_cast<unsigned>(static_cast<int64_t>(p.batch) * p.heads * flags.blocks)), dim3(C::kThreads),
               C::kBytes, a, flags);
}

template <class T>
void attention_grad_mma(const AttentionGradArgs& args, const Launch& l) {
  const GradProblem a = problem_of(args);
  const Problem& p = a.p;
  run_delta<T>(a, l);
  const int dim = p.head_dim > p.value_dim ? p.head_dim : p.value_dim;
  const bool plain = is_plain(p) && !a.dscores;
  if (dim <= 64) {
    if (plain) return run_grad_mma<T, MmaGradConfig<64>, true>(a, l);
    return run_grad_mma<T, MmaGradConfig<64>, false>(a, l);
  }
  if (dim <= 128) {
    if (plain) return run_grad_mma<T, MmaGradConfig<128>, true>(a, l);
    return run_grad_mma<T, MmaGradConfig<128>, false>(a, l);
  }
  run_grad_mma<T, MmaGradConfig<256>, false>(a, l);
}

}  // namespace maas::attention_cuda
