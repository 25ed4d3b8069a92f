#pragma once
// bfloat16 and float16 on Hopper: one warp fetches tiles by bulk tensor copies, kConsumers warpgroups of 64 rows each
// multiply by wgmma. Weights stay in registers between the two products. A warpgroup's softmax runs beside its own
// product with values of the block before, and beside the products of the other warpgroups, which take turns.
// Shah et al., 2024, "FlashAttention-3", arXiv:2407.08608.
#include "ops/attention/attention_launch.h"
#include "ops/attention/attention_mma.h"
#ifndef MAAS_CUDA_EMULATE
#include "cuda/tma.h"
#include "cuda/wgmma.h"

namespace maas::attention_cuda {

template <int kDimP, int kKeysP, int kConsumersP>
struct Sm90Config {
  static constexpr int kDim = kDimP, kKeys = kKeysP, kConsumers = kConsumersP, kStages = 2;
  static constexpr int kRows = 64 * kConsumers, kThreads = 128 * (kConsumers + 1);
  static constexpr int kColumnBlocks = kDim / 64;  // of 128 bytes
  static constexpr int kQBytes = kRows * kDim * 2, kBlockBytes = kKeys * kDim * 2;
  static constexpr int kQStages = kDim <= 128 ? 2 : 1;  // the next tile's queries come while this one ends
  static constexpr size_t kBytes = 1024 + kQStages * kQBytes + 2 * kStages * kBlockBytes + 256;
  // Registers of 64 K: what the fetching warpgroup leaves goes to the others.
  static constexpr int kFetching = kConsumers == 3 ? 32 : 24, kMultiplying = kConsumers == 3 ? 160 : 240;
  static_assert(kBytes <= 227 * 1024 && kKeys % 16 == 0 && kKeys * 128 % 1024 == 0);
};

struct Sm90Barriers {
  uint64_t q_full[2], q_empty[2], k_full[2], v_full[2], k_empty[2], v_empty[2];
};

struct Sm90Problem {
  AttentionTensor y;
  float* lse;
  int heads, groups, queries, keys, value_dim, window;
  int q_blocks, all_heads, near_heads, tiles;
  bool causal, at_end;
  float scale, scale_log2;
  uint32_t zero;  // 0, which the compiler does not know
};

// The tiles of a block of threads, one after the other. near_heads heads are at work at a time, so that their keys and
// values stay in L2; of those the last rows come first, which see most keys when causal. Every second turn goes the
// other way round, so that nobody always gets the larger tiles.
struct Sm90Tile {
  int first, head, batch;
};
__device__ __forceinline__ bool next_tile(const Sm90Problem& p, int rows, int& turn, Sm90Tile& tile) {
  const int grid = static_cast<int>(gridDim.x), me = static_cast<int>(blockIdx.x);
  for (; turn * grid < p.tiles; ++turn) {
    const int at = turn * grid + (turn & 1 ? grid - 1 - me : me);
    if (at >= p.tiles) continue;
    ++turn;
    const int part = at / (p.near_heads * p.q_blocks), in_part = at - part * p.near_heads * p.q_blocks;
    const int near = min(p.near_heads, p.all_heads - part * p.near_heads);
    const int block = in_part / near, head = part * p.near_heads + in_part - block * near;
    tile = {(p.q_blocks - 1 - block) * rows, head % p.heads, head / p.heads};
    return true;
  }
  return false;
}

// Keys that rows [first, last] may see; the rows' positions start at `shift`.
struct Sm90Rows {
  int shift, keys, window;
  bool causal;
  __device__ __forceinline__ int first(int i) const { return window ? max(0, i + shift - window + 1) : 0; }
  __device__ __forceinline__ int last(int i) const {
    int last = keys;
    if (causal) last = min(last, i + shift + 1);
    if (window) last = min(last, i + shift + window);
    return last;
  }
};

__device__ __forceinline__ float max_of(float a, float b) { return fmaxf(a, b); }

template <class T, class C>
__global__ void __launch_bounds__(C::kThreads, 1)
    attention_sm90_kernel(const __grid_constant__ CUtensorMap map_q, const __grid_constant__ CUtensorMap map_k,
                          const __grid_constant__ CUtensorMap map_v, const __grid_constant__ Sm90Problem p) {
  unsigned char* const shared = cuda::align_1024(cuda::shared<unsigned char>());
  unsigned char *const queries = shared, *const k = queries + C::kQStages * C::kQBytes,
                       *const v = k + C::kStages * C::kBlockBytes;
  Sm90Barriers& bar = *reinterpret_cast<Sm90Barriers*>(v + C::kStages * C::kBlockBytes);
  const int group = static_cast<int>(threadIdx.x) / 128;
  const Sm90Rows rows{p.at_end ? p.keys - p.queries : 0, p.keys, p.window, p.causal};

  if (threadIdx.x == 0) {
    for (int s = 0; s < 2; ++s) {
      cuda::mbarrier_init(&bar.q_full[s], 1);
      cuda::mbarrier_init(&bar.k_full[s], 1);
      cuda::mbarrier_init(&bar.v_full[s], 1);
      cuda::mbarrier_init(&bar.q_empty[s], 4 * C::kConsumers);  // a lane of each warp
      cuda::mbarrier_init(&bar.k_empty[s], 4 * C::kConsumers);
      cuda::mbarrier_init(&bar.v_empty[s], 4 * C::kConsumers);
    }
    cuda::mbarrier_init_fence();
  }
  __syncthreads();

  if (group == 0) {
    cuda::fewer_registers<C::kFetching>();
    if (threadIdx.x == 0) {
      Sm90Tile tile;
      for (int turn = 0, taken = 0, base = 0; next_tile(p, C::kRows, turn, tile); ++taken) {
        const int i1 = min(tile.first + C::kRows, p.queries) - 1, kv = tile.head / p.groups;
        const int first_block = rows.first(tile.first) / C::kKeys,
                  blocks = (rows.last(i1) + C::kKeys - 1) / C::kKeys - first_block;
        const int q_stage = taken % C::kQStages;
        cuda::mbarrier_wait(&bar.q_empty[q_stage], ((taken / C::kQStages) & 1) ^ 1);
        cuda::mbarrier_expect(&bar.q_full[q_stage], C::kQBytes);
        for (int c = 0; c < C::kColumnBlocks; ++c)
          cuda::tma_load(queries + q_stage * C::kQBytes + c * C::kRows * 128, map_q, &bar.q_full[q_stage], 64 * c,
                         tile.first, tile.head, tile.batch);
        // Block n of the order in which blocks are taken: from the last one down.
        const auto fetch = [&](const CUtensorMap& map, unsigned char* to, uint64_t* full, uint64_t* empty, int n) {
          const int at = base + n, stage = at % C::kStages, j0 = (first_block + blocks - 1 - n) * C::kKeys;
          cuda::mbarrier_wait(empty + stage, ((at / C::kStages) & 1) ^ 1);
          cuda::mbarrier_expect(full + stage, C::kBlockBytes);
          for (int c = 0; c < C::kColumnBlocks; ++c)
            cuda::tma_load(to + stage * C::kBlockBytes + c * C::kKeys * 128, map, full + stage, 64 * c, j0, kv,
                           tile.batch);
        };
        fetch(map_k, k, bar.k_full, bar.k_empty, 0);
        for (int n = 1; n < blocks; ++n) {
          fetch(map_k, k, bar.k_full, bar.k_empty, n);
          fetch(map_v, v, bar.v_full, bar.v_empty, n - 1);
        }
        fetch(map_v, v, bar.v_full, bar.v_empty, blocks - 1);
        base += blocks;
      }
    }
  } else {
    cuda::more_registers<C::kMultiplying>();
    const int mine = group - 1, warp = static_cast<int>(threadIdx.x) % 128 / 32;
    const int lane = static_cast<int>(threadIdx.x) % 32, g = lane / 4, t = lane % 4;
    constexpr int kScores = C::kKeys / 2, kSums = C::kDim / 2, kSteps = C::kKeys / 16;
    float scores[kScores], sums[kSums], top[2], total[2];
    uint32_t weights[kSteps][4];
    if (mine == 0) cuda::named_barrier_arrive(1, 256);
    Sm90Tile tile;
    for (int turn = 0, taken = 0, base = 0; next_tile(p, C::kRows, turn, tile); ++taken) {
      const int i0 = tile.first, i1 = min(i0 + C::kRows, p.queries) - 1;
      const int first_block = rows.first(i0) / C::kKeys,
                blocks = (rows.last(i1) + C::kKeys - 1) / C::kKeys - first_block;
      const int q_stage = taken % C::kQStages;
      unsigned char* const q = queries + q_stage * C::kQBytes;
      const int row0 = i0 + 64 * mine + 16 * warp + g;  // this thread's rows: row0, row0 + 8

      const auto multiply_q = [&](int stage) {  // scores = q k
#pragma unroll
        for (int c = 0; c < C::kColumnBlocks; ++c) {
          const uint64_t a = cuda::k_major(q + c * C::kRows * 128 + mine * 64 * 128),
                         b = cuda::k_major(k + stage * C::kBlockBytes + c * C::kKeys * 128);
#pragma unroll
          for (int step = 0; step < 4; ++step)
            cuda::Wgmma<T, C::kKeys>::template ss<false, false>(scores, cuda::next_k<false>(a, step),
                                                                cuda::next_k<false>(b, step), c + step > 0);
        }
        cuda::wgmma_commit();
      };
      const auto multiply_weights = [&](int stage, int add) {  // sums += weights v
        const uint64_t b = cuda::mn_major(v + stage * C::kBlockBytes, C::kKeys * 128);
#pragma unroll
        for (int step = 0; step < kSteps; ++step)
          cuda::Wgmma<T, C::kDim>::template rs<true>(sums, weights[step], cuda::next_k<true>(b, step), add || step > 0);
        cuda::wgmma_commit();
      };
      // Scores of block n become weights (in place); returns by what older sums change. `masked`: not all rows see all
      // of its keys.
      const auto soften = [&](auto masked, int n, float (&factor)[2]) {
        if constexpr (decltype(masked)::value) {
          const int j0 = (first_block + blocks - 1 - n) * C::kKeys;
#pragma unroll
          for (int half = 0; half < 2; ++half) {
            const int first = rows.first(row0 + 8 * half) - j0 - 2 * t, last = rows.last(row0 + 8 * half) - j0 - 2 * t;
#pragma unroll
            for (int c = 0; c < C::kKeys / 8; ++c)
#pragma unroll
              for (int e = 0; e < 2; ++e)
                if (8 * c + e >= last || 8 * c + e < first) scores[4 * c + 2 * half + e] = kNothing;
          }
        }
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          float highest = scores[2 * half];
#pragma unroll
          for (int c = 0; c < C::kKeys / 8; ++c) {
            highest = fmaxf(highest, scores[4 * c + 2 * half]);
            highest = fmaxf(highest, scores[4 * c + 2 * half + 1]);
          }
          highest = cuda::warp_reduce<4>(highest, max_of);
          const float now = fmaxf(top[half], highest), base_of = now == kNothing ? 0 : now * p.scale_log2;
          factor[half] = exp2_fast(fmaf(top[half], p.scale_log2, -base_of));
          top[half] = now;
          float sum = 0;
#pragma unroll
          for (int c = 0; c < C::kKeys / 8; ++c)
#pragma unroll
            for (int e = 0; e < 2; ++e) {
              float& x = scores[4 * c + 2 * half + e];
              x = exp2_fast(fmaf(x, p.scale_log2, -base_of));
              sum += x;
            }
          total[half] = total[half] * factor[half] + sum;
        }
      };
      const auto round = [&] {
#pragma unroll
        for (int step = 0; step < kSteps; ++step)
#pragma unroll
          for (int i = 0; i < 4; ++i)
            weights[step][i] = pack<T>(scores[8 * step + 2 * i], scores[8 * step + 2 * i + 1]);
      };

      // No branches between a product's start and its end: the compiler would wait for it there. So blocks that all
      // rows see, which lie between the others, have a loop of their own.
      const std::true_type masked;
      const std::false_type open;
      const int open_begin = first_block + blocks - rows.last(i0) / C::kKeys,
                open_end = first_block + blocks - (rows.first(i1) + C::kKeys - 1) / C::kKeys;
      top[0] = top[1] = kNothing, total[0] = total[1] = 0;
      cuda::mbarrier_wait(&bar.q_full[q_stage], (taken / C::kQStages) & 1);
      cuda::mbarrier_wait(&bar.k_full[base % C::kStages], (base / C::kStages) & 1);
      cuda::wgmma_fence();
      multiply_q(base % C::kStages);
      cuda::wgmma_wait<0>();
      cuda::keep(scores);
      if (lane == 0) cuda::mbarrier_arrive(&bar.k_empty[base % C::kStages]);
      float factor[2];
      soften(masked, 0, factor);
      round();
      const auto take_block = [&](auto kind, int n) {
        const int at = base + n, stage = at % C::kStages, before = (at - 1) % C::kStages;
        // One warpgroup starts its products, then the next one, while this one is at its softmax.
        cuda::named_barrier(1 + mine, 256);
        cuda::mbarrier_wait(&bar.k_full[stage], (at / C::kStages) & 1);
        cuda::wgmma_fence();
        multiply_q(stage);
        cuda::mbarrier_wait(&bar.v_full[before], ((at - 1) / C::kStages) & 1);
        cuda::wgmma_fence();
        multiply_weights(before, n > 1);
        cuda::named_barrier_arrive(1 + (mine + 1) % C::kConsumers, 256);
        cuda::wgmma_wait<1>();
        cuda::keep(scores);
        soften(kind, n, factor);
        cuda::keep(scores);
        // That the softmax is over before the wait, and not moved behind it, is said by an address that needs its sums.
        const uint32_t needed = (__float_as_uint(total[0]) | __float_as_uint(total[1])) & p.zero;
        if (lane == 0) cuda::mbarrier_arrive(&bar.k_empty[stage] + needed);
        cuda::wgmma_wait<0>();
        cuda::keep(sums);
        if (lane == 0) cuda::mbarrier_arrive(&bar.v_empty[before]);
#pragma unroll
        for (int c = 0; c < C::kDim / 8; ++c) {
          sums[4 * c] *= factor[0], sums[4 * c + 1] *= factor[0];
          sums[4 * c + 2] *= factor[1], sums[4 * c + 3] *= factor[1];
        }
        round();
      };
      int n = 1;
      for (; n < min(open_begin, blocks); ++n) take_block(masked, n);
      for (; n < open_end; ++n) take_block(open, n);
      for (; n < blocks; ++n) take_block(masked, n);
      const int last = (base + blocks - 1) % C::kStages;
      cuda::mbarrier_wait(&bar.v_full[last], ((base + blocks - 1) / C::kStages) & 1);
      cuda::wgmma_fence();
      multiply_weights(last, blocks > 1);
      cuda::wgmma_wait<0>();
      cuda::keep(sums);
      if (lane == 0) cuda::mbarrier_arrive(&bar.v_empty[last]);
      base += blocks;

      // Through this warp's rows of q, which are free, to stores of 16 bytes.
      unsigned char* const out = q + (64 * mine + 16 * warp) * 128;
      float by[2];
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        total[half] = cuda::warp_sum<4>(total[half]);
        by[half] = 1 / total[half];
        const int i = row0 + 8 * half;
        if (p.lse && t == 0 && i < p.queries)
          p.lse[(static_cast<int64_t>(tile.batch) * p.heads + tile.head) * p.queries + i] =
              top[half] * p.scale + logf(total[half]);
      }
#pragma unroll
      for (int c = 0; c < C::kDim / 8; ++c)
#pragma unroll
        for (int half = 0; half < 2; ++half)
          *reinterpret_cast<uint32_t*>(out + c / 8 * C::kRows * 128 +
                                       cuda::swizzle_128(g + 8 * half, c % 8 * 16 + 4 * t)) =
              pack<T>(sums[4 * c + 2 * half] * by[half], sums[4 * c + 2 * half + 1] * by[half]);
      __syncwarp();
      constexpr int kChunks = C::kDim / 8;  // of 16 bytes
#pragma unroll
      for (int at = lane; at < 16 * kChunks; at += 32) {
        const int r = at / kChunks, c = at % kChunks, i = i0 + 64 * mine + 16 * warp + r;
        const uint4 x =
            *reinterpret_cast<const uint4*>(out + c / 8 * C::kRows * 128 + cuda::swizzle_128(r, c % 8 * 16));
        if (i < p.queries && 8 * c < p.value_dim)
          *reinterpret_cast<uint4*>(row_at<T>(p.y, tile.batch, tile.head, i) + 8 * c) = x;
      }
      cuda::copy_fence();
      __syncwarp();
      if (lane == 0) cuda::mbarrier_arrive(&bar.q_empty[q_stage]);
    }
  }
}

// A tensor map of rows of heads: boxes of 64 columns of one head.
template <class T>
CUtensorMap sm90_map(const AttentionTensor& t, int64_t batch, int64_t heads, int64_t rows, int64_t dim, int box_rows) {
  constexpr CUtensorMapDataType type =
      __is_same(T, __half) ? CU_TENSOR_MAP_DATA_TYPE_FLOAT16 : CU_TENSOR_MAP_DATA_TYPE_BFLOAT16;
  const int64_t shape[] = {batch, heads, rows, dim}, strides[] = {t.batch, t.head, t.row};
  const int box[] = {1, 1, box_rows, 64};
  return cuda::tensor_map(type, 2, t.data, 4, shape, strides, box);
}

// What a bulk tensor copy needs of a tensor.
template <class T>
bool can_map(const AttentionTensor& t, int64_t batch, int64_t heads, int64_t rows, int64_t dim) {
  return dim > 0 && by_vectors<T>(t, dim) && (batch == 1 || t.batch > 0) && (heads == 1 || t.head > 0) &&
         (rows == 1 || t.row > 0);
}

inline bool every_row_sees_a_key(const AttentionShape& s) {
  if (s.keys == 0 || (s.causal && s.at_end && s.queries > s.keys)) return false;
  if (s.window == 0) return true;
  return s.at_end ? s.queries < s.keys + s.window : s.queries < s.keys + s.window - 1;
}

template <class T, class C>
void run_sm90(const AttentionArgs& a, const Launch& l) {
  const AttentionShape& s = a.s;
  const auto map = [&](const AttentionTensor& t, int64_t heads, int64_t rows, int64_t dim, int box_rows) {
    return sm90_map<T>(t, s.batch, heads, rows, dim, box_rows);
  };
  Sm90Problem p{};
  p.y = a.y, p.lse = static_cast<float*>(a.lse);
  p.heads = static_cast<int>(s.heads), p.groups = static_cast<int>(s.groups()), p.queries = static_cast<int>(s.queries);
  p.keys = static_cast<int>(s.keys), p.value_dim = static_cast<int>(s.value_dim), p.window = static_cast<int>(s.window);
  p.q_blocks = static_cast<int>((s.queries + C::kRows - 1) / C::kRows), p.causal = s.causal, p.at_end = s.at_end;
  p.scale = static_cast<float>(s.scale), p.scale_log2 = static_cast<float>(s.scale * 1.4426950408889634);
  p.all_heads = static_cast<int>(s.heads * s.batch), p.tiles = p.q_blocks * p.all_heads;
  // Keys and values of heads that are at work: a third of L2.
  const int64_t bytes = s.keys * (s.head_dim + s.value_dim) * 2, near = (int64_t{16} << 20) / bytes * s.groups();
  p.near_heads = static_cast<int>(near < s.groups() ? s.groups() : near < p.all_heads ? near : p.all_heads);
  // Equal tiles: one block a multiprocessor, which fetches the next tile while it computes this one. Unequal ones are
  // left to the hardware, which gives the next to whoever is done.
  const bool equal = !p.causal && !p.window;
  const int blocks = equal && p.tiles > l.multiprocessors ? l.multiprocessors : p.tiles;
  cuda::launch(l, attention_sm90_kernel<T, C>, dim3(static_cast<unsigned>(blocks)), dim3(C::kThreads), C::kBytes,
               map(a.q, s.heads, s.queries, s.head_dim, C::kRows), map(a.k, s.kv_heads, s.keys, s.head_dim, C::kKeys),
               map(a.v, s.kv_heads, s.keys, s.value_dim, C::kKeys), p);
}

}  // namespace maas::attention_cuda
#endif
