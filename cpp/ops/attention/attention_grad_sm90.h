#pragma once
// Gradients in bfloat16 and float16 on Hopper. One warp fetches by bulk tensor copies, two warpgroups multiply: each
// holds 64 keys (for dk and dv) or 64 queries (for dq) and walks the blocks of the other side. Weights and slopes stay
// in registers between products; the last products of a block run beside the first ones of the next.
#include "ops/attention/attention_grad_mma.h"
#include "ops/attention/attention_sm90.h"
#ifndef MAAS_CUDA_EMULATE

namespace maas::attention_cuda {

// kQ: queries of a block that keys are held against; kKeys: keys of a block that queries are held against. kOverlap:
// dk's and dv's last products run beside the next block's first ones, which takes registers for both.
template <int kDimP, int kQP, int kKeysP, bool kOverlapP>
struct Sm90GradConfig {
  static constexpr bool kOverlap = kOverlapP;
  static constexpr int kDim = kDimP, kQ = kQP, kKeys = kKeysP, kRows = 128, kThreads = 384, kStages = 3;
  static constexpr int kColumnBlocks = kDim / 64;
  static constexpr int kRowBytes = kRows * kDim * 2, kQBytes = kQ * kDim * 2, kKeyBytes = kKeys * kDim * 2;
  static constexpr size_t kKeysKernelBytes = 1024 + 2 * kRowBytes + 2 * kStages * kQBytes + kStages * kQ * 8 + 256;
  static constexpr size_t kQueriesKernelBytes = 1024 + 2 * kRowBytes + 2 * kStages * kKeyBytes + 256;
  static_assert(kKeysKernelBytes <= 227 * 1024 && kQueriesKernelBytes <= 227 * 1024);
};

struct Sm90GradBarriers {
  uint64_t rows, full[3], empty[3];
};

struct Sm90GradProblem {
  AttentionTensor first, second;  // dk and dv, or dq
  const float *lse, *delta;
  int heads, kv_heads, groups, queries, keys, head_dim, value_dim, window, blocks;
  bool causal, at_end;
  float scale, scale_log2;
  __device__ __forceinline__ Sm90Rows rows() const { return {at_end ? keys - queries : 0, keys, window, causal}; }
};

// fills: arrivals that make a stage full, beside its bytes.
__device__ __forceinline__ void init_barriers(Sm90GradBarriers& bar, int fills) {
  if (threadIdx.x == 0) {
    cuda::mbarrier_init(&bar.rows, 1);
    for (int s = 0; s < 3; ++s) {
      cuda::mbarrier_init(&bar.full[s], fills);
      cuda::mbarrier_init(&bar.empty[s], 8);  // a lane of each warp that multiplies
    }
    cuda::mbarrier_init_fence();
  }
  __syncthreads();
}

// d (+)= a b over kDim, both with 64 columns to a block: rows of a are kRows in all, those of b kOther.
template <class T, int kDim, int kRows, int kOther>
__device__ __forceinline__ void multiply_rows(float (&d)[kOther / 2], const unsigned char* a, const unsigned char* b) {
#pragma unroll
  for (int c = 0; c < kDim / 64; ++c) {
    const uint64_t x = cuda::k_major(a + c * kRows * 128), y = cuda::k_major(b + c * kOther * 128);
#pragma unroll
    for (int step = 0; step < 4; ++step)
      cuda::Wgmma<T, kOther>::template ss<false, false>(d, cuda::next_k<false>(x, step), cuda::next_k<false>(y, step),
                                                        c + step > 0);
  }
  cuda::wgmma_commit();
}
// d += a b, a in registers; rows of b are k.
template <class T, int kDim, int kOther>
__device__ __forceinline__ void add_rows(float (&d)[kDim / 2], const uint32_t (&a)[kOther / 16][4],
                                         const unsigned char* b) {
  const uint64_t y = cuda::mn_major(b, kOther * 128);
#pragma unroll
  for (int step = 0; step < kOther / 16; ++step)
    cuda::Wgmma<T, kDim>::template rs<true>(d, a[step], cuda::next_k<true>(y, step), 1);
  cuda::wgmma_commit();
}
template <class T, int kOther>
__device__ __forceinline__ void round_to(uint32_t (&a)[kOther / 16][4], const float (&s)[kOther / 2]) {
#pragma unroll
  for (int step = 0; step < kOther / 16; ++step)
#pragma unroll
    for (int i = 0; i < 4; ++i) a[step][i] = pack<T>(s[8 * step + 2 * i], s[8 * step + 2 * i + 1]);
}
// Sums of a warp's 16 rows, times `by`, through its rows of `out` (kRows to a block of 64 columns) to rows first ..
// below `rows` of a head.
template <class T, int kDim, int kRows>
__device__ __forceinline__ void store_sums(const float (&sums)[kDim / 2], float by, unsigned char* out,
                                           const AttentionTensor& to, int batch, int head, int first, int rows,
                                           int dim) {
  const int lane = cuda::lane(), g = lane / 4, t = lane % 4;
#pragma unroll
  for (int c = 0; c < kDim / 8; ++c)
#pragma unroll
    for (int half = 0; half < 2; ++half)
      *reinterpret_cast<uint32_t*>(out + c / 8 * kRows * 128 + cuda::swizzle_128(g + 8 * half, c % 8 * 16 + 4 * t)) =
          pack<T>(sums[4 * c + 2 * half] * by, sums[4 * c + 2 * half + 1] * by);
  __syncwarp();
  constexpr int kChunks = kDim / 8;
#pragma unroll
  for (int at = lane; at < 16 * kChunks; at += 32) {
    const int r = at / kChunks, c = at % kChunks;
    const uint4 x = *reinterpret_cast<const uint4*>(out + c / 8 * kRows * 128 + cuda::swizzle_128(r, c % 8 * 16));
    if (first + r < rows && 8 * c < dim) *reinterpret_cast<uint4*>(row_at<T>(to, batch, head, first + r) + 8 * c) = x;
  }
}

template <class T, class C>
__global__ void __launch_bounds__(C::kThreads, 1)
    attention_dkdv_sm90_kernel(const __grid_constant__ CUtensorMap map_k, const __grid_constant__ CUtensorMap map_v,
                               const __grid_constant__ CUtensorMap map_q, const __grid_constant__ CUtensorMap map_dy,
                               const __grid_constant__ Sm90GradProblem p) {
  unsigned char* const k = cuda::align_1024(cuda::shared<unsigned char>());
  unsigned char *const v = k + C::kRowBytes, *const q = v + C::kRowBytes, *const dy = q + C::kStages * C::kQBytes;
  float* const statistics = reinterpret_cast<float*>(dy + C::kStages * C::kQBytes);  // lse log2(e) and delta by stage
  Sm90GradBarriers& bar = *reinterpret_cast<Sm90GradBarriers*>(statistics + C::kStages * C::kQ * 2);
  const int j0 = static_cast<int>(blockIdx.x % p.blocks) * C::kRows;
  const int kv = static_cast<int>(blockIdx.x / p.blocks % p.kv_heads),
            batch = static_cast<int>(blockIdx.x / p.blocks / p.kv_heads);
  const Sm90Rows rows = p.rows();
  // Rows that see keys of this block.
  int first = 0, last = p.queries;
  if (p.causal) first = max(first, j0 - rows.shift);
  if (p.window) {
    first = max(first, j0 - p.window + 1 - rows.shift);
    last = min(last, min(j0 + C::kRows, p.keys) - 1 + p.window - rows.shift);
  }
  const int first_block = first / C::kQ, end_block = first < last ? (last + C::kQ - 1) / C::kQ : first_block;
  init_barriers(bar, 2);

  if (threadIdx.x < 128) {
    cuda::fewer_registers<24>();
    const int lane = static_cast<int>(threadIdx.x);
    if (lane < 32) {
      if (lane == 0) {
        cuda::mbarrier_expect(&bar.rows, 2 * C::kRowBytes);
        for (int c = 0; c < C::kColumnBlocks; ++c) {
          cuda::tma_load(k + c * C::kRows * 128, map_k, &bar.rows, 64 * c, j0, kv, batch);
          cuda::tma_load(v + c * C::kRows * 128, map_v, &bar.rows, 64 * c, j0, kv, batch);
        }
      }
      int n = 0;
      for (int h = kv * p.groups; h < (kv + 1) * p.groups; ++h) {
        const int64_t row = (static_cast<int64_t>(batch) * p.heads + h) * p.queries;
        for (int block = first_block; block < end_block; ++block, ++n) {
          const int stage = n % C::kStages, i0 = block * C::kQ;
          constexpr int kEach = (C::kQ + 31) / 32;
          float lse[kEach], delta[kEach];  // on their way while the stage is waited for
#pragma unroll
          for (int e = 0; e < kEach; ++e) {
            const bool there = lane + 32 * e < C::kQ && i0 + lane + 32 * e < p.queries;
            lse[e] = there ? p.lse[row + i0 + lane + 32 * e] : INFINITY;  // then weights are 0
            delta[e] = there ? p.delta[row + i0 + lane + 32 * e] : 0;
          }
          cuda::mbarrier_wait(&bar.empty[stage], ((n / C::kStages) & 1) ^ 1);
          if (lane == 0) {
            cuda::mbarrier_expect(&bar.full[stage], 2 * C::kQBytes);
            for (int c = 0; c < C::kColumnBlocks; ++c) {
              const int at = stage * C::kQBytes + c * C::kQ * 128;
              cuda::tma_load(q + at, map_q, &bar.full[stage], 64 * c, i0, h, batch);
              cuda::tma_load(dy + at, map_dy, &bar.full[stage], 64 * c, i0, h, batch);
            }
          }
#pragma unroll
          for (int e = 0; e < kEach; ++e) {
            if (lane + 32 * e >= C::kQ) continue;
            statistics[stage * 2 * C::kQ + lane + 32 * e] = lse[e] * kLog2e;
            statistics[stage * 2 * C::kQ + C::kQ + lane + 32 * e] = delta[e];
          }
          __syncwarp();
          if (lane == 0) cuda::mbarrier_arrive(&bar.full[stage]);
        }
      }
    }
  } else {
    cuda::more_registers<240>();
    const int mine = static_cast<int>(threadIdx.x) / 128 - 1, warp = static_cast<int>(threadIdx.x) % 128 / 32;
    const int lane = static_cast<int>(threadIdx.x) % 32, g = lane / 4, t = lane % 4;
    const int key0 = j0 + 64 * mine + 16 * warp + g;  // this thread's keys: key0, key0 + 8
    constexpr int kHalf = C::kQ / 2;
    float s[kHalf], dp[kHalf], dk[C::kDim / 2], dv[C::kDim / 2];
    uint32_t weights[C::kQ / 16][4], slopes[C::kQ / 16][4];
#pragma unroll
    for (int i = 0; i < C::kDim / 2; ++i) dk[i] = dv[i] = 0;
    cuda::mbarrier_wait(&bar.rows, 0);
    const unsigned char *const my_k = k + mine * 64 * 128, *const my_v = v + mine * 64 * 128;

    const auto take_block = [&](auto masked, int n, int block) {
      const int stage = n % C::kStages, i0 = block * C::kQ;
      cuda::mbarrier_wait(&bar.full[stage], (n / C::kStages) & 1);
      const unsigned char *const qb = q + stage * C::kQBytes, *const dyb = dy + stage * C::kQBytes;
      const float* const lse = statistics + stage * 2 * C::kQ + 2 * t;
      cuda::wgmma_fence();
      multiply_rows<T, C::kDim, C::kRows, C::kQ>(s, my_k, qb);
      multiply_rows<T, C::kDim, C::kRows, C::kQ>(dp, my_v, dyb);
      if constexpr (C::kOverlap) {
        cuda::wgmma_wait<2>();  // the block before is done with
        cuda::keep(dk);
        cuda::keep(dv);
        if (lane == 0 && n > 0) cuda::mbarrier_arrive(&bar.empty[(n - 1) % C::kStages]);
      }
      cuda::wgmma_wait<1>();
      cuda::keep(s);
#pragma unroll
      for (int c = 0; c < C::kQ / 8; ++c) {
        const float2 unit = *reinterpret_cast<const float2*>(lse + 8 * c);
#pragma unroll
        for (int e = 0; e < 2; ++e) {
          int least = 0, most = 0;
          if constexpr (decltype(masked)::value) {
            const int i = i0 + 8 * c + 2 * t + e;
            least = rows.first(i), most = rows.last(i);
          }
#pragma unroll
          for (int half = 0; half < 2; ++half) {
            float& x = s[4 * c + 2 * half + e];
            x = exp2_fast(fmaf(x, p.scale_log2, -(e ? unit.y : unit.x)));
            if constexpr (decltype(masked)::value) {
              const int j = key0 + 8 * half;
              if (j < least || j >= most) x = 0;
            }
          }
        }
      }
      round_to<T, C::kQ>(weights, s);
      cuda::wgmma_fence();
      add_rows<T, C::kDim, C::kQ>(dv, weights, dyb);
      cuda::wgmma_wait<1>();
      cuda::keep(dp);
#pragma unroll
      for (int c = 0; c < C::kQ / 8; ++c) {
        const float2 delta = *reinterpret_cast<const float2*>(lse + C::kQ + 8 * c);
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          dp[4 * c + 2 * half] = s[4 * c + 2 * half] * (dp[4 * c + 2 * half] - delta.x);
          dp[4 * c + 2 * half + 1] = s[4 * c + 2 * half + 1] * (dp[4 * c + 2 * half + 1] - delta.y);
        }
      }
      round_to<T, C::kQ>(slopes, dp);
      cuda::wgmma_fence();
      add_rows<T, C::kDim, C::kQ>(dk, slopes, qb);
      if constexpr (!C::kOverlap) {
        cuda::wgmma_wait<0>();
        cuda::keep(dk);
        cuda::keep(dv);
        if (lane == 0) cuda::mbarrier_arrive(&bar.empty[stage]);
      }
    };
    // Blocks whose rows all see all keys of this block have a loop of their own, without comparisons.
    int open_begin = first_block, open_end = end_block;
    const int shift = rows.shift;
    if (p.causal) open_begin = max(open_begin, (j0 + C::kRows - 1 - shift + C::kQ - 1) / C::kQ);
    if (p.window) {
      open_begin = max(open_begin, (max(0, j0 + C::kRows - p.window - shift) + C::kQ - 1) / C::kQ);
      open_end = min(open_end, max(0, j0 + p.window - shift) / C::kQ);
    }
    const std::true_type masked;
    const std::false_type open;
    int n = 0;
    for (int h = 0; h < p.groups; ++h) {
      int block = first_block;
      for (; block < min(open_begin, end_block); ++block) take_block(masked, n++, block);
      for (; block < open_end; ++block) take_block(open, n++, block);
      for (; block < end_block; ++block) take_block(masked, n++, block);
    }
    cuda::wgmma_wait<0>();
    cuda::keep(dk);
    cuda::keep(dv);
    const int row = 64 * mine + 16 * warp;
    store_sums<T, C::kDim, C::kRows>(dk, p.scale, k + row * 128, p.first, batch, kv, j0 + row, p.keys, p.head_dim);
    store_sums<T, C::kDim, C::kRows>(dv, 1, v + row * 128, p.second, batch, kv, j0 + row, p.keys, p.value_dim);
  }
}

template <class T, class C>
__global__ void __launch_bounds__(C::kThreads, 1)
    attention_dq_sm90_kernel(const __grid_constant__ CUtensorMap map_q, const __grid_constant__ CUtensorMap map_dy,
                             const __grid_constant__ CUtensorMap map_k, const __grid_constant__ CUtensorMap map_v,
                             const __grid_constant__ Sm90GradProblem p) {
  unsigned char* const q = cuda::align_1024(cuda::shared<unsigned char>());
  unsigned char *const dy = q + C::kRowBytes, *const k = dy + C::kRowBytes, *const v = k + C::kStages * C::kKeyBytes;
  Sm90GradBarriers& bar = *reinterpret_cast<Sm90GradBarriers*>(v + C::kStages * C::kKeyBytes);
  const int i0 = (p.blocks - 1 - static_cast<int>(blockIdx.x % p.blocks)) * C::kRows;
  const int head = static_cast<int>(blockIdx.x / p.blocks % p.heads),
            batch = static_cast<int>(blockIdx.x / p.blocks / p.heads);
  const Sm90Rows rows = p.rows();
  const int i1 = min(i0 + C::kRows, p.queries) - 1;
  const int first_block = rows.first(i0) / C::kKeys, end_block = (rows.last(i1) + C::kKeys - 1) / C::kKeys;
  init_barriers(bar, 1);

  if (threadIdx.x < 128) {
    cuda::fewer_registers<24>();
    if (threadIdx.x == 0) {
      const int kv = head / p.groups;
      cuda::mbarrier_expect(&bar.rows, 2 * C::kRowBytes);
      for (int c = 0; c < C::kColumnBlocks; ++c) {
        cuda::tma_load(q + c * C::kRows * 128, map_q, &bar.rows, 64 * c, i0, head, batch);
        cuda::tma_load(dy + c * C::kRows * 128, map_dy, &bar.rows, 64 * c, i0, head, batch);
      }
      for (int block = first_block, n = 0; block < end_block; ++block, ++n) {
        const int stage = n % C::kStages;
        cuda::mbarrier_wait(&bar.empty[stage], ((n / C::kStages) & 1) ^ 1);
        cuda::mbarrier_expect(&bar.full[stage], 2 * C::kKeyBytes);
        for (int c = 0; c < C::kColumnBlocks; ++c) {
          const int at = stage * C::kKeyBytes + c * C::kKeys * 128;
          cuda::tma_load(k + at, map_k, &bar.full[stage], 64 * c, block * C::kKeys, kv, batch);
          cuda::tma_load(v + at, map_v, &bar.full[stage], 64 * c, block * C::kKeys, kv, batch);
        }
      }
    }
  } else {
    cuda::more_registers<240>();
    const int mine = static_cast<int>(threadIdx.x) / 128 - 1, warp = static_cast<int>(threadIdx.x) % 128 / 32;
    const int lane = static_cast<int>(threadIdx.x) % 32, g = lane / 4, t = lane % 4;
    const int row0 = i0 + 64 * mine + 16 * warp + g;  // this thread's rows: row0, row0 + 8
    constexpr int kHalf = C::kKeys / 2;
    float s[kHalf], dp[kHalf], dq[C::kDim / 2], unit[2], delta[2];
    uint32_t slopes[C::kKeys / 16][4];
#pragma unroll
    for (int i = 0; i < C::kDim / 2; ++i) dq[i] = 0;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int64_t flat =
          (static_cast<int64_t>(batch) * p.heads + head) * p.queries + min(row0 + 8 * half, p.queries - 1);
      unit[half] = p.lse[flat] * kLog2e, delta[half] = p.delta[flat];
    }
    cuda::mbarrier_wait(&bar.rows, 0);
    const unsigned char *const my_q = q + mine * 64 * 128, *const my_dy = dy + mine * 64 * 128;

    const auto take_block = [&](auto masked, int n, int block) {
      const int stage = n % C::kStages, j0 = block * C::kKeys;
      cuda::mbarrier_wait(&bar.full[stage], (n / C::kStages) & 1);
      const unsigned char *const kb = k + stage * C::kKeyBytes, *const vb = v + stage * C::kKeyBytes;
      cuda::wgmma_fence();
      multiply_rows<T, C::kDim, C::kRows, C::kKeys>(s, my_q, kb);
      multiply_rows<T, C::kDim, C::kRows, C::kKeys>(dp, my_dy, vb);
      cuda::wgmma_wait<2>();  // the block before is done with
      cuda::keep(dq);
      if (lane == 0 && n > 0) cuda::mbarrier_arrive(&bar.empty[(n - 1) % C::kStages]);
      cuda::wgmma_wait<1>();
      cuda::keep(s);
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        int least = 0, most = 0;
        if constexpr (decltype(masked)::value) {
          least = rows.first(row0 + 8 * half) - j0 - 2 * t;
          most = rows.last(row0 + 8 * half) - j0 - 2 * t;
        }
#pragma unroll
        for (int c = 0; c < C::kKeys / 8; ++c)
#pragma unroll
          for (int e = 0; e < 2; ++e) {
            float& x = s[4 * c + 2 * half + e];
            x = exp2_fast(fmaf(x, p.scale_log2, -unit[half]));
            if constexpr (decltype(masked)::value)
              if (8 * c + e < least || 8 * c + e >= most) x = 0;
          }
      }
      cuda::wgmma_wait<0>();
      cuda::keep(dp);
#pragma unroll
      for (int c = 0; c < C::kKeys / 8; ++c)
#pragma unroll
        for (int i = 0; i < 4; ++i) dp[4 * c + i] = s[4 * c + i] * (dp[4 * c + i] - delta[i / 2]);
      round_to<T, C::kKeys>(slopes, dp);
      cuda::wgmma_fence();
      add_rows<T, C::kDim, C::kKeys>(dq, slopes, kb);
    };
    const int open_begin = (rows.first(i1) + C::kKeys - 1) / C::kKeys, open_end = rows.last(i0) / C::kKeys;
    const std::true_type masked;
    const std::false_type open;
    int n = 0, block = first_block;
    for (; block < min(open_begin, end_block); ++block) take_block(masked, n++, block);
    for (; block < open_end; ++block) take_block(open, n++, block);
    for (; block < end_block; ++block) take_block(masked, n++, block);
    cuda::wgmma_wait<0>();
    cuda::keep(dq);
    const int row = 64 * mine + 16 * warp;
    store_sums<T, C::kDim, C::kRows>(dq, p.scale, q + row * 128, p.first, batch, head, i0 + row, p.queries, p.head_dim);
  }
}

inline Sm90GradProblem sm90_problem_of(const AttentionGradArgs& a) {
  const AttentionShape& s = a.s;
  Sm90GradProblem p{};
  p.lse = static_cast<const float*>(a.lse), p.delta = static_cast<const float*>(a.delta);
  p.heads = static_cast<int>(s.heads), p.kv_heads = static_cast<int>(s.kv_heads);
  p.groups = static_cast<int>(s.groups());
  p.queries = static_cast<int>(s.queries), p.keys = static_cast<int>(s.keys);
  p.head_dim = static_cast<int>(s.head_dim), p.value_dim = static_cast<int>(s.value_dim);
  p.window = static_cast<int>(s.window), p.causal = s.causal, p.at_end = s.at_end;
  p.scale = static_cast<float>(s.scale), p.scale_log2 = static_cast<float>(s.scale * 1.4426950408889634);
  return p;
}

template <class T, class C>
void run_dkdv_sm90(const AttentionGradArgs& a, const Launch& l) {
  const AttentionShape& s = a.s;
  Sm90GradProblem p = sm90_problem_of(a);
  p.first = a.dk, p.second = a.dv, p.blocks = static_cast<int>((s.keys + C::kRows - 1) / C::kRows);
  cuda::launch(l, attention_dkdv_sm90_kernel<T, C>, dim3(static_cast<unsigned>(p.blocks * s.kv_heads * s.batch)),
               dim3(C::kThreads), C::kKeysKernelBytes,
               sm90_map<T>(a.k, s.batch, s.kv_heads, s.keys, s.head_dim, C::kRows),
               sm90_map<T>(a.v, s.batch, s.kv_heads, s.keys, s.value_dim, C::kRows),
               sm90_map<T>(a.q, s.batch, s.heads, s.queries, s.head_dim, C::kQ),
               sm90_map<T>(a.dy, s.batch, s.heads, s.queries, s.value_dim, C::kQ), p);
}

template <class T, class C>
void run_dq_sm90(const AttentionGradArgs& a, const Launch& l) {
  const AttentionShape& s = a.s;
  Sm90GradProblem p = sm90_problem_of(a);
  p.first = a.dq, p.blocks = static_cast<int>((s.queries + C::kRows - 1) / C::kRows);
  cuda::launch(l, attention_dq_sm90_kernel<T, C>, dim3(static_cast<unsigned>(p.blocks * s.heads * s.batch)),
               dim3(C::kThreads), C::kQueriesKernelBytes,
               sm90_map<T>(a.q, s.batch, s.heads, s.queries, s.head_dim, C::kRows),
               sm90_map<T>(a.dy, s.batch, s.heads, s.queries, s.value_dim, C::kRows),
               sm90_map<T>(a.k, s.batch, s.kv_heads, s.keys, s.head_dim, C::kKeys),
               sm90_map<T>(a.v, s.batch, s.kv_heads, s.keys, s.value_dim, C::kKeys), p);
}

template <class T, class C>
void run_grad_sm90(const AttentionGradArgs& a, const Launch& l) {
  run_dkdv_sm90<T, C>(a, l);
  run_dq_sm90<T, C>(a, l);
}

}  // namespace maas::attention_cuda
#endif
