#pragma once
// Matrix products of a warpgroup (Hopper): d += a * b with d (64 x N, float32) in registers, b in shared memory, a in
// shared memory or in registers. T: __nv_bfloat16 or __half; one instruction takes 16 of k. HARDWARE rows only.
//
// Operands in shared memory lie as a bulk tensor copy with 128-byte swizzle leaves them: blocks of rows of 128 bytes
// (64 elements), every group of 8 rows 1024-byte aligned.
//   K-major (kTrans = false): rows are m (n), 64 elements of k each. One block takes any number of rows.
//     k_major(block); 16 elements of k further: descriptor + 2.
//   MN-major (kTrans = true): rows are k, 64 elements of m (n) each. More than 64 of m (n): further blocks,
//   `block_bytes`
//     apart. mn_major(block, block_bytes); 16 of k further: descriptor + 128.
//
// Thread t of the warpgroup holds of d, with warp w = t / 32, lane l = t % 32:
//   d[4 * j + 0, 1]: row 16 * w + l / 4,     columns 8 * j + l % 4 * 2 + 0, 1
//   d[4 * j + 2, 3]: row 16 * w + l / 4 + 8, the same columns
// and of a in registers (two elements each, the lower k in the lower half), for rows r = 16 * w + l / 4 and r + 8, k
// pair q = l % 4 * 2:  a[0]: (r, q)  a[1]: (r + 8, q)  a[2]: (r, q + 8)  a[3]: (r + 8, q + 8). So a pair of columns of
// d, rounded to T, is a pair of k of the next product.
//
// Order: wgmma_fence() before the first product and after other writes to d (or a) registers; then products;
// wgmma_commit(); wgmma_wait<0>() before d is read or a shared operand overwritten. All 128 threads do the same.
#ifdef MAAS_CUDA_EMULATE
#include "cuda/emulator/hopper.h"
#else
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>
#include <type_traits>

namespace maas::cuda {

// ---- descriptors of operands in shared memory

__device__ __forceinline__ uint64_t wgmma_descriptor(const void* block, uint32_t leading_bytes, uint32_t stride_bytes) {
  const uint32_t address = static_cast<uint32_t>(__cvta_generic_to_shared(block));
  return static_cast<uint64_t>((address & 0x3ffff) >> 4) | static_cast<uint64_t>(leading_bytes >> 4) << 16 |
         static_cast<uint64_t>(stride_bytes >> 4) << 32 | 1ull << 62;  // 1: 128-byte swizzle
}
__device__ __forceinline__ uint64_t k_major(const void* block) { return wgmma_descriptor(block, 16, 1024); }
__device__ __forceinline__ uint64_t mn_major(const void* block, uint32_t block_bytes) {
  return wgmma_descriptor(block, block_bytes, 1024);
}
// 16 elements of k further.
template <bool kTrans>
__device__ __forceinline__ uint64_t next_k(uint64_t descriptor, int steps) {
  return descriptor + static_cast<uint64_t>(steps * (kTrans ? 128 : 2));
}

// ---- order

__device__ __forceinline__ void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ __forceinline__ void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
// Until at most kLeft of the committed groups run.
template <int kLeft>
__device__ __forceinline__ void wgmma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kLeft) : "memory");
}
// Keeps the compiler from moving registers of a running product; costs nothing.
template <int kCount>
__device__ __forceinline__ void keep(float (&d)[kCount]) {
#pragma unroll
  for (int i = 0; i < kCount; ++i) asm volatile("" : "+f"(d[i])::"memory");
}

// Four 8 x 8 matrices of 16-bit elements to shared memory: r[i] of all lanes is matrix i, as in a fragment of d rounded
// and packed by pairs; lane 8 * i + j gives the address of its row j (16 bytes).
__device__ __forceinline__ void store_matrix(void* row, uint32_t r0, uint32_t r1, uint32_t r2, uint32_t r3) {
  asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(
                   static_cast<uint32_t>(__cvta_generic_to_shared(row))),
               "r"(r0), "r"(r1), "r"(r2), "r"(r3)
               : "memory");
}
// Two floats rounded to T, the first in the lower half.
template <class T>
__device__ __forceinline__ uint32_t pack(float low, float high) {
  uint32_t r;
  if constexpr (std::is_same_v<T, __nv_bfloat16>)
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
  else
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
  return r;
}

// ---- products

template <class T, int N>
struct Wgmma;  // N: 8, 16, 32, 64, 80, 96, 128, 160, 176, 192, 256

#define MAAS_R0 "%0,%1,%2,%3"
#define MAAS_R1 "%4,%5,%6,%7"
#define MAAS_R2 "%8,%9,%10,%11,%12,%13,%14,%15"
#define MAAS_R3 "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31"
#define MAAS_R4 "%32,%33,%34,%35,%36,%37,%38,%39"
#define MAAS_R5 "%40,%41,%42,%43,%44,%45,%46,%47"
#define MAAS_R6 "%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63"
#define MAAS_R7 "%64,%65,%66,%67,%68,%69,%70,%71,%72,%73,%74,%75,%76,%77,%78,%79"
#define MAAS_R8 "%80,%81,%82,%83,%84,%85,%86,%87"
#define MAAS_R9 "%88,%89,%90,%91,%92,%93,%94,%95"
#define MAAS_R10                                                                                     \
  "%96,%97,%98,%99,%100,%101,%102,%103,%104,%105,%106,%107,%108,%109,%110,%111,%112,%113,%114,%115," \
  "%116,%117,%118,%119,%120,%121,%122,%123,%124,%125,%126,%127"
#define MAAS_REGS4 MAAS_R0
#define MAAS_REGS8 MAAS_REGS4 "," MAAS_R1
#define MAAS_REGS16 MAAS_REGS8 "," MAAS_R2
#define MAAS_REGS32 MAAS_REGS16 "," MAAS_R3
#define MAAS_REGS40 MAAS_REGS32 "," MAAS_R4
#define MAAS_REGS48 MAAS_REGS40 "," MAAS_R5
#define MAAS_REGS64 MAAS_REGS48 "," MAAS_R6
#define MAAS_REGS80 MAAS_REGS64 "," MAAS_R7
#define MAAS_REGS88 MAAS_REGS80 "," MAAS_R8
#define MAAS_REGS96 MAAS_REGS88 "," MAAS_R9
#define MAAS_REGS128 MAAS_REGS96 "," MAAS_R10

#define MAAS_D4(i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define MAAS_D8(i) MAAS_D4(i), MAAS_D4(i + 4)
#define MAAS_D16(i) MAAS_D8(i), MAAS_D8(i + 8)
#define MAAS_D32(i) MAAS_D16(i), MAAS_D16(i + 16)
#define MAAS_D40(i) MAAS_D32(i), MAAS_D8(i + 32)
#define MAAS_D48(i) MAAS_D32(i), MAAS_D16(i + 32)
#define MAAS_D64(i) MAAS_D32(i), MAAS_D32(i + 32)
#define MAAS_D80(i) MAAS_D64(i), MAAS_D16(i + 64)
#define MAAS_D88(i) MAAS_D80(i), MAAS_D8(i + 80)
#define MAAS_D96(i) MAAS_D64(i), MAAS_D32(i + 64)
#define MAAS_D128(i) MAAS_D64(i), MAAS_D64(i + 64)

#define MAAS_WGMMA_SS(N, types, regs, count, o0, o1, o2, o3, o4)                                                      \
  asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %" #o2 ", 0;\nwgmma.mma_async.sync.aligned.m64n" #N "k16.f32." types \
               " {" regs "}, %" #o0 ", %" #o1 ", p, 1, 1, %" #o3 ", %" #o4 ";\n}\n"                                   \
               : MAAS_D##count(0)                                                                                     \
               : "l"(a), "l"(b), "r"(add), "n"(int{kTransA}), "n"(int{kTransB}))
#define MAAS_WGMMA_RS(N, types, regs, count, o0, o1, o2, o3, o4, o5, o6)                                              \
  asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %" #o5 ", 0;\nwgmma.mma_async.sync.aligned.m64n" #N "k16.f32." types \
               " {" regs "}, {%" #o0 ",%" #o1 ",%" #o2 ",%" #o3 "}, %" #o4 ", p, 1, 1, %" #o6 ";\n}\n"                \
               : MAAS_D##count(0)                                                                                     \
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(add), "n"(int{kTransB}))

// ss: a and b by descriptor. rs: a in registers, always K-major. `add` 0: d = a * b; else d += a * b.
#define MAAS_WGMMA(N, count, o0, o1, o2, o3, o4, o5, o6)                                                        \
  template <class T>                                                                                            \
  struct Wgmma<T, N> {                                                                                          \
    static_assert(std::is_same_v<T, __nv_bfloat16> || std::is_same_v<T, __half>);                               \
    static constexpr bool kBf16 = std::is_same_v<T, __nv_bfloat16>;                                             \
    template <bool kTransA, bool kTransB>                                                                       \
    static __device__ __forceinline__ void ss(float (&d)[count], uint64_t a, uint64_t b, int add) {             \
      if constexpr (kBf16)                                                                                      \
        MAAS_WGMMA_SS(N, "bf16.bf16", MAAS_REGS##count, count, o0, o1, o2, o3, o4);                             \
      else                                                                                                      \
        MAAS_WGMMA_SS(N, "f16.f16", MAAS_REGS##count, count, o0, o1, o2, o3, o4);                               \
    }                                                                                                           \
    template <bool kTransB>                                                                                     \
    static __device__ __forceinline__ void rs(float (&d)[count], const uint32_t (&a)[4], uint64_t b, int add) { \
      if constexpr (kBf16)                                                                                      \
        MAAS_WGMMA_RS(N, "bf16.bf16", MAAS_REGS##count, count, o0, o1, o2, o3, o4, o5, o6);                     \
      else                                                                                                      \
        MAAS_WGMMA_RS(N, "f16.f16", MAAS_REGS##count, count, o0, o1, o2, o3, o4, o5, o6);                       \
    }                                                                                                           \
  };
MAAS_WGMMA(8, 4, 4, 5, 6, 7, 8, 9, 10)
MAAS_WGMMA(16, 8, 8, 9, 10, 11, 12, 13, 14)
MAAS_WGMMA(32, 16, 16, 17, 18, 19, 20, 21, 22)
MAAS_WGMMA(64, 32, 32, 33, 34, 35, 36, 37, 38)
MAAS_WGMMA(80, 40, 40, 41, 42, 43, 44, 45, 46)
MAAS_WGMMA(96, 48, 48, 49, 50, 51, 52, 53, 54)
MAAS_WGMMA(128, 64, 64, 65, 66, 67, 68, 69, 70)
MAAS_WGMMA(160, 80, 80, 81, 82, 83, 84, 85, 86)
MAAS_WGMMA(176, 88, 88, 89, 90, 91, 92, 93, 94)
MAAS_WGMMA(192, 96, 96, 97, 98, 99, 100, 101, 102)
MAAS_WGMMA(256, 128, 128, 129, 130, 131, 132, 133, 134)
#undef MAAS_WGMMA
#undef MAAS_WGMMA_SS
#undef MAAS_WGMMA_RS

}  // namespace maas::cuda
#endif
