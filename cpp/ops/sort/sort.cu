// Sorts on a GPU. A row that fits into shared memory is sorted there by one block; longer rows by radix, all rows at
// once. Keys are integers in the order of the elements, as on the CPU; with the index behind it no two are equal, so
// that every sort is stable.
#include "cuda/element.h"
#include "cuda/launch.h"
#include "cuda/radix_sort.h"
#include "cuda/shared.h"
#include "ops/sort/sort_kernels.h"

#define MAAS_KERNELS "ops/sort/kernels.inc"
#define MAAS_KERNEL_ARGS SortArgs
#define MAAS_KERNEL_TABLE sort_kernels
#include "cuda/kernel_table.h"

#define MAAS_KERNELS "ops/sort/search_kernels.inc"
#define MAAS_KERNEL_ARGS SearchArgs
#define MAAS_KERNEL_TABLE search_kernels
#include "cuda/kernel_table.h"

namespace maas {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kInBlock = 4096;  // elements; of 64 bits half as many
using cuda::NarrowItem;
using cuda::WideItem;

__device__ __forceinline__ bool before(const NarrowItem& a, const NarrowItem& b) {
  return a.key < b.key || (a.key == b.key && a.index < b.index);
}
__device__ __forceinline__ bool before(const WideItem& a, const WideItem& b) {
  return a.key < b.key || (a.key == b.key && a.index < b.index);
}

__device__ __forceinline__ uint32_t float_key(float v) {
  if (v != v) return 0xffffffffu;
  if (v == 0) v = 0;  // -0
  const uint32_t bits = __float_as_uint(v);
  return bits >> 31 ? ~bits : bits | 0x80000000u;
}
__device__ __forceinline__ uint64_t double_key(double v) {
  if (v != v) return ~uint64_t{0};
  if (v == 0) v = 0;
  const auto bits = static_cast<uint64_t>(__double_as_longlong(v));
  return bits >> 63 ? ~bits : bits | (uint64_t{1} << 63);
}
__device__ __forceinline__ void set_key(NarrowItem& item, const SortArgs& a, int64_t at) {
  uint32_t key;
  if (a.dtype == DType::f32 || a.dtype == DType::bf16 || a.dtype == DType::f16)
    key = float_key(cuda::load_element<float>(a.x, a.dtype, at));
  else
    key = static_cast<uint32_t>(cuda::load_integer(a.x, a.dtype, at)) ^ (a.dtype == DType::u32 ? 0u : 0x80000000u);
  item.key = a.descending ? ~key : key;
}
__device__ __forceinline__ void set_key(WideItem& item, const SortArgs& a, int64_t at) {
  const uint64_t key = a.dtype == DType::f64
                           ? double_key(cuda::load_element<double>(a.x, a.dtype, at))
                           : static_cast<uint64_t>(static_cast<const int64_t*>(a.x)[at]) ^ (uint64_t{1} << 63);
  item.key = a.descending ? ~key : key;
}

template <class Item>
__device__ __forceinline__ Item item_of(const SortArgs& a, int64_t row, int64_t j) {
  Item item;
  set_key(item, a, (row / a.inner * a.size + j) * a.inner + row % a.inner);
  item.index = static_cast<uint32_t>(j);
  return item;
}

// Element j of the result of a row.
__device__ __forceinline__ void write(const SortArgs& a, int64_t row, int64_t j, int64_t index) {
  const int64_t o = row / a.inner, column = row % a.inner;
  const int64_t to = (o * a.keep + j) * a.inner + column, from = (o * a.size + index) * a.inner + column;
  if (a.indices) a.indices[to] = static_cast<int32_t>(index);
  if (!a.values) return;
  switch (a.dtype) {
    case DType::f64:
    case DType::i64:
      static_cast<uint64_t*>(a.values)[to] = static_cast<const uint64_t*>(a.x)[from];
      return;
    case DType::f32:
    case DType::i32:
    case DType::u32:
      static_cast<uint32_t*>(a.values)[to] = static_cast<const uint32_t*>(a.x)[from];
      return;
    case DType::bf16:
    case DType::f16:
    case DType::i16:
      static_cast<uint16_t*>(a.values)[to] = static_cast<const uint16_t*>(a.x)[from];
      return;
    default:
      static_cast<uint8_t*>(a.values)[to] = static_cast<const uint8_t*>(a.x)[from];
  }
}

// Bitonic, in `width` places of shared memory, a power of two.
template <class Item>
__global__ void __launch_bounds__(1024) sort_in_block(SortArgs a, int width) {
  Item* const items = cuda::shared<Item>();
  const int t = static_cast<int>(threadIdx.x), n = static_cast<int>(blockDim.x);
  for (int64_t row = blockIdx.x; row < a.outer * a.inner; row += gridDim.x) {
    for (int i = t; i < width; i += n) {
      Item item;
      item.key = static_cast<decltype(item.key)>(~uint64_t{0});
      item.index = 0xffffffffu;  // behind every element
      items[i] = i < a.size ? item_of<Item>(a, row, i) : item;
    }
    __syncthreads();
    for (int run = 2; run <= width; run *= 2)
      for (int apart = run / 2; apart > 0; apart /= 2) {
        for (int i = t; i < width / 2; i += n) {
          const int low = 2 * i - (i & (apart - 1)), high = low + apart;
          const bool up = (low & run) == 0;
          const Item l = items[low], h = items[high];
          if (before(h, l) == up) {
            items[low] = h;
            items[high] = l;
          }
        }
        __syncthreads();
      }
    for (int64_t j = t; j < a.keep; j += n) write(a, row, j, static_cast<int64_t>(items[j].index));
    __syncthreads();
  }
}

template <class Item>
__global__ void __launch_bounds__(kThreads) make_items(SortArgs a, Item* items, int64_t all) {
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < all;
       i += static_cast<int64_t>(gridDim.x) * kThreads)
    items[i] = item_of<Item>(a, i / a.size, i % a.size);
}
template <class Item>
__global__ void __launch_bounds__(kThreads) write_items(SortArgs a, const Item* items, int64_t all) {
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < all;
       i += static_cast<int64_t>(gridDim.x) * kThreads) {
    const int64_t row = i / a.keep, j = i % a.keep;
    write(a, row, j, static_cast<int64_t>(items[row * a.size + j].index));
  }
}

bool is_wide(const SortArgs& a) { return a.dtype == DType::f64 || a.dtype == DType::i64; }
bool in_block(const SortArgs& a) { return a.size <= (is_wide(a) ? kInBlock / 2 : kInBlock); }

template <class Item>
size_t items_bytes(const SortArgs& a) {
  return (static_cast<size_t>(a.outer * a.inner * a.size) * sizeof(Item) + 255) / 256 * 256;
}
template <class Item>
size_t scratch(const SortArgs& a) {
  return items_bytes<Item>(a) + cuda::radix_scratch<Item>(a.outer * a.inner, a.size);
}

template <class Item>
void sort(const SortArgs& a, const Launch& l) {
  const int64_t rows = a.outer * a.inner;
  if (in_block(a)) {
    int width = 1;
    while (width < a.size) width *= 2;
    const int threads = width / 2 < 32 ? 32 : width / 2 > 512 ? 512 : width / 2;
    cuda::launch(l, sort_in_block<Item>, cuda::blocks_for(rows, 1), static_cast<unsigned>(threads),
                 static_cast<size_t>(width) * sizeof(Item), a, width);
    return;
  }
  auto* const items = static_cast<Item*>(l.scratch);
  cuda::launch(l, make_items<Item>, cuda::blocks_for(rows * a.size, kThreads), kThreads, 0, a, items, rows * a.size);
  const int bits = is_wide(a) ? 64 : 32;
  Item* const sorted =
      cuda::radix_sort(l, items, static_cast<char*>(l.scratch) + items_bytes<Item>(a), rows, a.size, bits);
  cuda::launch(l, write_items<Item>, cuda::blocks_for(rows * a.keep, kThreads), kThreads, 0, a, sorted, rows * a.keep);
}

template <class T>
__global__ void __launch_bounds__(kThreads) search(SearchArgs a) {
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < a.count;
       i += static_cast<int64_t>(gridDim.x) * kThreads) {
    const T v = cuda::load_element<T>(a.values, a.dtype, i);
    int64_t low = 0, high = a.size;
    while (low < high) {
      const int64_t middle = low + (high - low) / 2;
      const T s = cuda::load_element<T>(a.sorted, a.dtype, middle);
      const T x = a.right ? v : s, y = a.right ? s : v;
      const bool less = x < y || (y != y && x == x);  // NaN last
      if (a.right ? !less : less)
        low = middle + 1;
      else
        high = middle;
    }
    a.y[i] = static_cast<int32_t>(low);
  }
}

}  // namespace

size_t sort_cuda_scratch(const SortArgs& a) {
  if (in_block(a)) return 0;
  return is_wide(a) ? scratch<WideItem>(a) : scratch<NarrowItem>(a);
}

void sort_cuda(const SortArgs& a, const Launch& l) {
  if (a.outer * a.inner * a.keep == 0) return;
  if (is_wide(a))
    sort<WideItem>(a, l);
  else
    sort<NarrowItem>(a, l);
}

void searchsorted_cuda(const SearchArgs& a, const Launch& l) {
  if (a.count == 0) return;
  const unsigned grid = cuda::blocks_for(a.count, kThreads);
  if (a.dtype == DType::f64 || a.dtype == DType::f32 || a.dtype == DType::bf16 || a.dtype == DType::f16)
    cuda::launch(l, search<double>, grid, kThreads, 0, a);
  else
    cuda::launch(l, search<int64_t>, grid, kThreads, 0, a);
}

}  // namespace maas
