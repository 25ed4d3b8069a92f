#pragma once
// bfloat16 and float16 on mma.sync: online softmax over blocks of keys, products accumulated in float32, weights
// rounded to the type for the second product. Dao, 2023, "FlashAttention-2", arXiv:2307.08691; Dao et al., 2023,
// "Flash-Decoding for long-context inference".
#include "ops/attention/attention_cuda.h"

namespace maas::attention_cuda {

template <class T>
__device__ __forceinline__ void mma(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  if constexpr (sizeof(T) == 2 && __is_same(T, __half))
    cuda::mma_f16(d, a, b);
  else
    cuda::mma_bf16(d, a, b);
}
template <class T>
__device__ __forceinline__ uint32_t pack(float low, float high) {
  if constexpr (__is_same(T, __half))
    return cuda::pack_f16(low, high);
  else
    return cuda::pack_bf16(low, high);
}

// A fragment of rows row .. row + 15, columns k .. k + 15 of a tile whose rows are kStride apart.
template <int kStride, class T>
__device__ __forceinline__ void load_a(uint32_t (&a)[4], const T* tile, int row, int k) {
  const int lane = cuda::lane();
  cuda::ldmatrix_x4(a, tile + (row + (lane & 15)) * kStride + k + (lane >> 4) * 8);
}
// The same of the transpose: a[i][k] = tile[k][i].
template <int kStride, class T>
__device__ __forceinline__ void load_a_transposed(uint32_t (&a)[4], const T* tile, int row, int k) {
  const int lane = cuda::lane();
  cuda::ldmatrix_x4_trans(a, tile + (k + (lane & 7) + (lane >> 4) * 8) * kStride + row + (lane >> 3 & 1) * 8);
}
// B fragments of two neighbouring columns of tiles where b[k][n] = tile[n][k]: n .. n + 15, k .. k + 15.
template <int kStride, class T>
__device__ __forceinline__ void load_b(uint32_t (&b)[2][2], const T* tile, int n, int k) {
  const int lane = cuda::lane();
  uint32_t r[4];
  cuda::ldmatrix_x4(r, tile + (n + (lane & 7) + (lane >> 4) * 8) * kStride + k + (lane >> 3 & 1) * 8);
  b[0][0] = r[0], b[0][1] = r[1], b[1][0] = r[2], b[1][1] = r[3];
}
// The same where b[k][n] = tile[k][n].
template <int kStride, class T>
__device__ __forceinline__ void load_b_transposed(uint32_t (&b)[2][2], const T* tile, int k, int n) {
  const int lane = cuda::lane();
  uint32_t r[4];
  cuda::ldmatrix_x4_trans(r, tile + (k + (lane & 15)) * kStride + n + (lane >> 4) * 8);
  b[0][0] = r[0], b[0][1] = r[1], b[1][0] = r[2], b[1][1] = r[3];
}

__device__ __forceinline__ float quad_max(float v) {
  return cuda::warp_reduce<4>(v, [](float a, float b) { return fmaxf(a, b); });
}

// kM tiles of 16 rows a warp; kWarpsM warps along rows, kWarpsN along keys, each with its share of every block of
// kKeys.
template <int kDimP, int kMP, int kWarpsMP, int kWarpsNP, int kKeysP, int kStagesP>
struct MmaConfig {
  static constexpr int kDim = kDimP, kM = kMP, kWarpsM = kWarpsMP, kWarpsN = kWarpsNP, kKeys = kKeysP,
                       kStages = kStagesP;
  static constexpr int kThreads = 32 * kWarpsM * kWarpsN, kRows = 16 * kM * kWarpsM, kOwnKeys = kKeys / kWarpsN;
  static constexpr int kStride = kDim + 8;  // rows 16 bytes off a multiple of 128: ldmatrix meets every bank once
  static constexpr int kQ = kRows * kStride, kBlock = kKeys * kStride, kElements = kQ + 2 * kStages * kBlock;
  // Sums of all but the first warp of a row of warps, and their tops and totals.
  static constexpr int kMerge = kWarpsN > 1 ? (kWarpsN - 1) * kRows * (kDim + 2) : 0;
  static constexpr size_t kBytes = kElements * 2 > kMerge * 4 ? kElements * 2 : kMerge * 4;
  static_assert(kOwnKeys % 16 == 0 && kBytes <= 227 * 1024);
};

template <class T, class C, bool kPlain>
__global__ void __launch_bounds__(C::kThreads)
    attention_mma_kernel(Problem p, Output out, Tiling tiling, bool vectors, cuda::Reporter report) {
  constexpr int kStride = C::kStride, kSteps = C::kDim / 16, kColumns = C::kDim / 8, kTiles = C::kOwnKeys / 8;
  T* const q = cuda::shared<T>();
  T *const k = q + C::kQ, *const v = k + C::kStages * C::kBlock;
  const int lane = cuda::lane(), g = lane / 4, t = lane % 4;
  const int warp_m = cuda::warp() / C::kWarpsN, warp_n = cuda::warp() % C::kWarpsN;
  const int row0 = warp_m * 16 * C::kM, key0 = warp_n * C::kOwnKeys;
  const Tile tile = tiling.tile(p, blockIdx.x);
  if (tile.first == 0 && tile.split == 0) check_length(p, tile.batch, report);
  const int n = length_of(p, tile.batch);
  const Range least = range_of(p, n, tile.first), most = range_of(p, n, tile.first + tile.span - 1);
  Range keys{least.first, most.last};
  if (tiling.splits > 1) {
    keys.first = max(keys.first, tile.split * tiling.chunk);
    keys.last = min(keys.last, (tile.split + 1) * tiling.chunk);
  }
  keys.first = keys.first / C::kKeys * C::kKeys;
  const int blocks = keys.last > keys.first ? (keys.last - keys.first + C::kKeys - 1) / C::kKeys : 0;

  const auto load_block = [&](int block) {
    if (block < blocks) {
      const int j0 = keys.first + block * C::kKeys, stage = block % C::kStages * C::kBlock;
      load_rows<T, C::kKeys, C::kDim, kStride, C::kThreads>(k + stage, p.head_dim, vectors, p.k.data, [&](int r) {
        return j0 + r < n ? row_at<const T>(p.k, tile.batch, tile.kv, j0 + r) : nullptr;
      });
      load_rows<T, C::kKeys, C::kDim, kStride, C::kThreads>(v + stage, p.value_dim, vectors, p.v.data, [&](int r) {
        return j0 + r < n ? row_at<const T>(p.v, tile.batch, tile.kv, j0 + r) : nullptr;
      });
    }
    cuda::cp_async_commit();
  };
  load_rows<T, C::kRows, C::kDim, kStride, C::kThreads>(q, p.head_dim, vectors, p.q.data, [&](int r) {
    return r < tile.rows ? row_at<const T>(p.q, tile.batch, tile.head_of(r), tile.query_of(r)) : nullptr;
  });
#pragma unroll
  for (int s = 0; s < C::kStages - 1; ++s) load_block(s);

  const Kept kept(p);
  float acc[C::kM][kColumns][4], top[C::kM][2], total[C::kM][2];
#pragma unroll
  for (int m = 0; m < C::kM; ++m) {
    top[m][0] = top[m][1] = kNothing, total[m][0] = total[m][1] = 0;
#pragma unroll
    for (int c = 0; c < kColumns; ++c) acc[m][c][0] = acc[m][c][1] = acc[m][c][2] = acc[m][c][3] = 0;
  }

  for (int block = 0; block < blocks; ++block) {
    cuda::cp_async_wait<C::kStages - 2>();
    __syncthreads();
    load_block(block + C::kStages - 1);  // over the block that all have left
    const T *const kb = k + block % C::kStages * C::kBlock, *const vb = v + block % C::kStages * C::kBlock;
    const int j0 = keys.first + block * C::kKeys;

    float s[C::kM][kTiles][4];
#pragma unroll
    for (int m = 0; m < C::kM; ++m)
#pragma unroll
      for (int c = 0; c < kTiles; ++c) s[m][c][0] = s[m][c][1] = s[m][c][2] = s[m][c][3] = 0;
#pragma unroll
    for (int step = 0; step < kSteps; ++step) {
      uint32_t a[C::kM][4];
#pragma unroll
      for (int m = 0; m < C::kM; ++m) load_a<kStride>(a[m], q, row0 + 16 * m, 16 * step);
#pragma unroll
      for (int c = 0; c < kTiles; c += 2) {
        uint32_t b[2][2];
        load_b<kStride>(b, kb, key0 + 8 * c, 16 * step);
#pragma unroll
        for (int m = 0; m < C::kM; ++m) {
          mma<T>(s[m][c], a[m], b[0]);
          mma<T>(s[m][c + 1], a[m], b[1]);
        }
      }
    }

    // All keys of the block are seen by all rows, as far as positions say.
    const bool inside = j0 >= most.first && j0 + C::kKeys <= min(least.last, keys.last);
    bool moved = false;
    float base[C::kM][2], factor[C::kM][2];
#pragma unroll
    for (int m = 0; m < C::kM; ++m) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int row = row0 + 16 * m + g + 8 * half;
        float highest = kNothing;
        if constexpr (kPlain) {
          if (!inside) {
            const Range range = range_of(p, n, tile.query_of(min(row, tile.rows - 1)));
#pragma unroll
            for (int c = 0; c < kTiles; ++c)
#pragma unroll
              for (int e = 0; e < 2; ++e)
                if (!range.holds(j0 + key0 + 8 * c + 2 * t + e)) s[m][c][2 * half + e] = kNothing;
          }
#pragma unroll
          for (int c = 0; c < kTiles; ++c) {
            highest = fmaxf(highest, s[m][c][2 * half]);
            highest = fmaxf(highest, s[m][c][2 * half + 1]);
          }
          highest = quad_max(highest) * p.scale_log2;
        } else {
          const bool there = row < tile.rows;
          const int head = there ? tile.head_of(row) : tile.head, query = there ? tile.query_of(row) : tile.first;
          const ScoreRow<T> score(p, tile.batch, head, query);
          const Range range = range_of(p, n, query);
#pragma unroll
          for (int c = 0; c < kTiles; ++c)
#pragma unroll
            for (int e = 0; e < 2; ++e) {
              const int j = j0 + key0 + 8 * c + 2 * t + e;
              float& x = s[m][c][2 * half + e];
              float slope;
              x = there && range.holds(j) ? score(p, j, x, slope) : kNothing;
              highest = fmaxf(highest, x);
            }
          highest = quad_max(highest);
        }
        const float now = fmaxf(top[m][half], highest);
        base[m][half] = now == kNothing ? 0 : now;
        factor[m][half] = exp2_fast(top[m][half] - base[m][half]);
        moved = moved || now != top[m][half];
        top[m][half] = now;
      }
    }
    if (cuda::warp_any(moved)) {
#pragma unroll
      for (int m = 0; m < C::kM; ++m) {
        total[m][0] *= factor[m][0], total[m][1] *= factor[m][1];
#pragma unroll
        for (int c = 0; c < kColumns; ++c) {
          acc[m][c][0] *= factor[m][0], acc[m][c][1] *= factor[m][0];
          acc[m][c][2] *= factor[m][1], acc[m][c][3] *= factor[m][1];
        }
      }
    }
#pragma unroll
    for (int m = 0; m < C::kM; ++m) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int row = row0 + 16 * m + g + 8 * half;
        const float unit = base[m][half];
#pragma unroll
        for (int c = 0; c < kTiles; ++c) {
          float &x = s[m][c][2 * half], &y = s[m][c][2 * half + 1];
          x = exp2_fast(kPlain ? fmaf(x, p.scale_log2, -unit) : x - unit);
          y = exp2_fast(kPlain ? fmaf(y, p.scale_log2, -unit) : y - unit);
          total[m][half] += x;
          total[m][half] += y;
          if (!kPlain && kept.on) {
            const int last = min(row, tile.rows - 1);
            bool keep_x, keep_y;
            kept.pair(
                flat_row(p, tile.batch, tile.head_of(last), tile.query_of(last)) * p.keys + j0 + key0 + 8 * c + 2 * t,
                keep_x, keep_y);
            x = keep_x ? x * p.inverse_keep : 0;
            y = keep_y ? y * p.inverse_keep : 0;
          }
        }
      }
    }
#pragma unroll
    for (int c = 0; c < kTiles; c += 2) {
      uint32_t a[C::kM][4];
#pragma unroll
      for (int m = 0; m < C::kM; ++m) {
        a[m][0] = pack<T>(s[m][c][0], s[m][c][1]);
        a[m][1] = pack<T>(s[m][c][2], s[m][c][3]);
        a[m][2] = pack<T>(s[m][c + 1][0], s[m][c + 1][1]);
        a[m][3] = pack<T>(s[m][c + 1][2], s[m][c + 1][3]);
      }
#pragma unroll
      for (int column = 0; column < kColumns; column += 2) {
        uint32_t b[2][2];
        load_b_transposed<kStride>(b, vb, key0 + 8 * c, 8 * column);
#pragma unroll
        for (int m = 0; m < C::kM; ++m) {
          mma<T>(acc[m][column], a[m], b[0]);
          mma<T>(acc[m][column + 1], a[m], b[1]);
        }
      }
    }
  }
  cuda::cp_async_wait<0>();
#pragma unroll
  for (int m = 0; m < C::kM; ++m) {
    total[m][0] = cuda::warp_sum<4>(total[m][0]);
    total[m][1] = cuda::warp_sum<4>(total[m][1]);
  }

  if constexpr (C::kWarpsN > 1) {  // the first warp of each row of warps adds what the others have, in order
    __syncthreads();
    float* const sums = cuda::shared<float>();
    float* const tops = sums + (C::kWarpsN - 1) * C::kRows * C::kDim;
    float* const totals = tops + (C::kWarpsN - 1) * C::kRows;
#pragma unroll
    for (int m = 0; m < C::kM; ++m) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        if (warp_n == 0) continue;
        const int at = (warp_n - 1) * C::kRows + row0 + 16 * m + g + 8 * half;
        if (t == 0) tops[at] = top[m][half], totals[at] = total[m][half];
#pragma unroll
        for (int c = 0; c < kColumns; ++c)
          *reinterpret_cast<float2*>(sums + at * C::kDim + 8 * c + 2 * t) =
              make_float2(acc[m][c][2 * half], acc[m][c][2 * half + 1]);
      }
    }
    __syncthreads();
    if (warp_n == 0) {
#pragma unroll
      for (int m = 0; m < C::kM; ++m) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          const int row = row0 + 16 * m + g + 8 * half;
          for (int w = 0; w < C::kWarpsN - 1; ++w) {
            const int at = w * C::kRows + row;
            const float other = tops[at], now = fmaxf(top[m][half], other), unit = now == kNothing ? 0 : now;
            const float mine = exp2_fast(top[m][half] - unit), theirs = exp2_fast(other - unit);
            top[m][half] = now;
            total[m][half] = total[m][half] * mine + totals[at] * theirs;
#pragma unroll
            for (int c = 0; c < kColumns; ++c) {
              const float2 sum = *reinterpret_cast<const float2*>(sums + at * C::kDim + 8 * c + 2 * t);
              acc[m][c][2 * half] = acc[m][c][2 * half] * mine + sum.x * theirs;
              acc[m][c][2 * half + 1] = acc[m][c][2 * half + 1] * mine + sum.y * theirs;
            }
          }
        }
      }
    }
  }

  bool nothing = false;
#pragma unroll
  for (int m = 0; m < C::kM; ++m)
#pragma unroll
    for (int half = 0; half < 2; ++half)
      nothing = nothing || (warp_n == 0 && row0 + 16 * m + g + 8 * half < tile.rows && top[m][half] == kNothing &&
                            total[m][half] == 0);
  float* const mean = cuda::shared<float>();
  if (!out.sums && __syncthreads_or(nothing && n > 0) && !kept.on)
    mean_of_values<T, C::kThreads>(p, tile.batch, tile.kv, n, mean + C::kDim, mean);
  if (warp_n != 0) return;
#pragma unroll
  for (int m = 0; m < C::kM; ++m) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int row = row0 + 16 * m + g + 8 * half;
      if (row >= tile.rows) continue;
      const int head = tile.head_of(row), query = tile.query_of(row);
      const int64_t flat = flat_row(p, tile.batch, head, query);
      if (out.sums) {
        const int64_t at = tile.split * (static_cast<int64_t>(p.batch) * p.heads * p.queries) + flat;
        if (t == 0) out.tops[at] = top[m][half], out.totals[at] = total[m][half];
        float* const to = out.sums + at * p.value_dim;
#pragma unroll
        for (int c = 0; c < kColumns; ++c) {
          const int column = 8 * c + 2 * t;
          if (column < p.value_dim) to[column] = acc[m][c][2 * half];
          if (column + 1 < p.value_dim) to[column + 1] = acc[m][c][2 * half + 1];
        }
        continue;
      }
      const bool none = top[m][half] == kNothing && total[m][half] == 0;
      float divisor = total[m][half];
      if (!kPlain && none && kept.on) {
        for (int j = 0; j < n; ++j) {
          if (!kept(flat * p.keys + j)) continue;
          const T* const from = row_at<const T>(p.v, tile.batch, tile.kv, j);
#pragma unroll
          for (int c = 0; c < kColumns; ++c)
#pragma unroll
            for (int e = 0; e < 2; ++e)
              if (8 * c + 2 * t + e < p.value_dim) acc[m][c][2 * half + e] += to_float(from[8 * c + 2 * t + e]);
        }
        divisor = static_cast<float>(n) / p.inverse_keep;
      }
      const float by = n == 0 ? 0 : 1 / divisor;
      T* const y = row_at<T>(out.y, tile.batch, head, query);
#pragma unroll
      for (int c = 0; c < kColumns; ++c) {
        const int column = 8 * c + 2 * t;
        float a = acc[m][c][2 * half] * by, b = acc[m][c][2 * half + 1] * by;
        if (n == 0) a = b = 0;
        if (none && n > 0 && !kept.on) {
          if (column < p.value_dim) a = mean[column];
          if (column + 1 < p.value_dim) b = mean[column + 1];
        }
        if (out.pairs && column + 1 < p.value_dim) {
          *reinterpret_cast<uint32_t*>(y + column) = pack<T>(a, b);
        } else {
          if (column < p.value_dim) y[column] = from_float<T>(a);
          if (column + 1 < p.value_dim) y[column + 1] = from_float<T>(b);
        }
      }
      if (out.lse && t == 0) out.lse[flat] = none ? -INFINITY : top[m][half] * kLn2 + logf(total[m][half]);
    }
  }
}

}  // namespace maas::attention_cuda
