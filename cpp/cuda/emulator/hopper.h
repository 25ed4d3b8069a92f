#pragma once
// cuda/tma.h and cuda/wgmma.h for the emulator. Copies and products happen at once, so a wait that is missing does not
// show; layouts, descriptors, counts of bytes and of arrivals, and bounds do. Clusters are of one block.
#include <cuda.h>
#include <string.h>

#include "core/error.h"
#include "cuda/emulator/collectives.h"
#include "cuda/vector.h"

namespace maas::cuda {

// ---- tensor maps

struct EmulatedMap {
  const unsigned char* data;
  int64_t sizes[5], strides[5];  // innermost first; strides in bytes
  uint16_t box[5];
  uint8_t rank, element, swizzled, pad;
};
static_assert(sizeof(EmulatedMap) <= sizeof(CUtensorMap));

inline CUtensorMap tensor_map(CUtensorMapDataType, int element_bytes, const void* data, int rank, const int64_t* shape,
                              const int64_t* strides, const int* box,
                              CUtensorMapSwizzle swizzle = CU_TENSOR_MAP_SWIZZLE_128B) {
  EmulatedMap m{};
  m.data = static_cast<const unsigned char*>(data);
  m.rank = static_cast<uint8_t>(rank);
  m.element = static_cast<uint8_t>(element_bytes);
  m.swizzled = swizzle == CU_TENSOR_MAP_SWIZZLE_128B;
  bool good = reinterpret_cast<uintptr_t>(data) % 16 == 0 && (m.swizzled || swizzle == CU_TENSOR_MAP_SWIZZLE_NONE);
  for (int i = 0; i < rank; ++i) {
    const int axis = rank - 1 - i;
    m.sizes[i] = shape[axis];
    m.strides[i] = i == 0 ? element_bytes : strides[axis] * element_bytes;
    m.box[i] = static_cast<uint16_t>(box[axis]);
    good = good && shape[axis] >= 1 && box[axis] >= 1 && box[axis] <= 256 &&
           (i == 0 || (m.strides[i] > 0 && m.strides[i] % 16 == 0));
  }
  good = good && box[rank - 1] * element_bytes % 16 == 0 && (!m.swizzled || box[rank - 1] * element_bytes <= 128);
  if (!good) fail(ErrorKind::runtime, "tensor map: the driver answered 1");
  CUtensorMap map{};
  memcpy(static_cast<void*>(&map), &m, sizeof m);
  return map;
}

inline unsigned char* align_1024(unsigned char* p) {
  return p + ((1024 - (reinterpret_cast<uintptr_t>(p) & 1023)) & 1023);
}
inline uint32_t swizzle_128(uint32_t row, uint32_t byte) { return row * 128 + (byte ^ ((row & 7) << 4)); }

// ---- barriers in shared memory

struct EmulatedBarrier {
  int32_t bytes;  // that copies still bring
  uint16_t pending;
  uint16_t arrivals : 15, phase : 1;
};
inline EmulatedBarrier& barrier_of(uint64_t* p) { return *reinterpret_cast<EmulatedBarrier*>(p); }
inline void barrier_moves(uint64_t* p, int arrivals, int bytes) {
  EmulatedBarrier& b = barrier_of(p);
  emulator::progress();
  b.bytes += bytes;
  if (arrivals > b.pending) emulator::fault(cudaErrorLaunchFailure, "mbarrier: more arrivals than it was made for");
  b.pending = static_cast<uint16_t>(b.pending - arrivals);
  if (b.pending || b.bytes) return;
  b.pending = b.arrivals;
  b.phase ^= 1;
}
inline void mbarrier_init(uint64_t* p, int arrivals) {
  emulator::aligned(p);
  barrier_of(p) = {0, static_cast<uint16_t>(arrivals), static_cast<uint16_t>(arrivals), 0};
}
inline void mbarrier_init_fence() {}
inline void mbarrier_expect(uint64_t* p, uint32_t bytes) {
  if (bytes >= 1u << 20) emulator::fault(cudaErrorLaunchFailure, "mbarrier: more bytes than it counts");
  barrier_moves(p, 1, static_cast<int>(bytes));
}
inline void mbarrier_arrive(uint64_t* p) { barrier_moves(p, 1, 0); }
inline void mbarrier_arrive_at(uint64_t* p, uint32_t rank) {
  if (rank) emulator::fault(cudaErrorLaunchFailure, "the emulator has no clusters");
  barrier_moves(p, 1, 0);
}
inline bool mbarrier_try(uint64_t* p, uint32_t parity) {
  if (barrier_of(p).phase != parity) return true;
  emulator::yield();
  return barrier_of(p).phase != parity;
}
inline void mbarrier_wait(uint64_t* p, uint32_t parity) {
  while (!mbarrier_try(p, parity)) {
  }
}
inline void mbarrier_wait_cluster(uint64_t* p, uint32_t parity) { mbarrier_wait(p, parity); }

// ---- copies

inline void tma_prefetch(const CUtensorMap&) {}
// Every element of the box, in order: fn(address in the tensor or null beyond it, address in the block).
template <class Fn>
void each_of_box(const CUtensorMap& map, const void* block, const int64_t (&at)[5], Fn&& fn) {
  EmulatedMap m;
  memcpy(static_cast<void*>(&m), &map, sizeof m);
  if (reinterpret_cast<uintptr_t>(block) % (m.swizzled ? 1024 : 128) != 0 && m.swizzled &&
      reinterpret_cast<uintptr_t>(block) % 128)
    emulator::fault(cudaErrorMisalignedAddress, "bulk tensor copy: the block is not aligned");
  int64_t count = 1;
  for (int i = 0; i < m.rank; ++i) count *= m.box[i];
  for (int64_t e = 0; e < count; ++e) {
    const unsigned char* from = m.data;
    bool in = true;
    int64_t rest = e;
    for (int i = 0; i < m.rank; ++i) {
      const int64_t x = at[i] + rest % m.box[i];
      rest /= m.box[i];
      in = in && x >= 0 && x < m.sizes[i];
      from += x * m.strides[i];
    }
    uintptr_t to = reinterpret_cast<uintptr_t>(block) + static_cast<uintptr_t>(e * m.element);
    if (m.swizzled) to ^= (to >> 7 & 7) << 4;
    fn(in ? const_cast<unsigned char*>(from) : nullptr, reinterpret_cast<unsigned char*>(to), m.element);
  }
}
inline void emulated_load(void* block, const CUtensorMap& map, uint64_t* barrier, const int64_t (&at)[5]) {
  int bytes = 0;
  each_of_box(map, block, at, [&](unsigned char* from, unsigned char* to, int size) {
    if (from)
      memcpy(to, from, static_cast<size_t>(size));
    else
      memset(to, 0, static_cast<size_t>(size));
    bytes += size;
  });
  barrier_moves(barrier, 0, -bytes);
}
inline void tma_load(void* block, const CUtensorMap& map, uint64_t* barrier, int c0, int c1) {
  emulated_load(block, map, barrier, {c0, c1, 0, 0, 0});
}
inline void tma_load(void* block, const CUtensorMap& map, uint64_t* barrier, int c0, int c1, int c2) {
  emulated_load(block, map, barrier, {c0, c1, c2, 0, 0});
}
inline void tma_load(void* block, const CUtensorMap& map, uint64_t* barrier, int c0, int c1, int c2, int c3) {
  emulated_load(block, map, barrier, {c0, c1, c2, c3, 0});
}
inline void tma_load_multicast(void* block, const CUtensorMap& map, uint64_t* barrier, uint16_t, int c0, int c1,
                               int c2) {
  emulated_load(block, map, barrier, {c0, c1, c2, 0, 0});
}
inline void emulated_store(const CUtensorMap& map, const void* block, const int64_t (&at)[5]) {
  each_of_box(map, block, at, [](unsigned char* to, unsigned char* from, int size) {
    if (to) memcpy(to, from, static_cast<size_t>(size));
  });
}
inline void tma_store(const CUtensorMap& map, const void* block, int c0, int c1, int c2) {
  emulated_store(map, block, {c0, c1, c2, 0, 0});
}
inline void tma_store(const CUtensorMap& map, const void* block, int c0, int c1, int c2, int c3) {
  emulated_store(map, block, {c0, c1, c2, c3, 0});
}
inline void tma_store_commit() {}
template <int kLeft>
void tma_store_wait() {}
inline void tma_store_done() {}
inline void copy_fence() {}

// ---- warp-specialised kernels

inline bool elect_one() { return lane() == 0; }
template <int kRegisters>
void fewer_registers() {}
template <int kRegisters>
void more_registers() {}
inline void named_barrier_arrive(int number, int threads) { emulator::named_arrive(number, threads); }
inline void named_barrier(int number, int threads) {
  const uint64_t turn = emulator::named_turn(number);
  emulator::named_arrive(number, threads);
  while (emulator::named_turn(number) == turn) emulator::yield();
}
inline uint32_t cluster_rank() { return 0; }
inline void cluster_arrive() {}
inline void cluster_wait() { __syncthreads(); }
inline void cluster_sync() { __syncthreads(); }

// ---- products of a warpgroup

// Descriptors hold addresses relative to this.
inline uintptr_t emulated_window() {
  return reinterpret_cast<uintptr_t>(emulator::dynamic_shared()) & ~uintptr_t{1023};
}
inline uint64_t wgmma_descriptor(const void* block, uint32_t leading_bytes, uint32_t stride_bytes) {
  const auto address = reinterpret_cast<uintptr_t>(block) - emulated_window();
  return static_cast<uint64_t>((address & 0x3ffff) >> 4) | static_cast<uint64_t>(leading_bytes >> 4) << 16 |
         static_cast<uint64_t>(stride_bytes >> 4) << 32 | 1ull << 62;
}
inline uint64_t k_major(const void* block) { return wgmma_descriptor(block, 16, 1024); }
inline uint64_t mn_major(const void* block, uint32_t block_bytes) { return wgmma_descriptor(block, block_bytes, 1024); }
template <bool kTrans>
uint64_t next_k(uint64_t descriptor, int steps) {
  return descriptor + static_cast<uint64_t>(steps * (kTrans ? 128 : 2));
}
inline void wgmma_fence() {}
inline void wgmma_commit() {}
template <int kLeft>
void wgmma_wait() {}
template <int kCount>
void keep(float (&)[kCount]) {}

inline void store_matrix(void* row, uint32_t r0, uint32_t r1, uint32_t r2, uint32_t r3) {
  emulator::aligned(static_cast<uint4*>(row));
  const uint32_t r[4] = {r0, r1, r2, r3};
#pragma GCC unroll 4
  for (int m = 0; m < 4; ++m)
    for (int line = 0; line < 8; ++line) {
      // Lanes 4 * line .. of matrix m go to the row that lane 8 * m + line names.
      const auto to =
          emulator::shuffle(kAllLanes, reinterpret_cast<uint64_t>(row), emulator::Shuffle::index, m * 8 + line, 32);
      if (lane() / 4 == line) memcpy(reinterpret_cast<unsigned char*>(to) + lane() % 4 * 4, &r[m], 4);
    }
  __syncwarp();
}
template <class T>
uint32_t pack(float low, float high) {
  const T pair[2] = {static_cast<T>(low), static_cast<T>(high)};
  uint32_t r;
  memcpy(&r, static_cast<const void*>(pair), 4);
  return r;
}

// Element (mn, k) of an operand in shared memory; k < 16.
template <class T, bool kTrans>
float operand(uint64_t descriptor, int mn, int k) {
  const uint64_t leading = (descriptor >> 16 & 0x3fff) << 4, stride = (descriptor >> 32 & 0x3fff) << 4;
  uint64_t at = (descriptor & 0x3fff) << 4;
  if (kTrans)
    at += mn / 64 * leading + k / 8 * stride + k % 8 * 128 + mn % 64 * 2;
  else
    at += mn / 8 * stride + mn % 8 * 128 + k * 2;
  at ^= (at >> 7 & 7) << 4;
  return to_float(*reinterpret_cast<const T*>(emulated_window() + at));
}

template <class T, int N>
struct Wgmma {
  template <bool kTransA, bool kTransB>
  static void ss(float (&d)[N / 2], uint64_t a, uint64_t b, int add) {
    const int row = thread_rank() % 128 / 32 * 16 + lane() / 4;
    float left[2][16];
    for (int h = 0; h < 2; ++h)
      for (int k = 0; k < 16; ++k) left[h][k] = operand<T, kTransA>(a, row + h * 8, k);
    sum<kTransB>(d, left, b, add);
  }
  template <bool kTransB>
  static void rs(float (&d)[N / 2], const uint32_t (&a)[4], uint64_t b, int add) {
    // The fragments of the four lanes that share rows make up the rows.
    float left[2][16];
    for (int q = 0; q < 4; ++q)
      for (int i = 0; i < 4; ++i) {
        const uint32_t word = emulator::shuffle(kAllLanes, a[i], emulator::Shuffle::index, lane() / 4 * 4 + q, 32);
        T pair[2];
        memcpy(static_cast<void*>(pair), &word, 4);
        for (int e = 0; e < 2; ++e) left[i % 2][i / 2 * 8 + q * 2 + e] = to_float(pair[e]);
      }
    sum<kTransB>(d, left, b, add);
  }

 private:
  template <bool kTransB>
  static void sum(float (&d)[N / 2], const float (&left)[2][16], uint64_t b, int add) {
    for (int j = 0; j < N / 8; ++j)
      for (int e = 0; e < 2; ++e) {
        float right[16];
        for (int k = 0; k < 16; ++k) right[k] = operand<T, kTransB>(b, j * 8 + lane() % 4 * 2 + e, k);
        for (int h = 0; h < 2; ++h) {
          float v = add ? d[j * 4 + h * 2 + e] : 0.f;
          for (int k = 0; k < 16; ++k) v += left[h][k] * right[k];
          d[j * 4 + h * 2 + e] = v;
        }
      }
  }
};

}  // namespace maas::cuda
