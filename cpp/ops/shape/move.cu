// Moves on a GPU: whole elements of 1, 2, 4 or 8 bytes, 16 bytes at a time where addresses and sizes allow.
#include <algorithm>
#include <cstring>
#include <type_traits>

#include "core/element_io.h"
#include "cuda/divide.h"
#include "cuda/element.h"
#include "cuda/launch.h"
#include "cuda/vector.h"
#include "ops/shape/move_kernels.h"
#include "ops/shape/shape_of_kernels.h"

#define MAAS_KERNELS "ops/shape/concatenate_kernels.inc"
#define MAAS_KERNEL_ARGS ConcatenateArgs
#define MAAS_KERNEL_TABLE concatenate_kernels
#include "cuda/kernel_table.h"

#define MAAS_KERNELS "ops/shape/place_kernels.inc"
#define MAAS_KERNEL_ARGS PlaceArgs
#define MAAS_KERNEL_TABLE place_kernels
#include "cuda/kernel_table.h"

#define MAAS_KERNELS "ops/shape/arange_kernels.inc"
#define MAAS_KERNEL_ARGS ArangeArgs
#define MAAS_KERNEL_TABLE arange_kernels
#include "cuda/kernel_table.h"

#define MAAS_KERNELS "ops/shape/one_hot_kernels.inc"
#define MAAS_KERNEL_ARGS OneHotArgs
#define MAAS_KERNEL_TABLE one_hot_kernels
#include "cuda/kernel_table.h"

#define MAAS_KERNELS "ops/shape/shape_of_kernels.inc"
#define MAAS_KERNEL_ARGS ShapeOfArgs
#define MAAS_KERNEL_TABLE shape_of_kernels
#include "cuda/kernel_table.h"

namespace maas {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kNarrow = int64_t{1} << 31;  // positions below it are divided by multiplications

// Calls fn with a value of an unsigned type of so many bytes.
template <class F>
void for_bytes(int64_t bytes, F&& fn) {
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
template <class F>
void for_index(int64_t count, F&& fn) {
  if (count < kNarrow)
    fn(uint32_t{});
  else
    fn(int64_t{});
}
unsigned grid(int64_t threads) { return cuda::blocks_for(threads, kThreads); }
template <class Index>
__device__ __forceinline__ Index first_position() {
  return static_cast<Index>(blockIdx.x) * kThreads + static_cast<Index>(threadIdx.x);
}
template <class Index>
__device__ __forceinline__ Index step_of_grid() {
  return static_cast<Index>(gridDim.x) * kThreads;
}

// ---- concatenate: dense parts together, each row of y from several; the others one by one

// Rows of y, of which this launch writes `width` words each, from `start` on.
constexpr int kParts = 16;
template <class Index>
struct Joined {
  const void* x[kParts];
  int64_t end[kParts];  // in words of a row, counted from `start`
  int64_t row, start;   // words
  cuda::Divisor<Index> width;
  Index count;  // words to write
};

template <class T, class Index>
__global__ void __launch_bounds__(kThreads) join(T* y, const Joined<Index> p, int parts) {
  for (Index i = first_position<Index>(); i < p.count; i += step_of_grid<Index>()) {
    Index o = i;
    const int64_t at = split(o, p.width);
    int64_t begin = 0;
    int k = 0;
    while (k < parts - 1 && at >= p.end[k]) begin = p.end[k++];
    const T* x = static_cast<const T*>(p.x[k]);
    y[static_cast<int64_t>(o) * p.row + p.start + at] = x[static_cast<int64_t>(o) * (p.end[k] - begin) + at - begin];
  }
}

void join_dense(const ConcatenateArgs& a, int first, int last, const Launch& l) {
  const int64_t start = a.parts[first].offset, stop = a.parts[last - 1].offset + a.parts[last - 1].size;
  // The widest word that divides every address, offset and row.
  uint64_t all = reinterpret_cast<uintptr_t>(a.y) | static_cast<uint64_t>(start * a.inner * a.bytes) |
                 static_cast<uint64_t>(a.total * a.inner * a.bytes) | 16;
  for (int k = first; k < last; ++k)
    all |= reinterpret_cast<uintptr_t>(a.parts[k].x) | static_cast<uint64_t>(a.parts[k].size * a.inner * a.bytes);
  const int64_t word = static_cast<int64_t>(all & (~all + 1));
  const int64_t scale = a.inner * a.bytes;  // bytes along the axis
  const int64_t width = (stop - start) * scale / word, count = a.outer * width;
  for_index(count, [&](auto index) {
    using Index = decltype(index);
    Joined<Index> p{};
    for (int k = first; k < last; ++k) {
      p.x[k - first] = a.parts[k].x;
      p.end[k - first] = (a.parts[k].offset + a.parts[k].size - start) * scale / word;
    }
    p.row = a.total * scale / word;
    p.start = start * scale / word;
    p.width = cuda::Divisor<Index>(width);
    p.count = static_cast<Index>(count);
    for_bytes(word, [&](auto w) {
      using T = decltype(w);
      cuda::launch(l, join<T, Index>, grid(count), kThreads, 0, static_cast<T*>(a.y), p, last - first);
    });
  });
}

template <class Index>
struct Strided {
  cuda::Divisor<Index> shape[kMoveRank];  // of the part, last axis first
  int64_t strides[kMoveRank];
  int rank;
  cuda::Divisor<Index> block;  // elements of the part in one o
  int64_t row, start;          // elements of y in one o, and those before the part
  Index count;
};

template <class T, class Index>
__global__ void __launch_bounds__(kThreads) join_strided(const T* x, T* y, const Strided<Index> p) {
  for (Index i = first_position<Index>(); i < p.count; i += step_of_grid<Index>()) {
    Index rest = i, o = i;
    const int64_t inside = split(o, p.block);
    int64_t at = 0;
    for (int d = 0; d < p.rank; ++d) at += static_cast<int64_t>(split(rest, p.shape[d])) * p.strides[d];
    y[static_cast<int64_t>(o) * p.row + p.start + inside] = x[at];
  }
}

void join_one(const ConcatenateArgs& a, const ConcatenateArgs::Part& part, const Launch& l) {
  const int64_t block = part.size * a.inner, count = a.outer * block;
  for_index(count, [&](auto index) {
    using Index = decltype(index);
    Strided<Index> p{};
    p.rank = a.rank;
    for (int d = 0; d < a.rank; ++d) {
      const int from = a.rank - 1 - d;
      p.shape[d] = cuda::Divisor<Index>(from == a.axis ? part.size : a.shape[from]);
      p.strides[d] = part.strides[from];
    }
    p.block = cuda::Divisor<Index>(block);
    p.row = a.total * a.inner;
    p.start = part.offset * a.inner;
    p.count = static_cast<Index>(count);
    for_bytes(a.bytes, [&](auto w) {
      using T = decltype(w);
      cuda::launch(l, join_strided<T, Index>, grid(count), kThreads, 0, static_cast<const T*>(part.x),
                   static_cast<T*>(a.y), p);
    });
  });
}

// ---- place

template <class Index>
struct Placed {
  cuda::Divisor<Index> columns, shape[kMoveRank];  // vectors in a row of y; the outer sizes of y, last one first
  int64_t x_size[kMoveRank], begin[kMoveRank], step[kMoveRank];
  int64_t x_columns, first, stride;  // of the last axis
  int outer;
  Index count;  // vectors
};

template <class T, int kWidth, class Index>
__global__ void __launch_bounds__(kThreads) place(const T* x, T* y, T value, const Placed<Index> p) {
  for (Index i = first_position<Index>(); i < p.count; i += step_of_grid<Index>()) {
    Index rest = i;
    const int64_t column = static_cast<int64_t>(split(rest, p.columns)) * kWidth - p.first;
    int64_t at = 0, scale = p.x_columns;
    bool inside = true;
    for (int d = 0; d < p.outer; ++d) {
      const int64_t from = static_cast<int64_t>(split(rest, p.shape[d])) - p.begin[d];
      const int64_t q = p.step[d] == 1 ? from : from / p.step[d];
      inside = inside && from >= 0 && q * p.step[d] == from && q < p.x_size[d];
      at += q * scale;
      scale *= p.x_size[d];
    }
    cuda::Vector<T, kWidth> v;
#pragma unroll
    for (int j = 0; j < kWidth; ++j) {
      const int64_t c = column + j, q = p.stride == 1 ? c : c / p.stride;
      v[j] = inside && c >= 0 && q * p.stride == c && q < p.x_columns ? x[at + q] : value;
    }
    cuda::store(y + static_cast<int64_t>(i) * kWidth, v);
  }
}

// ---- one_hot

struct Classes {
  const void* indices;
  DType dtype;
};

template <class T, int kWidth, class Index>
__global__ void __launch_bounds__(kThreads)
    one_hot(const Classes from, T* y, T on, cuda::Divisor<Index> classes, Index count) {
  for (Index i = first_position<Index>(); i < count; i += step_of_grid<Index>()) {
    Index row = i;
    const int64_t first = static_cast<int64_t>(split(row, classes)) * kWidth;
    const int64_t at = cuda::load_integer(from.indices, from.dtype, row) - first;
    cuda::Vector<T, kWidth> v;
#pragma unroll
    for (int j = 0; j < kWidth; ++j) v[j] = at == j ? on : T(0);
    cuda::store(y + static_cast<int64_t>(i) * kWidth, v);
  }
}

// ---- arange, shape_of

__global__ void __launch_bounds__(kThreads) arange(void* y, DType dtype, int64_t size, double start, double step) {
  // Rounded twice, as on the CPU.
  for (int64_t i = first_position<int64_t>(); i < size; i += step_of_grid<int64_t>())
    cuda::store_element(y, dtype, i, __dadd_rn(start, __dmul_rn(static_cast<double>(i), step)));
}

struct Sizes {
  int32_t at[ShapeOfArgs::max_rank];
};
__global__ void shape_of(int32_t* y, const Sizes sizes, int rank) {
  const int i = static_cast<int>(threadIdx.x);
  if (i < rank) y[i] = sizes.at[i];
}

// Elements of a row of `columns` that one store may take.
int64_t store_width(const void* y, int64_t columns, int64_t bytes) {
  const uint64_t all = reinterpret_cast<uintptr_t>(y) | static_cast<uint64_t>(columns * bytes) | 16;
  return static_cast<int64_t>(all & (~all + 1)) / bytes;
}

// Calls fn(a value of the element's type, its width as a constant) for stores of 16 bytes or of one element.
template <class F>
void for_store(const void* y, int64_t columns, int64_t bytes, F&& fn) {
  const bool wide = store_width(y, columns, bytes) * bytes == 16;
  for_bytes(bytes, [&](auto w) {
    using T = decltype(w);
    if constexpr (sizeof(T) <= 8) {
      if (wide)
        fn(w, std::integral_constant<int, 16 / static_cast<int>(sizeof(T))>{});
      else
        fn(w, std::integral_constant<int, 1>{});
    }
  });
}

}  // namespace

void concatenate_cuda(const ConcatenateArgs& a, const Launch& l) {
  if (a.outer == 0 || a.inner == 0) return;
  for (int k = 0; k < a.inputs;) {
    if (!a.parts[k].dense) {
      join_one(a, a.parts[k++], l);
      continue;
    }
    int last = k + 1;
    while (last < a.inputs && a.parts[last].dense && last - k < kParts) ++last;
    join_dense(a, k, last, l);
    k = last;
  }
}

void place_cuda(const PlaceArgs& a, const Launch& l) {
  const int last = a.rank - 1;
  const int64_t columns = a.y_shape[last];
  if (a.rows == 0 || columns == 0) return;
  for_store(a.y, columns, a.bytes, [&](auto w, auto width) {
    using T = decltype(w);
    constexpr int kWidth = decltype(width)::value;
    const int64_t count = a.rows * (columns / kWidth);
    for_index(count, [&](auto index) {
      using Index = decltype(index);
      Placed<Index> p{};
      p.columns = cuda::Divisor<Index>(columns / kWidth);
      p.x_columns = a.x_shape[last];
      p.first = a.begin[last];
      p.stride = a.step[last];
      p.outer = last;
      for (int d = 0; d < last; ++d) {
        const int from = last - 1 - d;
        p.shape[d] = cuda::Divisor<Index>(a.y_shape[from]);
        p.x_size[d] = a.x_shape[from];
        p.begin[d] = a.begin[from];
        p.step[d] = a.step[from];
      }
      p.count = static_cast<Index>(count);
      T value;
      std::memcpy(&value, a.value, sizeof value);
      cuda::launch(l, place<T, kWidth, Index>, grid(count), kThreads, 0, static_cast<const T*>(a.x),
                   static_cast<T*>(a.y), value, p);
    });
  });
}

void one_hot_cuda(const OneHotArgs& a, const Launch& l) {
  if (a.rows == 0 || a.classes == 0) return;
  const int64_t bytes = bit_size(a.dtype) / 8;
  for_store(a.y, a.classes, bytes, [&](auto w, auto width) {
    using T = decltype(w);
    constexpr int kWidth = decltype(width)::value;
    T on{};
    store_element(&on, a.dtype, 0, 1.0);
    const int64_t count = a.rows * (a.classes / kWidth);
    for_index(count, [&](auto index) {
      using Index = decltype(index);
      cuda::launch(l, one_hot<T, kWidth, Index>, grid(count), kThreads, 0, Classes{a.indices, a.index_dtype},
                   static_cast<T*>(a.y), on, cuda::Divisor<Index>(a.classes / kWidth), static_cast<Index>(count));
    });
  });
}

void arange_cuda(const ArangeArgs& a, const Launch& l) {
  if (a.size == 0) return;
  cuda::launch(l, arange, grid(a.size), kThreads, 0, a.y, a.dtype, a.size, a.start, a.step);
}

void shape_of_cuda(const ShapeOfArgs& a, const Launch& l) {
  Sizes sizes{};
  std::copy(a.sizes, a.sizes + a.rank, sizes.at);
  cuda::launch(l, shape_of, 1, 32, 0, a.y, sizes, a.rank);
}

}  // namespace maas
