// Reductions on a GPU. float32, bfloat16 and float16 fold in float32, 16 bytes at a time; every other dtype, and any
// and all, go one element at a time through double or int64. The order of a fold depends on sizes alone.
#include "cuda/element.h"
#include "cuda/launch.h"
#include "cuda/reduce.h"
#include "cuda/vector.h"
#include "ops/reduce/reduce.h"

#define MAAS_KERNELS "ops/reduce/kernels.inc"
#define MAAS_KERNEL_ARGS ReduceArgs
#define MAAS_KERNEL_TABLE reduce_kernels
#include "cuda/kernel_table.h"

#define MAAS_KERNELS "ops/reduce/count_kernels.inc"
#define MAAS_KERNEL_ARGS ElementCount::Args
#define MAAS_KERNEL_TABLE count_kernels
#include "cuda/kernel_table.h"

namespace maas {
namespace {

constexpr int kThreads = 256;
constexpr int kUnroll = 4;          // accesses under way in a thread
constexpr int64_t kEnough = 528;    // blocks that fill a GPU, four for each multiprocessor of a Hopper
constexpr int64_t kWarpRow = 1024;  // elements; longer rows take a block each
constexpr int kNowhere = 0x7fffffff;

// ---- folds in float32

struct SumFold {
  using Acc = float;
  static constexpr bool kPosition = false;
  float divide;  // the count of a mean; 1 of a sum
  __device__ __forceinline__ Acc identity() const { return 0; }
  __device__ __forceinline__ float fill() const { return 0; }
  __device__ __forceinline__ void add(Acc& a, float v, int) const { a += v; }
  __device__ __forceinline__ Acc operator()(Acc a, Acc b) const { return a + b; }
  __device__ __forceinline__ float result(Acc a) const { return a / divide; }
};

struct ProductFold {
  using Acc = float;
  static constexpr bool kPosition = false;
  __device__ __forceinline__ Acc identity() const { return 1; }
  __device__ __forceinline__ float fill() const { return 1; }
  __device__ __forceinline__ void add(Acc& a, float v, int) const { a *= v; }
  __device__ __forceinline__ Acc operator()(Acc a, Acc b) const { return a * b; }
  __device__ __forceinline__ float result(Acc a) const { return a; }
};

struct ExtremeFold {
  using Acc = float;
  static constexpr bool kPosition = false;
  bool least;
  __device__ __forceinline__ Acc identity() const { return fill(); }
  __device__ __forceinline__ float fill() const { return least ? INFINITY : -INFINITY; }
  __device__ __forceinline__ void add(Acc& a, float v, int) const { a = (*this)(a, v); }
  __device__ __forceinline__ Acc operator()(Acc a, Acc b) const {
    return (least ? a < b : a > b) || a != a ? a : b;  // a NaN wins
  }
  __device__ __forceinline__ float result(Acc a) const { return a; }
};

struct At {
  float value;
  int at;
};
struct PositionFold {
  using Acc = At;
  static constexpr bool kPosition = true;
  bool least;
  __device__ __forceinline__ Acc identity() const { return {fill(), kNowhere}; }
  __device__ __forceinline__ float fill() const { return least ? INFINITY : -INFINITY; }
  __device__ __forceinline__ void add(Acc& a, float v, int at) const { a = (*this)(a, Acc{cuda::flushed(v), at}); }
  // The first of equal ones, and the first NaN.
  __device__ __forceinline__ Acc operator()(Acc a, Acc b) const {
    const bool a_nan = a.value != a.value, b_nan = b.value != b.value;
    const bool a_first = a.at < b.at;
    const bool take_a =
        a_nan ? !b_nan || a_first
              : !b_nan && ((least ? a.value < b.value : a.value > b.value) || (a.value == b.value && a_first));
    return take_a ? a : b;
  }
  __device__ __forceinline__ int result(Acc a) const { return a.at; }
};

template <class T, class Op>
__device__ __forceinline__ void store_result(void* y, int64_t i, const Op& op, typename Op::Acc acc) {
  if constexpr (Op::kPosition)
    static_cast<int32_t*>(y)[i] = op.result(acc);
  else
    static_cast<T*>(y)[i] = cuda::from_float<T>(op.result(acc));
}

// How the fold of one result is cut: parts of `part` elements, each folded alone, and `partial` for the parts' results,
// [outer][splits][inner]; null where there is one part.
struct Cut {
  int64_t outer, reduced, inner, splits, part;
  void* partial;
};

// ---- the last axis: a group of threads (a power of two up to a warp, or the whole block) walks a row together

template <class T, class Op>
__device__ __forceinline__ typename Op::Acc fold_row(const T* x, int64_t begin, int64_t end, int t, int group,
                                                     bool aligned, const Op& op) {
  constexpr int V = cuda::kLanes<T>;
  const T fill = cuda::from_float<T>(op.fill());
  typename Op::Acc acc[V];
#pragma unroll
  for (int j = 0; j < V; ++j) acc[j] = op.identity();
  const int64_t step = static_cast<int64_t>(group) * V;
  for (int64_t i = begin + t * V; i < end; i += step * kUnroll) {
    cuda::Vector<T> v[kUnroll];
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
      const int64_t at = i + u * step;
      v[u] = aligned && at + V <= end ? cuda::load_const(x + at) : cuda::load_some(x + at, end - at, fill);
    }
#pragma unroll
    for (int u = 0; u < kUnroll; ++u)
#pragma unroll
      for (int j = 0; j < V; ++j) op.add(acc[j], cuda::to_float(v[u][j]), static_cast<int>(i + u * step) + j);
  }
#pragma unroll
  for (int w = V / 2; w > 0; w /= 2)
#pragma unroll
    for (int j = 0; j < w; ++j) acc[j] = op(acc[j], acc[j + w]);
  return acc[0];
}

template <class T, class Op>
__global__ void __launch_bounds__(kThreads) reduce_rows(const T* x, void* y, Cut c, int group, bool aligned, Op op) {
  const int per_block = kThreads / group, t = static_cast<int>(threadIdx.x) % group;
  for (int64_t first = static_cast<int64_t>(blockIdx.x) * per_block; first < c.outer;
       first += static_cast<int64_t>(gridDim.x) * per_block) {
    const int64_t row = first + static_cast<int>(threadIdx.x) / group;
    typename Op::Acc acc = op.identity();
    if (row < c.outer) acc = fold_row(x + row * c.reduced, 0, c.reduced, t, group, aligned, op);
    for (int bits = group / 2; bits > 0; bits /= 2) acc = op(acc, cuda::shuffle_xor(acc, bits));
    if (row < c.outer && t == 0) store_result<T>(y, row, op, acc);
  }
}

template <class T, class Op>
__global__ void __launch_bounds__(kThreads) reduce_long_rows(const T* x, void* y, Cut c, bool aligned, Op op) {
  for (int64_t w = blockIdx.x; w < c.outer * c.splits; w += gridDim.x) {
    const int64_t row = w / c.splits, begin = w % c.splits * c.part;
    const int64_t end = begin + c.part < c.reduced ? begin + c.part : c.reduced;
    typename Op::Acc acc =
        fold_row(x + row * c.reduced, begin, end, static_cast<int>(threadIdx.x), kThreads, aligned, op);
    acc = cuda::block_reduce(acc, op, op.identity());
    if (threadIdx.x) continue;
    if (c.partial)
      static_cast<typename Op::Acc*>(c.partial)[w] = acc;
    else
      store_result<T>(y, row, op, acc);
  }
}

// ---- an axis before others: threads along x take columns, V each, those along y rows

template <class T, int V, class Op>
__global__ void __launch_bounds__(kThreads) reduce_columns(const T* x, void* y, Cut c, int64_t tiles, Op op) {
  using Acc = typename Op::Acc;
  __shared__ __align__(16) unsigned char memory[kThreads * V * sizeof(Acc)];
  Acc* const of_block = reinterpret_cast<Acc*>(memory);
  const int width = static_cast<int>(blockDim.x), rows = static_cast<int>(blockDim.y);
  const int tx = static_cast<int>(threadIdx.x), ty = static_cast<int>(threadIdx.y);
  Acc* const mine = of_block + (ty * width + tx) * V;
  for (int64_t w = blockIdx.x; w < c.outer * c.splits * tiles; w += gridDim.x) {
    const int64_t column = (w % tiles * width + tx) * V, os = w / tiles;
    const int64_t o = os / c.splits, begin = os % c.splits * c.part;
    const int64_t end = begin + c.part < c.reduced ? begin + c.part : c.reduced;
    const T* const from = x + o * c.reduced * c.inner + column;
    const bool inside = column < c.inner;
    Acc acc[V];
#pragma unroll
    for (int j = 0; j < V; ++j) acc[j] = op.identity();
    if (inside) {
      for (int64_t r = begin + ty; r < end; r += static_cast<int64_t>(rows) * kUnroll) {
        cuda::Vector<T, V> v[kUnroll];
#pragma unroll
        for (int u = 0; u < kUnroll; ++u)
          if (r + u * rows < end) v[u] = cuda::load_const<T, V>(from + (r + u * rows) * c.inner);
#pragma unroll
        for (int u = 0; u < kUnroll; ++u)
          if (r + u * rows < end)
#pragma unroll
            for (int j = 0; j < V; ++j) op.add(acc[j], cuda::to_float(v[u][j]), static_cast<int>(r + u * rows));
      }
    }
    for (int half = rows / 2; half > 0; half /= 2) {
#pragma unroll
      for (int j = 0; j < V; ++j) mine[j] = acc[j];
      __syncthreads();
      if (ty < half)
#pragma unroll
        for (int j = 0; j < V; ++j) acc[j] = op(acc[j], mine[half * width * V + j]);
      __syncthreads();
    }
    if (!inside || ty) continue;
#pragma unroll
    for (int j = 0; j < V; ++j) {
      if (c.partial)
        static_cast<Acc*>(c.partial)[os * c.inner + column + j] = acc[j];
      else
        store_result<T>(y, o * c.inner + column + j, op, acc[j]);
    }
  }
}

// A warp joins the parts of one result.
template <class T, class Op>
__global__ void __launch_bounds__(kThreads) join_parts(void* y, Cut c, Op op) {
  constexpr int kPerBlock = kThreads / cuda::kWarp;
  const auto* const partial = static_cast<const typename Op::Acc*>(c.partial);
  for (int64_t first = static_cast<int64_t>(blockIdx.x) * kPerBlock; first < c.outer * c.inner;
       first += static_cast<int64_t>(gridDim.x) * kPerBlock) {
    const int64_t i = first + cuda::warp();
    if (i >= c.outer * c.inner) continue;
    const auto* const p = partial + i / c.inner * c.splits * c.inner + i % c.inner;
    typename Op::Acc acc = op.identity();
    for (int64_t s = cuda::lane(); s < c.splits; s += cuda::kWarp) acc = op(acc, p[s * c.inner]);
    acc = cuda::warp_reduce(acc, op);
    if (cuda::lane() == 0) store_result<T>(y, i, op, acc);
  }
}

// ---- choice of shapes

int64_t round_up(int64_t v, int64_t to) { return (v + to - 1) / to * to; }
int64_t power_of_two(int64_t v, int64_t most) {
  int64_t p = 1;
  while (p < v && p < most) p *= 2;
  return p;
}

struct Shape2 {
  int lanes;            // elements of an access
  int64_t width, rows;  // threads of a block for columns
  int64_t tiles;        // of columns
  Cut cut;
};

// `blocks` of work and parts of a multiple of `unit`.
void cut_into(Cut& c, int64_t blocks, int64_t unit) {
  c.splits = 1;
  c.part = c.reduced > 0 ? c.reduced : 1;
  if (blocks >= kEnough / 2 || blocks < 1) return;
  const int64_t wanted = kEnough / blocks;
  c.part = round_up((c.reduced + wanted - 1) / wanted, unit);
  if (c.part < unit) c.part = unit;
  c.splits = c.reduced > 0 ? (c.reduced + c.part - 1) / c.part : 1;
}

Shape2 shape_of_columns(const ReduceArgs& a, int64_t bytes) {
  Shape2 s{};
  const int64_t lanes = 16 / bytes;
  s.lanes = reinterpret_cast<uintptr_t>(a.x) % 16 == 0 && a.inner % lanes == 0 ? static_cast<int>(lanes) : 1;
  const int64_t wanted = (a.inner + s.lanes - 1) / s.lanes;
  s.width = power_of_two(wanted, cuda::kWarp);
  while (s.width < kThreads && s.width < wanted && a.reduced <= kThreads / s.width * kUnroll) s.width *= 2;
  s.rows = kThreads / s.width;
  s.tiles = (wanted + s.width - 1) / s.width;
  s.cut = {a.outer, a.reduced, a.inner, 1, a.reduced, nullptr};
  cut_into(s.cut, a.outer * s.tiles, s.rows * kUnroll * 2);
  return s;
}
Cut cut_of_rows(const ReduceArgs& a, int64_t bytes) {
  Cut c{a.outer, a.reduced, 1, 1, a.reduced, nullptr};
  if (a.reduced > kWarpRow) cut_into(c, a.outer, 16 / bytes * kThreads * kUnroll);
  return c;
}

bool is_fast(const ReduceArgs& a) {
  return (a.dtype == DType::f32 || a.dtype == DType::bf16 || a.dtype == DType::f16) && a.fold != Fold::any &&
         a.fold != Fold::all;
}
Cut cut_of(const ReduceArgs& a) {
  const int64_t bytes = bit_size(a.dtype) / 8;
  return a.inner == 1 ? cut_of_rows(a, bytes) : shape_of_columns(a, bytes).cut;
}

template <class T, class Op>
void run(const ReduceArgs& a, const Launch& l, Op op) {
  const auto* const x = static_cast<const T*>(a.x);
  Cut c;
  if (a.inner == 1) {
    c = cut_of_rows(a, sizeof(T));
    const bool aligned = cuda::vectorizable(x, a.reduced);
    c.partial = c.splits > 1 ? l.scratch : nullptr;
    if (a.reduced <= kWarpRow) {
      const auto group =
          static_cast<int>(power_of_two((a.reduced + cuda::kLanes<T> - 1) / cuda::kLanes<T>, cuda::kWarp));
      cuda::launch(l, reduce_rows<T, Op>, cuda::blocks_for(a.outer, kThreads / group), kThreads, 0, x, a.y, c, group,
                   aligned, op);
    } else {
      cuda::launch(l, reduce_long_rows<T, Op>, cuda::blocks_for(a.outer * c.splits, 1), kThreads, 0, x, a.y, c, aligned,
                   op);
    }
  } else {
    const Shape2 s = shape_of_columns(a, sizeof(T));
    c = s.cut;
    c.partial = c.splits > 1 ? l.scratch : nullptr;
    const dim3 block(static_cast<unsigned>(s.width), static_cast<unsigned>(s.rows));
    const unsigned grid = cuda::blocks_for(a.outer * c.splits * s.tiles, 1);
    if (s.lanes > 1)
      cuda::launch(l, reduce_columns<T, cuda::kLanes<T>, Op>, grid, block, 0, x, a.y, c, s.tiles, op);
    else
      cuda::launch(l, reduce_columns<T, 1, Op>, grid, block, 0, x, a.y, c, s.tiles, op);
  }
  if (c.partial)
    cuda::launch(l, join_parts<T, Op>, cuda::blocks_for(a.outer * a.inner, kThreads / cuda::kWarp), kThreads, 0, a.y, c,
                 op);
}

template <class T>
void run_fold(const ReduceArgs& a, const Launch& l) {
  switch (a.fold) {
    case Fold::sum:
      return run<T>(a, l, SumFold{1.f});
    case Fold::mean:
      return run<T>(a, l, SumFold{static_cast<float>(a.reduced)});
    case Fold::prod:
      return run<T>(a, l, ProductFold{});
    case Fold::max:
    case Fold::min:
      return run<T>(a, l, ExtremeFold{a.fold == Fold::min});
    default:
      return run<T>(a, l, PositionFold{a.fold == Fold::argmin});
  }
}

// ---- every other dtype and fold. T: double, or int64_t, which wraps.

template <class T>
struct AnyAcc {
  T value;
  int at;  // kNowhere: nothing was folded
};
template <class T>
struct AnyFold {
  Fold fold;
  __device__ __forceinline__ AnyAcc<T> identity() const {
    return {fold == Fold::prod || fold == Fold::all ? T(1) : T(0), kNowhere};
  }
  __device__ __forceinline__ AnyAcc<T> element(T v, int at) const {
    if (fold == Fold::any || fold == Fold::all) v = v != T(0) ? T(1) : T(0);
    return {v, at};
  }
  __device__ AnyAcc<T> operator()(AnyAcc<T> a, AnyAcc<T> b) const {
    if (a.at == kNowhere) return b;
    if (b.at == kNowhere) return a;
    switch (fold) {
      case Fold::sum:
      case Fold::mean:
        return {plus(a.value, b.value), 0};
      case Fold::prod:
        return {times(a.value, b.value), 0};
      case Fold::any:
        return {a.value != T(0) ? a.value : b.value, 0};
      case Fold::all:
        return {a.value == T(0) ? a.value : b.value, 0};
      default:
        break;
    }
    if (b.at < a.at) {
      const AnyAcc<T> t = a;
      a = b;
      b = t;
    }
    if (a.value != a.value) return a;
    if (b.value != b.value) return b;
    const bool greatest = fold == Fold::max || fold == Fold::argmax;
    return (greatest ? b.value > a.value : b.value < a.value) ? b : a;
  }
  static __device__ __forceinline__ double plus(double a, double b) { return a + b; }
  static __device__ __forceinline__ double times(double a, double b) { return a * b; }
  static __device__ __forceinline__ int64_t plus(int64_t a, int64_t b) {
    return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
  }
  static __device__ __forceinline__ int64_t times(int64_t a, int64_t b) {
    return static_cast<int64_t>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
  }
};

struct AnyCase {
  const void* x;
  void* y;
  DType dtype, result;
  Fold fold;
  int64_t results, reduced, inner;
};

// `group` threads, a power of two up to the block, fold one result.
template <class T>
__global__ void __launch_bounds__(kThreads) reduce_any(AnyCase a, int group) {
  const AnyFold<T> op{a.fold};
  const int per_block = kThreads / group, t = static_cast<int>(threadIdx.x) % group;
  for (int64_t first = static_cast<int64_t>(blockIdx.x) * per_block; first < a.results;
       first += static_cast<int64_t>(gridDim.x) * per_block) {
    const int64_t u = first + static_cast<int>(threadIdx.x) / group;
    AnyAcc<T> acc = op.identity();
    if (u < a.results) {
      const int64_t start = u / a.inner * a.reduced * a.inner + u % a.inner;
      for (int64_t r = t; r < a.reduced; r += group)
        acc = op(acc, op.element(cuda::load_element<T>(a.x, a.dtype, start + r * a.inner), static_cast<int>(r)));
    }
    if (group == kThreads)
      acc = cuda::block_reduce(acc, op, op.identity());
    else
      for (int bits = group / 2; bits > 0; bits /= 2) acc = op(acc, cuda::shuffle_xor(acc, bits));
    if (u >= a.results || t) continue;
    T y = acc.value;
    if constexpr (sizeof(T) == sizeof(double) && T(0.5) != T(0))
      if (a.fold == Fold::mean) y = y / static_cast<double>(a.reduced);
    if (a.fold == Fold::argmax || a.fold == Fold::argmin) y = static_cast<T>(acc.at);
    cuda::store_element<T>(a.y, a.result, u, y);
  }
}

__global__ void store_count(void* y, DType dtype, int64_t count) { cuda::store_element<int64_t>(y, dtype, 0, count); }

}  // namespace

size_t reduce_cuda_scratch(const ReduceArgs& a) {
  if (!is_fast(a)) return 0;
  const Cut c = cut_of(a);
  return c.splits > 1 ? static_cast<size_t>(a.outer * c.splits * a.inner) * sizeof(At) : 0;
}

void reduce_cuda(const ReduceArgs& a, const Launch& l) {
  if (a.outer * a.inner == 0) return;
  if (is_fast(a)) {
    if (a.dtype == DType::f32) return run_fold<float>(a, l);
    if (a.dtype == DType::bf16) return run_fold<__nv_bfloat16>(a, l);
    return run_fold<__half>(a, l);
  }
  const AnyCase c{a.x, a.y, a.dtype, a.result, a.fold, a.outer * a.inner, a.reduced, a.inner};
  const int group = a.reduced > 512 ? kThreads : static_cast<int>(power_of_two(a.reduced / 4, cuda::kWarp));
  const unsigned grid = cuda::blocks_for(c.results, kThreads / group);
  if (is_floating(a.dtype) || a.fold == Fold::mean)
    cuda::launch(l, reduce_any<double>, grid, kThreads, 0, c, group);
  else
    cuda::launch(l, reduce_any<int64_t>, grid, kThreads, 0, c, group);
}

void element_count_cuda(const ElementCount::Args& a, const Launch& l) {
  cuda::launch(l, store_count, 1, 1, 0, a.y, a.dtype, a.count);
}

}  // namespace maas
