#pragma once
// What all CUDA kernels of attention share: which keys a row sees, scores from products, tiles in shared memory.
#include <cmath>

#include "cuda/launch.h"
#include "cuda/mma.h"
#include "cuda/philox.h"
#include "cuda/vector.h"
#include "cuda/warp.h"
#include "ops/attention/attention_kernels.h"

namespace maas::attention_cuda {

using cuda::from_float;
using cuda::to_float;

inline constexpr float kLog2e = 1.4426950408889634f, kLn2 = 0.6931471805599453f;
inline constexpr float kNothing = -INFINITY;  // the score of a key that is not seen

// 2^x within 2 ulp; 0 below 2^-126.
__device__ __forceinline__ float exp2_fast(float x) {
#ifdef MAAS_CUDA_EMULATE
  return exp2f(x);
#else
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
#endif
}

// The shape with 32-bit positions, and what turns a product into a score.
struct Problem {
  AttentionTensor q, k, v;
  AttentionTable mask, bias;
  AttentionDropout dropout;
  const int32_t* lengths;
  int batch, heads, kv_heads, groups, queries, keys, head_dim, value_dim, window;
  bool causal, at_end;
  float scale, soft_cap, inverse_cap;  // soft_cap 0: none
  float scale_log2;                    // scale log2(e)
  float inverse_keep;                  // of dropout
};

inline Problem problem_of(const AttentionShape& s, const AttentionTensor& q, const AttentionTensor& k,
                          const AttentionTensor& v, const AttentionTable& mask, const AttentionTable& bias,
                          const AttentionDropout& dropout) {
  Problem p;
  p.q = q, p.k = k, p.v = v, p.mask = mask, p.bias = bias, p.dropout = dropout;
  p.lengths = s.lengths;
  p.batch = static_cast<int>(s.batch), p.heads = static_cast<int>(s.heads), p.kv_heads = static_cast<int>(s.kv_heads);
  p.groups = static_cast<int>(s.groups()), p.queries = static_cast<int>(s.queries), p.keys = static_cast<int>(s.keys);
  p.head_dim = static_cast<int>(s.head_dim), p.value_dim = static_cast<int>(s.value_dim);
  p.window = static_cast<int>(s.window), p.causal = s.causal, p.at_end = s.at_end;
  p.scale = static_cast<float>(s.scale), p.soft_cap = static_cast<float>(s.soft_cap);
  p.inverse_cap = s.soft_cap != 0 ? static_cast<float>(1 / s.soft_cap) : 0;
  p.scale_log2 = static_cast<float>(s.scale * 1.4426950408889634);
  p.inverse_keep = dropout.threshold ? static_cast<float>(1 / dropout.keep) : 1;
  return p;
}

// Nothing but products, scale and positions decides about a weight.
inline bool is_plain(const Problem& p) {
  return !p.mask.data && !p.bias.data && !p.dropout.threshold && p.soft_cap == 0 && p.scale > 0;
}

// All rows of a tensor of `dim` elements may be read or written 16 bytes at a time.
template <class T>
bool by_vectors(const AttentionTensor& t, int64_t dim) {
  return reinterpret_cast<uintptr_t>(t.data) % 16 == 0 &&
         (t.batch | t.head | t.row | dim) % static_cast<int64_t>(16 / sizeof(T)) == 0;
}

template <class T>
__device__ __forceinline__ T* row_at(const AttentionTensor& t, int64_t batch, int64_t head, int64_t i) {
  return static_cast<T*>(const_cast<void*>(t.data)) + batch * t.batch + head * t.head + i * t.row;
}

__device__ __forceinline__ int length_of(const Problem& p, int b) {
  return p.lengths ? min(max(p.lengths[b], 0), p.keys) : p.keys;
}
__device__ __forceinline__ void check_length(const Problem& p, int b, const cuda::Reporter& report) {
  if (p.lengths && threadIdx.x == 0 && (p.lengths[b] < 0 || p.lengths[b] > p.keys)) report.bad(b, p.lengths[b]);
}

// Keys [first, last) are those that row i may see by its position, n being there. Both ends grow with i.
struct Range {
  int first, last;
  __device__ __forceinline__ bool holds(int j) const { return j >= first && j < last; }
};
__device__ __forceinline__ Range range_of(const Problem& p, int n, int i) {
  const int at = p.at_end ? i + n - p.queries : i;
  Range r{0, n};
  if (p.causal) r.last = min(r.last, at + 1);
  if (p.window) {
    r.last = min(r.last, at + p.window);
    r.first = max(r.first, at - p.window + 1);
  }
  return r;
}
// Rows [first, last) are those that may see one of the keys [j0, j1).
__device__ __forceinline__ Range rows_seeing(const Problem& p, int n, int j0, int j1) {
  const int shift = p.at_end ? n - p.queries : 0;  // position of row 0
  Range r{0, p.queries};
  if (j0 >= n) return {0, 0};
  j1 = min(j1, n);
  if (p.causal) r.first = max(r.first, j0 - shift);
  if (p.window) {
    r.first = max(r.first, j0 - p.window + 1 - shift);
    r.last = min(r.last, j1 - 1 + p.window - shift);
  }
  return r;
}

// Scores of one row of one head. Positions are the caller's.
template <class T>
struct ScoreRow {
  const unsigned char* mask;  // null: none
  const T* bias;
  int64_t mask_column, bias_column;
  __device__ __forceinline__ ScoreRow(const Problem& p, int b, int h, int i)
      : mask(nullptr), bias(nullptr), mask_column(p.mask.column), bias_column(p.bias.column) {
    if (p.mask.data)
      mask = static_cast<const unsigned char*>(p.mask.data) + b * p.mask.batch + h * p.mask.head + i * p.mask.row;
    if (p.bias.data) bias = static_cast<const T*>(p.bias.data) + b * p.bias.batch + h * p.bias.head + i * p.bias.row;
  }
  // log2(e) times the score of key j, -inf where it is not seen. `slope`: cap'(scale product).
  __device__ __forceinline__ float operator()(const Problem& p, int j, float product, float& slope) const {
    float x = product * p.scale;
    slope = 1;
    if (p.soft_cap != 0) {
      const float t = tanhf(x * p.inverse_cap);
      x = t * p.soft_cap;
      slope = 1 - t * t;
    }
    bool seen = !mask || mask[j * mask_column];
    if (bias) {
      const float extra = to_float(bias[j * bias_column]);
      seen = seen && extra != -INFINITY;
      x += extra;
    }
    return seen ? x * kLog2e : kNothing;
  }
};

// Dropout's decisions.
struct Kept {
  bool on = false;
  uint32_t threshold = 0;
  PhiloxKey key{};
  __device__ __forceinline__ explicit Kept(const Problem& p) {
    on = p.dropout.threshold != 0;
    if (!on) return;
    threshold = p.dropout.threshold;
    switch (p.dropout.state_dtype) {
      case DType::i64:
        key = cuda::philox_key(static_cast<const int64_t*>(p.dropout.state), p.dropout.stream);
        break;
      case DType::u32:
        key = cuda::philox_key(static_cast<const uint32_t*>(p.dropout.state), p.dropout.stream);
        break;
      case DType::i16:
        key = cuda::philox_key(static_cast<const int16_t*>(p.dropout.state), p.dropout.stream);
        break;
      case DType::i8:
        key = cuda::philox_key(static_cast<const int8_t*>(p.dropout.state), p.dropout.stream);
        break;
      case DType::u8:
        key = cuda::philox_key(static_cast<const uint8_t*>(p.dropout.state), p.dropout.stream);
        break;
      default:
        key = cuda::philox_key(static_cast<const int32_t*>(p.dropout.state), p.dropout.stream);
    }
  }
  __device__ __forceinline__ static uint32_t word(const uint4& w, int i) {
    return i == 0 ? w.x : i == 1 ? w.y : i == 2 ? w.z : w.w;
  }
  __device__ __forceinline__ bool operator()(int64_t e) const {
    const uint4 w = cuda::philox_words(key, static_cast<uint64_t>(e) >> 2);
    return word(w, static_cast<int>(e & 3)) >> 8 >= threshold;
  }
  // Of elements e and e + 1.
  __device__ __forceinline__ void pair(int64_t e, bool& a, bool& b) const {
    const uint4 w = cuda::philox_words(key, static_cast<uint64_t>(e) >> 2);
    const int at = static_cast<int>(e & 3);
    a = word(w, at) >> 8 >= threshold;
    b = at == 3 ? (*this)(e + 1) : word(w, at + 1) >> 8 >= threshold;
  }
};
__device__ __forceinline__ int64_t flat_row(const Problem& p, int b, int h, int i) {
  return (static_cast<int64_t>(b) * p.heads + h) * p.queries + i;
}

// Copies `kRows` rows of kDim elements to shared memory, row stride kStride elements. row(r): the address of row r, or
// null, which makes it zeros; columns from `dim` on are zeros too. vectors: rows are 16-byte aligned and dim a multiple
// of 16 bytes; then the copies run in the background, in the caller's next cp.async group. any: an address of the GPU.
template <class T, int kRows, int kDim, int kStride, int kThreads, class Row>
__device__ __forceinline__ void load_rows(T* to, int dim, bool vectors, const void* any, Row row) {
  constexpr int kVector = 16 / static_cast<int>(sizeof(T)), kChunks = kDim / kVector;
  const int tid = static_cast<int>(threadIdx.x);
  if (vectors) {
#pragma unroll 4
    for (int at = tid; at < kRows * kChunks; at += kThreads) {
      const int r = at / kChunks, c = at % kChunks * kVector;
      const T* from = row(r);
      const bool read = from && c < dim;
      cuda::cp_async<16>(to + r * kStride + c, read ? from + c : any, read);
    }
  } else {
#pragma unroll 4
    for (int at = tid; at < kRows * kDim; at += kThreads) {
      const int r = at / kDim, c = at % kDim;
      const T* from = row(r);
      to[r * kStride + c] = from && c < dim ? from[c] : T(0.f);
    }
  }
}

// The mean of the n values of a head, for rows that see nothing; kThreads / 32 warps share the keys, their sums are
// added in order. to: value_dim floats of shared memory, partial: as many for each warp.
template <class T, int kThreads>
__device__ void mean_of_values(const Problem& p, int b, int kv, int n, float* partial, float* to) {
  constexpr int kWarps = kThreads / 32;
  const int warp = cuda::warp(), lane = cuda::lane();
  for (int c = lane; c < p.value_dim; c += 32) {
    float sum = 0;
#pragma unroll 8
    for (int j = warp; j < n; j += kWarps) sum += to_float(row_at<T>(p.v, b, kv, j)[c]);
    partial[warp * p.value_dim + c] = sum;
  }
  __syncthreads();
  for (int c = static_cast<int>(threadIdx.x); c < p.value_dim; c += kThreads) {
    float sum = 0;
    for (int w = 0; w < kWarps; ++w) sum += partial[w * p.value_dim + c];
    to[c] = sum / static_cast<float>(n);
  }
  __syncthreads();
}

// One tile of rows. Few queries leave room for several heads that share keys: row r is query first + r % span of head
// head + r / span.
struct Tile {
  int batch, kv, head, first, span, rows, split;
  __device__ __forceinline__ int head_of(int r) const { return rows == span ? head : head + r / span; }
  __device__ __forceinline__ int query_of(int r) const { return first + (rows == span ? r : r % span); }
};
// How rows are cut into tiles of `most`, and keys into splits of `chunk` (a multiple of every kernel's block).
struct Tiling {
  int most, tile_heads, head_blocks, q_blocks, splits, chunk;
  int64_t blocks(const Problem& p) const {
    return static_cast<int64_t>(p.batch) * p.kv_heads * head_blocks * q_blocks * splits;
  }
  __device__ __forceinline__ Tile tile(const Problem& p, unsigned block) const {
    Tile t;
    t.split = static_cast<int>(block % splits);
    block /= splits;
    // The last rows see most keys when causal: they start first.
    t.first = (q_blocks - 1 - static_cast<int>(block % q_blocks)) * most;
    block /= q_blocks;
    const int part = static_cast<int>(block % head_blocks) * tile_heads;
    block /= head_blocks;
    t.kv = static_cast<int>(block % p.kv_heads);
    t.batch = static_cast<int>(block / p.kv_heads);
    t.head = t.kv * p.groups + part;
    t.span = min(most, p.queries - t.first);
    t.rows = t.span * min(tile_heads, p.groups - part);
    return t;
  }
};
inline Tiling tiling_of(const Problem& p, int most, bool split, int chunk) {
  Tiling t{};
  t.most = most;
  t.tile_heads =
      p.queries > 0 && p.queries * 2 <= most ? (most / p.queries < p.groups ? most / p.queries : p.groups) : 1;
  t.head_blocks = (p.groups + t.tile_heads - 1) / t.tile_heads;
  t.q_blocks = (p.queries + most - 1) / most;
  t.chunk = chunk;
  t.splits = split && p.keys > 0 ? (p.keys + chunk - 1) / chunk : 1;
  return t;
}

// What forward kernels write: y and lse, or, where keys are split, sums to be combined.
struct Output {
  AttentionTensor y;
  float* lse;
  float* sums;  // (splits, rows of all heads, value_dim), in units of 2^top; null: not split
  float* tops;  // (splits, rows of all heads)
  float* totals;
  bool pairs;  // two neighbours of y may be written at once
};

// Rows of split keys: their sums are brought to one unit and added in the order of the keys. One warp a row.
template <class T>
__global__ void __launch_bounds__(128) attention_combine_kernel(Problem p, Output out, int splits) {
  const int64_t rows = static_cast<int64_t>(p.batch) * p.heads * p.queries;
  const int64_t row = static_cast<int64_t>(blockIdx.x) * 4 + cuda::warp();
  if (row >= rows) return;
  const int query = static_cast<int>(row % p.queries), head = static_cast<int>(row / p.queries % p.heads),
            batch = static_cast<int>(row / p.queries / p.heads), kv = head / p.groups, lane = cuda::lane();
  const int n = length_of(p, batch);
  float top = kNothing, total = 0;
  for (int s = lane; s < splits; s += 32) top = fmaxf(top, out.tops[s * rows + row]);
  top = cuda::warp_reduce(top, [](float a, float b) { return fmaxf(a, b); });
  const float base = top == kNothing ? 0 : top;
  for (int s = lane; s < splits; s += 32)
    total += out.totals[s * rows + row] * exp2_fast(out.tops[s * rows + row] - base);
  total = cuda::warp_sum(total);
  const bool none = top == kNothing && total == 0;
  const Kept kept(p);
  T* const y = row_at<T>(out.y, batch, head, query);
  if (!none && p.value_dim % 4 == 0) {
    for (int c = 4 * lane; c < p.value_dim; c += 128) {
      float4 sum = make_float4(0, 0, 0, 0);
#pragma unroll 4
      for (int s = 0; s < splits; ++s) {
        const float factor = exp2_fast(out.tops[s * rows + row] - base);
        const float4 x = *reinterpret_cast<const float4*>(out.sums + (s * rows + row) * p.value_dim + c);
        sum.x += x.x * factor, sum.y += x.y * factor, sum.z += x.z * factor, sum.w += x.w * factor;
      }
      y[c] = from_float<T>(sum.x / total), y[c + 1] = from_float<T>(sum.y / total);
      y[c + 2] = from_float<T>(sum.z / total), y[c + 3] = from_float<T>(sum.w / total);
    }
  } else {
    for (int c = lane; c < p.value_dim; c += 32) {
      float sum = 0, divisor = total;
      if (!none) {
        for (int s = 0; s < splits; ++s)
          sum += out.sums[(s * rows + row) * p.value_dim + c] * exp2_fast(out.tops[s * rows + row] - base);
      } else {
        for (int j = 0; j < n; ++j)
          if (!kept.on || kept(row * p.keys + j)) sum += to_float(row_at<T>(p.v, batch, kv, j)[c]);
        divisor = n > 0 ? static_cast<float>(n) / p.inverse_keep : 1;
      }
      y[c] = from_float<T>(sum / divisor);
    }
  }
  if (out.lse && lane == 0) out.lse[row] = none ? -INFINITY : top * kLn2 + logf(total);
}

}  // namespace maas::attention_cuda
