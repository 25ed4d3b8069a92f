#pragma once
// Stable sort of rows by unsigned keys, 8 bits a pass, lowest first. An item is a key and the number it came with; the
// result does not depend on how blocks are scheduled. For lists that do not fit into one block's shared memory.
#include "cuda/launch.h"
#include "cuda/reduce.h"

namespace maas::cuda {

struct NarrowItem {
  uint32_t key, index;
};
struct WideItem {
  uint64_t key;
  uint64_t index;
};

namespace radix {

constexpr int kThreads = 256, kRounds = 8, kTile = kThreads * kRounds, kDigits = 256;

__host__ __device__ __forceinline__ int64_t tiles(int64_t size) { return (size + kTile - 1) / kTile; }

// How often each digit comes in a tile: places[row][digit][tile].
template <class Item>
__global__ void __launch_bounds__(kThreads)
    count(const Item* items, uint32_t* places, int64_t size, int64_t works, int shift) {
  __shared__ uint32_t counts[kDigits];
  const int t = static_cast<int>(threadIdx.x);
  const int64_t per_row = tiles(size);
  for (int64_t w = blockIdx.x; w < works; w += gridDim.x) {
    counts[t] = 0;
    __syncthreads();
    const int64_t row = w / per_row, tile = w % per_row;
    for (int k = 0; k < kRounds; ++k) {
      const int64_t i = tile * kTile + k * kThreads + t;
      if (i < size) atomicAdd(&counts[items[row * size + i].key >> shift & (kDigits - 1)], 1u);
    }
    __syncthreads();
    places[(row * kDigits + t) * per_row + tile] = counts[t];
    __syncthreads();
  }
}

// Counts to places: the sum of all that comes before, digits first. One block a row.
template <class Count>
__global__ void __launch_bounds__(1024) add_up(Count* places, int64_t per_row, int64_t rows) {
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    uint32_t* const p = places + row * per_row * kDigits;
    uint32_t before = 0;
    for (int64_t first = 0; first < per_row * kDigits; first += blockDim.x) {
      const int64_t i = first + threadIdx.x;
      const uint32_t own = i < per_row * kDigits ? p[i] : 0;
      uint32_t total;
      const uint32_t sum = block_scan(own, Sum{}, 0u, total);
      if (i < per_row * kDigits) p[i] = before + sum - own;
      before += total;
    }
  }
}

template <class Item>
__global__ void __launch_bounds__(kThreads)
    move(const Item* from, Item* to, const uint32_t* places, int64_t size, int64_t works, int shift) {
  __shared__ uint32_t next[kDigits];
  __shared__ uint32_t of_warp[kThreads / kWarp][kDigits];
  const int t = static_cast<int>(threadIdx.x);
  const unsigned below = (1u << lane()) - 1;
  const int64_t per_row = tiles(size);
  for (int64_t w = blockIdx.x; w < works; w += gridDim.x) {
    const int64_t row = w / per_row, tile = w % per_row;
    next[t] = places[(row * kDigits + t) * per_row + tile];
    for (int k = 0; k < kRounds; ++k) {
      for (int v = 0; v < kThreads / kWarp; ++v) of_warp[v][t] = 0;
      __syncthreads();
      const int64_t i = tile * kTile + k * kThreads + t;
      const bool mine = i < size;
      Item item{};
      if (mine) item = from[row * size + i];
      const auto digit = static_cast<unsigned>(item.key >> shift & (kDigits - 1));
      // Lanes without an item have a digit of their own.
      const unsigned same = __match_any_sync(kAllLanes, mine ? digit : static_cast<unsigned>(kDigits));
      if (mine && (same & below) == 0) of_warp[warp()][digit] = static_cast<uint32_t>(__popc(same));
      __syncthreads();
      uint32_t at = next[t];
      for (int v = 0; v < kThreads / kWarp; ++v) {
        const uint32_t n = of_warp[v][t];
        of_warp[v][t] = at;
        at += n;
      }
      next[t] = at;
      __syncthreads();
      if (mine) to[row * size + of_warp[warp()][digit] + __popc(same & below)] = item;
      __syncthreads();
    }
  }
}

}  // namespace radix

// Bytes of scratch that a sort wants besides its items: the items once more, and the places of digits.
template <class Item>
size_t radix_scratch(int64_t rows, int64_t size) {
  return static_cast<size_t>(rows * size) * sizeof(Item) +
         static_cast<size_t>(rows * radix::tiles(size) * radix::kDigits) * sizeof(uint32_t);
}

// Sorts rows of `items` by the lowest `bits` of their keys. Returns where the result is: `items`, or in `scratch`.
template <class Item>
Item* radix_sort(const Launch& l, Item* items, void* scratch, int64_t rows, int64_t size, int bits) {
  if (rows * size == 0) return items;
  Item* other = static_cast<Item*>(scratch);
  auto* const places = reinterpret_cast<uint32_t*>(other + rows * size);
  const int64_t works = rows * radix::tiles(size);
  const unsigned grid = blocks_for(works, 1);
  for (int shift = 0; shift < bits; shift += 8) {
    launch(l, radix::count<Item>, grid, radix::kThreads, 0, items, places, size, works, shift);
    launch(l, radix::add_up<uint32_t>, blocks_for(rows, 1), 1024, 0, places, radix::tiles(size), rows);
    launch(l, radix::move<Item>, grid, radix::kThreads, 0, items, other, places, size, works, shift);
    Item* const swap = items;
    items = other;
    other = swap;
  }
  return items;
}

}  // namespace maas::cuda
