#pragma once
// float32 on the ordinary units: tiles of 8 kR rows by 64 or 32 keys, 128 threads as 8 x 16. Thread (ty, tx) has rows
// kR ty .. and keys tx, tx + 16 ..; of sums, columns 4 tx .. of every 64. Every sum is one fma chain, so the bits of a
// row do not depend on kR.
#include "ops/attention/attention_cuda.h"

namespace maas::attention_cuda {

inline constexpr int kF32Threads = 128;

// acc[r][c] = a[kR ty + r] . b[tx + 16 c] over kDim; row strides kDim + 4, so that 8 lanes meet 8 groups of banks.
template <int kR, int kC, int kDim>
__device__ __forceinline__ void dots(const float* a, const float* b, float (&acc)[kR][kC]) {
  constexpr int kStride = kDim + 4;
  const int tx = static_cast<int>(threadIdx.x) % 16, ty = static_cast<int>(threadIdx.x) / 16;
  a += kR * ty * kStride;
  b += tx * kStride;
#pragma unroll
  for (int r = 0; r < kR; ++r)
#pragma unroll
    for (int c = 0; c < kC; ++c) acc[r][c] = 0;
#pragma unroll 4
  for (int k = 0; k < kDim; k += 4) {
    float4 y[kC];
#pragma unroll
    for (int c = 0; c < kC; ++c) y[c] = *reinterpret_cast<const float4*>(b + 16 * c * kStride + k);
#pragma unroll
    for (int r = 0; r < kR; ++r) {
      const float4 x = *reinterpret_cast<const float4*>(a + r * kStride + k);
#pragma unroll
      for (int c = 0; c < kC; ++c) {
        acc[r][c] = fmaf(x.x, y[c].x, acc[r][c]);
        acc[r][c] = fmaf(x.y, y[c].y, acc[r][c]);
        acc[r][c] = fmaf(x.z, y[c].z, acc[r][c]);
        acc[r][c] = fmaf(x.w, y[c].w, acc[r][c]);
      }
    }
  }
}

// Columns of sums: kDim 32 leaves half of the lanes with two.
template <int kDim>
inline constexpr int kWide = kDim >= 64 ? 4 : kDim / 16;
template <int kDim>
inline constexpr int kParts = kDim >= 64 ? kDim / 64 : 1;
template <int kDim>
inline constexpr int kSums = kWide<kDim> * kParts<kDim>;
template <int kDim>
__device__ __forceinline__ int column_of(int i) {  // of sum i of this thread
  return i / kWide<kDim> * 64 + static_cast<int>(threadIdx.x) % 16 * kWide<kDim> + i % kWide<kDim>;
}

// acc[r][i] += sum_j w[kR ty + r][j] x[j][column i] over kKeys; row strides kKeys + 4 and kDim + 4.
template <int kR, int kKeys, int kDim>
__device__ __forceinline__ void add_weighted(const float* w, const float* x, float (&acc)[kR][kSums<kDim>]) {
  constexpr int kStride = kDim + 4, kW = kWide<kDim>;
  const int tx = static_cast<int>(threadIdx.x) % 16, ty = static_cast<int>(threadIdx.x) / 16;
  w += kR * ty * (kKeys + 4);
  x += kW * tx;
#pragma unroll 2
  for (int j = 0; j < kKeys; j += 4) {
    float4 p[kR];
#pragma unroll
    for (int r = 0; r < kR; ++r) p[r] = *reinterpret_cast<const float4*>(w + r * (kKeys + 4) + j);
#pragma unroll
    for (int part = 0; part < kParts<kDim>; ++part) {
#pragma unroll
      for (int u = 0; u < 4; ++u) {
        float y[kW];
        const float* from = x + (j + u) * kStride + 64 * part;
        if constexpr (kW == 4) {
          const float4 v = *reinterpret_cast<const float4*>(from);
          y[0] = v.x, y[1] = v.y, y[2] = v.z, y[3] = v.w;
        } else {
          const float2 v = *reinterpret_cast<const float2*>(from);
          y[0] = v.x, y[1] = v.y;
        }
#pragma unroll
        for (int r = 0; r < kR; ++r) {
          const float weight = u == 0 ? p[r].x : u == 1 ? p[r].y : u == 2 ? p[r].z : p[r].w;
#pragma unroll
          for (int i = 0; i < kW; ++i) acc[r][part * kW + i] = fmaf(weight, y[i], acc[r][part * kW + i]);
        }
      }
    }
  }
}

template <int kDim>
inline constexpr int kF32Keys = kDim <= 64 ? 64 : 32;

template <int kDim, int kR>
struct F32Layout {
  static constexpr int kKeys = kF32Keys<kDim>, kRows = 8 * kR, kStride = kDim + 4;
  static constexpr int k = kRows * kStride, v = k + kKeys * kStride, p = v + kKeys * kStride,
                       floats = p + kRows * (kKeys + 4);
};

template <int kDim, int kR>
__global__ void __launch_bounds__(kF32Threads)
    attention_f32_kernel(Problem p, Output out, Tiling tiling, bool vectors, cuda::Reporter report) {
  using Layout = F32Layout<kDim, kR>;
  constexpr int kKeys = Layout::kKeys, kRows = Layout::kRows, kStride = Layout::kStride, kC = kKeys / 16;
  float* const q = cuda::shared<float>();
  float *const k = q + Layout::k, *const v = q + Layout::v, *const weights = q + Layout::p;
  const int tx = static_cast<int>(threadIdx.x) % 16, ty = static_cast<int>(threadIdx.x) / 16;
  const Tile tile = tiling.tile(p, blockIdx.x);
  if (tile.first == 0 && tile.split == 0) check_length(p, tile.batch, report);
  const int n = length_of(p, tile.batch);
  Range keys{range_of(p, n, tile.first).first, range_of(p, n, tile.first + tile.span - 1).last};
  if (tiling.splits > 1) {
    keys.first = max(keys.first, tile.split * tiling.chunk);
    keys.last = min(keys.last, (tile.split + 1) * tiling.chunk);
  }
  keys.first = keys.first / kKeys * kKeys;

  const auto load_k = [&](int j0) {
    load_rows<float, kKeys, kDim, kStride, kF32Threads>(k, p.head_dim, vectors, p.k.data, [&](int r) {
      return j0 + r < n ? row_at<const float>(p.k, tile.batch, tile.kv, j0 + r) : nullptr;
    });
    cuda::cp_async_commit();
  };
  const auto load_v = [&](int j0) {
    load_rows<float, kKeys, kDim, kStride, kF32Threads>(v, p.value_dim, vectors, p.v.data, [&](int r) {
      return j0 + r < n ? row_at<const float>(p.v, tile.batch, tile.kv, j0 + r) : nullptr;
    });
    cuda::cp_async_commit();
  };
  load_rows<float, kRows, kDim, kStride, kF32Threads>(q, p.head_dim, vectors, p.q.data, [&](int r) {
    return r < tile.rows ? row_at<const float>(p.q, tile.batch, tile.head_of(r), tile.query_of(r)) : nullptr;
  });
  if (keys.first < keys.last) load_k(keys.first);

  const Kept kept(p);
  float acc[kR][kSums<kDim>], top[kR], total[kR];
#pragma unroll
  for (int r = 0; r < kR; ++r) {
    top[r] = kNothing, total[r] = 0;
#pragma unroll
    for (int i = 0; i < kSums<kDim>; ++i) acc[r][i] = 0;
  }
  for (int j0 = keys.first; j0 < keys.last; j0 += kKeys) {
    load_v(j0);
    cuda::cp_async_wait<1>();
    __syncthreads();
    float s[kR][kC];
    dots<kR, kC, kDim>(q, k, s);
    __syncthreads();
    if (j0 + kKeys < keys.last) load_k(j0 + kKeys);
#pragma unroll
    for (int r = 0; r < kR; ++r) {
      const int row = kR * ty + r;
      const bool there = row < tile.rows;
      const int head = there ? tile.head_of(row) : tile.head, query = there ? tile.query_of(row) : tile.first;
      const ScoreRow<float> score(p, tile.batch, head, query);
      const Range range = range_of(p, n, query);
      float highest = kNothing;
#pragma unroll
      for (int c = 0; c < kC; ++c) {
        const int j = j0 + tx + 16 * c;
        float slope;
        s[r][c] = there && range.holds(j) ? score(p, j, s[r][c], slope) : kNothing;
        highest = fmaxf(highest, s[r][c]);
      }
      highest = cuda::warp_reduce<16>(highest, [](float a, float b) { return fmaxf(a, b); });
      const float now = fmaxf(top[r], highest), base = now == kNothing ? 0 : now;
      const float factor = exp2_fast(top[r] - base);
      top[r] = now;
      total[r] *= factor;
      if (factor != 1) {
#pragma unroll
        for (int i = 0; i < kSums<kDim>; ++i) acc[r][i] *= factor;
      }
#pragma unroll
      for (int c = 0; c < kC; ++c) {
        float w = exp2_fast(s[r][c] - base);
        total[r] += w;
        if (kept.on)
          w = kept(flat_row(p, tile.batch, head, query) * p.keys + j0 + tx + 16 * c) ? w * p.inverse_keep : 0;
        weights[row * (kKeys + 4) + tx + 16 * c] = w;
      }
    }
    if (j0 + kKeys < keys.last)
      cuda::cp_async_wait<1>();
    else
      cuda::cp_async_wait<0>();
    __syncthreads();
    add_weighted<kR, kKeys, kDim>(weights, v, acc);
    __syncthreads();
  }
  cuda::cp_async_wait<0>();

  bool nothing = false;
#pragma unroll
  for (int r = 0; r < kR; ++r) {
    total[r] = cuda::warp_sum<16>(total[r]);
    nothing = nothing || (kR * ty + r < tile.rows && top[r] == kNothing && total[r] == 0);
  }
  float* const mean = k;
  if (!out.sums && __syncthreads_or(nothing && n > 0) && !kept.on)
    mean_of_values<float, kF32Threads>(p, tile.batch, tile.kv, n, k + kDim, mean);
#pragma unroll
  for (int r = 0; r < kR; ++r) {
    const int row = kR * ty + r;
    if (row >= tile.rows) continue;
    const int head = tile.head_of(row), query = tile.query_of(row);
    const int64_t flat = flat_row(p, tile.batch, head, query);
    if (out.sums) {
      const int64_t at = tile.split * (static_cast<int64_t>(p.batch) * p.heads * p.queries) + flat;
      if (tx == 0) out.tops[at] = top[r], out.totals[at] = total[r];
#pragma unroll
      for (int i = 0; i < kSums<kDim>; ++i)
        if (column_of<kDim>(i) < p.value_dim) out.sums[at * p.value_dim + column_of<kDim>(i)] = acc[r][i];
      continue;
    }
    const bool none = top[r] == kNothing && total[r] == 0;
    float divisor = total[r];
    if (none && kept.on) {
      for (int j = 0; j < n; ++j) {
        if (!kept(flat * p.keys + j)) continue;
#pragma unroll
        for (int i = 0; i < kSums<kDim>; ++i)
          if (column_of<kDim>(i) < p.value_dim)
            acc[r][i] += row_at<const float>(p.v, tile.batch, tile.kv, j)[column_of<kDim>(i)];
      }
      divisor = static_cast<float>(n) / p.inverse_keep;
    }
    float* const y = row_at<float>(out.y, tile.batch, head, query);
#pragma unroll
    for (int i = 0; i < kSums<kDim>; ++i) {
      const int c = column_of<kDim>(i);
      if (c < p.value_dim) y[c] = none && n > 0 && !kept.on ? mean[c] : n == 0 ? 0 : acc[r][i] / divisor;
    }
    if (out.lse && tx == 0) out.lse[flat] = none ? -INFINITY : top[r] * kLn2 + logf(total[r]);
  }
}

}  // namespace maas::attention_cuda
