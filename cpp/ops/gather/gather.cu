// Reading by index on a GPU, and its gradients: the ids are sorted, so that every row of the result has one owner that
// adds in a fixed order.
#include "cuda/divide.h"
#include "cuda/element.h"
#include "cuda/launch.h"
#include "cuda/sorted_rows.h"
#include "cuda/vector.h"
#include "ops/gather/gather_kernels.h"

#define MAAS_KERNELS "ops/gather/take_kernels.inc"
#define MAAS_KERNEL_ARGS GatherArgs
#define MAAS_KERNEL_TABLE take_kernels
#include "cuda/kernel_table.h"

#define MAAS_KERNELS "ops/gather/take_gradient_kernels.inc"
#define MAAS_KERNEL_ARGS GatherArgs
#define MAAS_KERNEL_TABLE take_gradient_kernels
#include "cuda/kernel_table.h"

#define MAAS_KERNELS "ops/gather/take_along_kernels.inc"
#define MAAS_KERNEL_ARGS GatherArgs
#define MAAS_KERNEL_TABLE take_along_kernels
#include "cuda/kernel_table.h"

#define MAAS_KERNELS "ops/gather/take_along_gradient_kernels.inc"
#define MAAS_KERNEL_ARGS GatherArgs
#define MAAS_KERNEL_TABLE take_along_gradient_kernels
#include "cuda/kernel_table.h"

namespace maas {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kNarrow = int64_t{1} << 31;

struct Indices {
  const void* at;
  DType dtype;
  int64_t low, size;
  cuda::Reporter reporter;
  // The row that index number `position` names, or -1 after a report.
  __device__ __forceinline__ int64_t row(int64_t position) const {
    const int64_t index = cuda::load_integer(at, dtype, position);
    if (index >= 0 && index < size) return index;
    if (index < 0 && index >= low) return index + size;
    reporter.bad(position, index);
    return -1;
  }
};
Indices indices_of(const GatherArgs& a, const Launch& l) {
  return {a.indices, a.index_dtype, a.low, a.size, cuda::reporter(l)};
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
template <class F>
void for_index(int64_t count, F&& fn) {
  if (count < kNarrow)
    fn(uint32_t{});
  else
    fn(int64_t{});
}

// A word of a row a thread. `words`: in a row; `count`: of indices.
template <class T, class Index>
__global__ void __launch_bounds__(kThreads)
    take_rows(const T* x, T* y, Indices from, cuda::Divisor<Index> words, cuda::Divisor<Index> count, Index all) {
  for (Index i = static_cast<Index>(blockIdx.x) * kThreads + threadIdx.x; i < all;
       i += static_cast<Index>(gridDim.x) * kThreads) {
    Index o = i;
    const Index word = split(o, words), j = split(o, count);
    const int64_t row = from.row(j);
    y[i] = row < 0 ? T{} : x[(static_cast<int64_t>(o) * from.size + row) * words.size() + word];
  }
}

template <class T, class Index>
__global__ void __launch_bounds__(kThreads)
    take_elements(const T* x, T* y, Indices from, cuda::Divisor<Index> inner, cuda::Divisor<Index> count, Index all) {
  for (Index i = static_cast<Index>(blockIdx.x) * kThreads + threadIdx.x; i < all;
       i += static_cast<Index>(gridDim.x) * kThreads) {
    Index o = i;
    const Index n = split(o, inner);
    o = count.quotient(o);
    const int64_t row = from.row(i);
    y[i] = row < 0 ? T{} : x[(static_cast<int64_t>(o) * from.size + row) * inner.size() + n];
  }
}

// A thread owns a column of dx, [o][.][n], and adds in the order of j.
template <class T>
__global__ void __launch_bounds__(kThreads)
    add_elements(const T* dy, T* dx, Indices from, int64_t inner, int64_t count, int64_t columns) {
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < columns;
       i += static_cast<int64_t>(gridDim.x) * kThreads) {
    const int64_t o = i / inner, n = i % inner;
    for (int64_t j = 0; j < count; ++j) {
      const int64_t at = (o * count + j) * inner + n, row = from.row(at);
      if (row < 0) continue;
      T& to = dx[(o * from.size + row) * inner + n];
      if constexpr (sizeof(T) == 8)
        to += dy[at];
      else
        to = cuda::from_float<T>(cuda::to_float(to) + cuda::to_float(dy[at]));
    }
  }
}

__global__ void __launch_bounds__(kThreads) number_rows(cuda::NarrowItem* items, Indices from, int64_t count) {
  for (int64_t j = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; j < count;
       j += static_cast<int64_t>(gridDim.x) * kThreads) {
    const int64_t row = from.row(j);
    items[j] = {static_cast<uint32_t>(row < 0 ? from.size : row), static_cast<uint32_t>(j)};
  }
}

void clear(void* p, int64_t bytes, const Launch& l) {
  if (bytes) cuda::check(cudaMemsetAsync(p, 0, static_cast<size_t>(bytes), cuda::stream(l)), "fill");
}

}  // namespace

void take_cuda(const GatherArgs& a, const Launch& l) {
  const int64_t row = a.inner * a.bytes;
  if (a.outer * a.count * row == 0) return;
  const uint64_t all =
      reinterpret_cast<uintptr_t>(a.x) | reinterpret_cast<uintptr_t>(a.y) | static_cast<uint64_t>(row) | 16;
  for_word(static_cast<int64_t>(all & (~all + 1)), [&](auto word) {
    using T = decltype(word);
    const int64_t words = row / static_cast<int64_t>(sizeof(T)), total = a.outer * a.count * words;
    for_index(total, [&](auto index) {
      using Index = decltype(index);
      cuda::launch(l, take_rows<T, Index>, cuda::blocks_for(total, kThreads), kThreads, 0, static_cast<const T*>(a.x),
                   static_cast<T*>(a.y), indices_of(a, l), cuda::Divisor<Index>(words), cuda::Divisor<Index>(a.count),
                   static_cast<Index>(total));
    });
  });
}

void take_along_cuda(const GatherArgs& a, const Launch& l) {
  const int64_t total = a.outer * a.count * a.inner;
  if (total == 0) return;
  for_word(a.bytes, [&](auto word) {
    using T = decltype(word);
    for_index(total, [&](auto index) {
      using Index = decltype(index);
      cuda::launch(l, take_elements<T, Index>, cuda::blocks_for(total, kThreads), kThreads, 0,
                   static_cast<const T*>(a.x), static_cast<T*>(a.y), indices_of(a, l), cuda::Divisor<Index>(a.inner),
                   cuda::Divisor<Index>(a.count), static_cast<Index>(total));
    });
  });
}

void take_along_gradient_cuda(const GatherArgs& a, const Launch& l) {
  clear(a.y, a.outer * a.size * a.inner * a.bytes, l);
  const int64_t columns = a.outer * a.inner;
  if (columns * a.count == 0) return;
  cuda::for_floating(a.dtype, [&](auto type) {
    using T = decltype(type);
    cuda::launch(l, add_elements<T>, cuda::blocks_for(columns, kThreads), kThreads, 0, static_cast<const T*>(a.x),
                 static_cast<T*>(a.y), indices_of(a, l), a.inner, a.count, columns);
  });
}

size_t take_gradient_cuda_scratch(const GatherArgs& a) { return cuda::sorted_scratch(a.count, a.outer, a.inner); }

void take_gradient_cuda(const GatherArgs& a, const Launch& l) {
  clear(a.y, a.outer * a.size * a.inner * a.bytes, l);
  if (a.count == 0) return;
  auto* const items = static_cast<cuda::NarrowItem*>(l.scratch);
  cuda::launch(l, number_rows, cuda::blocks_for(a.count, kThreads), kThreads, 0, items, indices_of(a, l), a.count);
  if (a.outer * a.inner == 0) return;
  const cuda::SortedRows rows = cuda::sort_rows(l, items, a.count, a.size, a.outer, a.inner);
  cuda::for_floating(a.dtype, [&](auto type) {
    using T = decltype(type);
    cuda::add_sorted(l, rows, static_cast<const T*>(a.x), static_cast<T*>(a.y));
  });
}

}  // namespace maas
