// Scatter and gather_nd on a GPU. Updates of one place are folded by one owner in the order in which they come: where
// places repeat, the list of rows is sorted.
#include "cuda/divide.h"
#include "cuda/element.h"
#include "cuda/launch.h"
#include "cuda/sorted_rows.h"
#include "cuda/vector.h"
#include "ops/scatter/scatter_kernels.h"

#define MAAS_KERNELS "ops/scatter/kernels.inc"
#define MAAS_KERNEL_ARGS ScatterArgs
#define MAAS_KERNEL_TABLE scatter_kernels
#include "cuda/kernel_table.h"

#define MAAS_KERNELS "ops/scatter/gather_nd_kernels.inc"
#define MAAS_KERNEL_ARGS ScatterArgs
#define MAAS_KERNEL_TABLE gather_nd_kernels
#include "cuda/kernel_table.h"

namespace maas {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kNarrow = int64_t{1} << 31;

struct Places {
  const void* indices;
  DType dtype;
  bool wrap;
  int depth;
  int64_t sizes[ScatterArgs::max_depth];
  cuda::Reporter reporter;
  // The row that tuple j names, or -1 after a report.
  __device__ int64_t row(int64_t j) const {
    int64_t row = 0;
#pragma unroll
    for (int k = 0; k < ScatterArgs::max_depth; ++k) {  // unrolled: sizes stay in constant memory
      if (k >= depth) break;
      const int64_t position = j * depth + k, size = sizes[k], given = cuda::load_integer(indices, dtype, position);
      int64_t index = given;
      if (index < 0 && wrap && index >= -size) index += size;
      if (index < 0 || index >= size) {
        reporter.bad(position, given);
        return -1;
      }
      row = row * size + index;
    }
    return row;
  }
};
Places places_of(const ScatterArgs& a, const Launch& l) {
  Places p{a.indices, a.index_dtype, a.wrap, a.depth, {}, cuda::reporter(l)};
  for (int k = 0; k < a.depth; ++k) p.sizes[k] = a.sizes[k];
  return p;
}

template <class F>
void for_word(int64_t bytes, F&& fn) {
  switch (bytes) {
    case 1:
      return fn(uint8_t{});
    case 2:
      return fn(uint16_t{});
    case 4:
      return fn(uint32_t{});
    case 8:
      return fn(uint64_t{});
    default:
      return fn(uint4{});
  }
}

// A word of a row a thread: reads the row a tuple names, or (kTo) writes it if this tuple is the last that names it.
template <class T, bool kTo>
__global__ void __launch_bounds__(kThreads)
    copy_rows(const T* x, T* y, Places places, const int32_t* last, int64_t words, int64_t all) {
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < all;
       i += static_cast<int64_t>(gridDim.x) * kThreads) {
    const int64_t j = all < kNarrow ? static_cast<uint32_t>(i) / static_cast<uint32_t>(words) : i / words;
    const int64_t word = i - j * words, row = places.row(j);
    if (kTo) {
      if (row >= 0 && last[row] == static_cast<int32_t>(j)) y[row * words + word] = x[i];
    } else {
      y[i] = row < 0 ? T{} : x[row * words + word];
    }
  }
}

// last[row] = the last tuple that names it, from -1.
__global__ void __launch_bounds__(kThreads) find_last(Places places, int32_t* last, int64_t count) {
  for (int64_t j = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; j < count;
       j += static_cast<int64_t>(gridDim.x) * kThreads) {
    const int64_t row = places.row(j);
    if (row >= 0) atomicMax(last + row, static_cast<int32_t>(j));
  }
}

__global__ void __launch_bounds__(kThreads)
    number_places(cuda::NarrowItem* items, Places places, int64_t rows, int64_t count) {
  for (int64_t j = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; j < count;
       j += static_cast<int64_t>(gridDim.x) * kThreads) {
    const int64_t row = places.row(j);
    items[j] = {static_cast<uint32_t>(row < 0 ? rows : row), static_cast<uint32_t>(j)};
  }
}

template <class T>
__global__ void __launch_bounds__(kThreads) fill(T* y, T value, int64_t count) {
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < count;
       i += static_cast<int64_t>(gridDim.x) * kThreads)
    y[i] = value;
}

template <class T>
inline constexpr bool kIsFloat = static_cast<T>(0.5f) != static_cast<T>(0.f);
template <>
inline constexpr bool kIsFloat<__nv_bfloat16> = true;
template <>
inline constexpr bool kIsFloat<__half> = true;
template <class T>
struct AccOf {
  using type = int64_t;
};
template <>
struct AccOf<float> {
  using type = float;
};
template <>
struct AccOf<__nv_bfloat16> {
  using type = float;
};
template <>
struct AccOf<__half> {
  using type = float;
};
template <>
struct AccOf<double> {
  using type = double;
};

// Integers wrap; of two extremes a NaN wins.
template <class T>
struct Combine {
  using Acc = typename AccOf<T>::type;
  ScatterMode mode;
  static __device__ __forceinline__ Acc load(T v) {
    if constexpr (sizeof(Acc) == 4)
      return cuda::to_float(v);
    else
      return static_cast<Acc>(v);
  }
  __device__ __forceinline__ Acc operator()(Acc y, Acc x) const {
    if (mode == ScatterMode::max) return x > y || x != x ? x : y;
    if (mode == ScatterMode::min) return x < y || x != x ? x : y;
    if constexpr (kIsFloat<Acc>)
      return mode == ScatterMode::add ? y + x : y * x;
    else
      return static_cast<Acc>(mode == ScatterMode::add ? static_cast<uint64_t>(y) + static_cast<uint64_t>(x)
                                                       : static_cast<uint64_t>(y) * static_cast<uint64_t>(x));
  }
  __device__ __forceinline__ T finish(T y, Acc a) const {
    const Acc v = (*this)(load(y), a);
    if constexpr (sizeof(Acc) == 4)
      return cuda::from_float<T>(v);
    else
      return static_cast<T>(v);
  }
};

// fn(T{}, the neutral element of max, of min).
template <class F>
void for_type(DType dtype, F&& fn) {
  const auto of_integer = [&]<class I>(I) {
    constexpr I top = static_cast<I>(~uint64_t{0} >> (64 - 8 * sizeof(I) + (I(-1) < I(0))));
    fn(I{}, I(-1) < I(0) ? static_cast<I>(-top - 1) : I(0), top);
  };
  switch (dtype) {
    case DType::f32:
      return fn(float{}, -INFINITY, INFINITY);
    case DType::bf16:
      return fn(__nv_bfloat16{}, __float2bfloat16(-INFINITY), __float2bfloat16(INFINITY));
    case DType::f16:
      return fn(__half{}, __float2half(-INFINITY), __float2half(INFINITY));
    case DType::f64:
      return fn(double{}, -static_cast<double>(INFINITY), static_cast<double>(INFINITY));
    case DType::i8:
      return of_integer(int8_t{});
    case DType::u8:
      return of_integer(uint8_t{});
    case DType::i16:
      return of_integer(int16_t{});
    case DType::u32:
      return of_integer(uint32_t{});
    case DType::i64:
      return of_integer(int64_t{});
    default:
      return of_integer(int32_t{});
  }
}

void start(const ScatterArgs& a, const Launch& l) {
  const int64_t count = a.rows * a.inner;
  const auto bytes = static_cast<size_t>(count * a.bytes);
  if (a.base) {
    if (a.base != a.y)
      cuda::check(cudaMemcpyAsync(a.y, a.base, bytes, cudaMemcpyDeviceToDevice, cuda::stream(l)), "copy");
    return;
  }
  if (a.mode == ScatterMode::set || a.mode == ScatterMode::add) {
    cuda::check(cudaMemsetAsync(a.y, 0, bytes, cuda::stream(l)), "fill");
    return;
  }
  for_type(a.dtype, [&]<class T>(T, T least, T greatest) {
    const T one = static_cast<T>(1.f);
    const T value = a.mode == ScatterMode::multiply ? one : a.mode == ScatterMode::max ? least : greatest;
    cuda::launch(l, fill<T>, cuda::blocks_for(count, kThreads), kThreads, 0, static_cast<T*>(a.y), value, count);
  });
}

// The widest word that rows may be moved by.
int64_t word_of(const ScatterArgs& a) {
  const uint64_t all = reinterpret_cast<uintptr_t>(a.x) | reinterpret_cast<uintptr_t>(a.y) |
                       static_cast<uint64_t>(a.inner * a.bytes) | 16;
  return static_cast<int64_t>(all & (~all + 1));
}

}  // namespace

size_t scatter_cuda_scratch(const ScatterArgs& a) {
  if (a.mode == ScatterMode::set) return static_cast<size_t>(a.rows) * sizeof(int32_t);
  return cuda::sorted_scratch(a.count, 1, a.inner);
}

void scatter_cuda(const ScatterArgs& a, const Launch& l) {
  if (a.rows * a.inner == 0 && a.count == 0) return;
  if (a.rows * a.inner > 0) start(a, l);
  if (a.count == 0) return;
  const unsigned grid = cuda::blocks_for(a.count, kThreads);
  if (a.mode == ScatterMode::set) {
    auto* const last = static_cast<int32_t*>(l.scratch);
    if (a.rows)
      cuda::check(cudaMemsetAsync(last, 0xff, static_cast<size_t>(a.rows) * sizeof(int32_t), cuda::stream(l)), "fill");
    cuda::launch(l, find_last, grid, kThreads, 0, places_of(a, l), last, a.count);
    if (a.inner == 0) return;
    for_word(word_of(a), [&](auto word) {
      using T = decltype(word);
      const int64_t words = a.inner * a.bytes / static_cast<int64_t>(sizeof(T)), all = a.count * words;
      cuda::launch(l, copy_rows<T, true>, cuda::blocks_for(all, kThreads), kThreads, 0, static_cast<const T*>(a.x),
                   static_cast<T*>(a.y), places_of(a, l), last, words, all);
    });
    return;
  }
  auto* const items = static_cast<cuda::NarrowItem*>(l.scratch);
  cuda::launch(l, number_places, grid, kThreads, 0, items, places_of(a, l), a.rows, a.count);
  if (a.rows * a.inner == 0) return;
  const cuda::SortedRows rows = cuda::sort_rows(l, items, a.count, a.rows, 1, a.inner);
  for_type(a.dtype, [&]<class T>(T, T, T) {
    cuda::fold_sorted(l, rows, static_cast<const T*>(a.x), static_cast<T*>(a.y), Combine<T>{a.mode});
  });
}

void gather_nd_cuda(const ScatterArgs& a, const Launch& l) {
  if (a.count * a.inner == 0) return;
  for_word(word_of(a), [&](auto word) {
    using T = decltype(word);
    const int64_t words = a.inner * a.bytes / static_cast<int64_t>(sizeof(T)), all = a.count * words;
    cuda::launch(l, copy_rows<T, false>, cuda::blocks_for(all, kThreads), kThreads, 0, static_cast<const T*>(a.x),
                 static_cast<T*>(a.y), places_of(a, l), nullptr, words, all);
  });
}

}  // namespace maas
