#pragma once
// CUDA C++ for a plain host compiler: the toolkit's headers give types and the runtime's declarations, this gives what
// only nvcc knows. Threads of a block are fibers (fibers.cpp), so everything here is plain single-threaded code.
#include <cuda_runtime.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include <bit>
#include <type_traits>

#include "cuda/emulator/collectives.h"

#undef __shared__
#undef __constant__
#undef __launch_bounds__
// The tag in its name tells the linker that it is shared memory (shared.ld).
#define __shared__ static __attribute__((abi_tag("maas_shared")))
#define __constant__ static
#define __launch_bounds__(...)

#define MAAS_EMULATED __attribute__((visibility("hidden")))
extern MAAS_EMULATED uint3 threadIdx;
extern MAAS_EMULATED uint3 blockIdx;
extern MAAS_EMULATED dim3 blockDim;
extern MAAS_EMULATED dim3 gridDim;
inline constexpr int warpSize = 32;

// ---- barriers and collectives of a warp

inline void __syncthreads() { maas::cuda::emulator::barrier(0); }
inline int __syncthreads_count(int p) { return maas::cuda::emulator::barrier(p != 0).votes; }
inline int __syncthreads_or(int p) { return maas::cuda::emulator::barrier(p != 0).votes > 0; }
inline int __syncthreads_and(int p) {
  const auto r = maas::cuda::emulator::barrier(p != 0);
  return r.votes == r.threads;
}
inline void __syncwarp(unsigned mask = 0xffffffffu) {
  maas::cuda::emulator::meet(mask, maas::cuda::emulator::Meeting::sync, nullptr, nullptr);
}
inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __threadfence_system() {}

template <class T>
T __shfl_sync(unsigned mask, T v, int source, int width = 32) {
  return maas::cuda::emulator::shuffle(mask, v, maas::cuda::emulator::Shuffle::index, source, width);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T v, int bits, int width = 32) {
  return maas::cuda::emulator::shuffle(mask, v, maas::cuda::emulator::Shuffle::exclusive_or, bits, width);
}
template <class T>
T __shfl_up_sync(unsigned mask, T v, unsigned delta, int width = 32) {
  return maas::cuda::emulator::shuffle(mask, v, maas::cuda::emulator::Shuffle::up, static_cast<int>(delta), width);
}
template <class T>
T __shfl_down_sync(unsigned mask, T v, unsigned delta, int width = 32) {
  return maas::cuda::emulator::shuffle(mask, v, maas::cuda::emulator::Shuffle::down, static_cast<int>(delta), width);
}
inline unsigned __ballot_sync(unsigned mask, int p) { return maas::cuda::emulator::vote(mask, p != 0).yes; }
inline int __any_sync(unsigned mask, int p) { return maas::cuda::emulator::vote(mask, p != 0).yes != 0; }
inline int __all_sync(unsigned mask, int p) {
  const auto r = maas::cuda::emulator::vote(mask, p != 0);
  return r.yes == r.lanes;
}
template <class T>
unsigned __match_any_sync(unsigned mask, T v) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8);
  uint64_t bits = 0;
  memcpy(&bits, &v, sizeof v);
  return maas::cuda::emulator::match(mask, bits);
}
template <class T>
T __reduce_add_sync(unsigned mask, T v) {
  return static_cast<T>(maas::cuda::emulator::reduce(mask, v, maas::cuda::emulator::Reduce::add));
}
template <class T>
T __reduce_min_sync(unsigned mask, T v) {
  return static_cast<T>(maas::cuda::emulator::reduce(mask, v, maas::cuda::emulator::Reduce::least));
}
template <class T>
T __reduce_max_sync(unsigned mask, T v) {
  return static_cast<T>(maas::cuda::emulator::reduce(mask, v, maas::cuda::emulator::Reduce::most));
}
inline unsigned __reduce_and_sync(unsigned mask, unsigned v) {
  return static_cast<unsigned>(maas::cuda::emulator::reduce(mask, v, maas::cuda::emulator::Reduce::all));
}
inline unsigned __reduce_or_sync(unsigned mask, unsigned v) {
  return static_cast<unsigned>(maas::cuda::emulator::reduce(mask, v, maas::cuda::emulator::Reduce::any));
}
inline unsigned __reduce_xor_sync(unsigned mask, unsigned v) {
  return static_cast<unsigned>(maas::cuda::emulator::reduce(mask, v, maas::cuda::emulator::Reduce::exclusive_or));
}

// ---- memory

#define MAAS_LOAD(name)               \
  template <class T>                  \
  T name(const T* p) {                \
    maas::cuda::emulator::aligned(p); \
    return *p;                        \
  }
MAAS_LOAD(__ldg)
MAAS_LOAD(__ldcs)
MAAS_LOAD(__ldcg)
MAAS_LOAD(__ldca)
MAAS_LOAD(__ldlu)
MAAS_LOAD(__ldcv)
#undef MAAS_LOAD
#define MAAS_STORE(name)                              \
  template <class T>                                  \
  void name(T* p, const std::type_identity_t<T>& v) { \
    maas::cuda::emulator::aligned(p);                 \
    *p = v;                                           \
  }
MAAS_STORE(__stcs)
MAAS_STORE(__stcg)
MAAS_STORE(__stwb)
MAAS_STORE(__stwt)
#undef MAAS_STORE

#define MAAS_ATOMIC(name, expression)             \
  template <class T>                              \
  T name(T* p, const std::type_identity_t<T> v) { \
    maas::cuda::emulator::aligned(p);             \
    const T old = *p;                             \
    *p = expression;                              \
    return old;                                   \
  }
MAAS_ATOMIC(atomicAdd, static_cast<T>(old + v))
MAAS_ATOMIC(atomicSub, static_cast<T>(old - v))
MAAS_ATOMIC(atomicExch, v)
MAAS_ATOMIC(atomicMin, (v < old ? v : old))
MAAS_ATOMIC(atomicMax, (v > old ? v : old))
MAAS_ATOMIC(atomicAnd, (old & v))
MAAS_ATOMIC(atomicOr, (old | v))
MAAS_ATOMIC(atomicXor, (old ^ v))
MAAS_ATOMIC(atomicInc, (old >= v ? T(0) : old + 1))
MAAS_ATOMIC(atomicDec, (old == 0 || old > v ? v : old - 1))
#undef MAAS_ATOMIC
template <class T>
T atomicCAS(T* p, const std::type_identity_t<T> expected, const std::type_identity_t<T> v) {
  maas::cuda::emulator::aligned(p);
  const T old = *p;
  if (old == expected) *p = v;
  return old;
}

// ---- bits and integers

inline int __float_as_int(float v) { return std::bit_cast<int>(v); }
inline unsigned __float_as_uint(float v) { return std::bit_cast<unsigned>(v); }
inline float __int_as_float(int v) { return std::bit_cast<float>(v); }
inline float __uint_as_float(unsigned v) { return std::bit_cast<float>(v); }
inline long long __double_as_longlong(double v) { return std::bit_cast<long long>(v); }
inline double __longlong_as_double(long long v) { return std::bit_cast<double>(v); }
inline int __popc(unsigned v) { return std::popcount(v); }
inline int __popcll(unsigned long long v) { return std::popcount(v); }
inline int __clz(int v) { return std::countl_zero(static_cast<unsigned>(v)); }
inline int __clzll(long long v) { return std::countl_zero(static_cast<unsigned long long>(v)); }
inline int __ffs(int v) { return v ? std::countr_zero(static_cast<unsigned>(v)) + 1 : 0; }
inline int __ffsll(long long v) { return v ? std::countr_zero(static_cast<unsigned long long>(v)) + 1 : 0; }
inline unsigned __brev(unsigned v) {
  unsigned r = 0;
  for (int i = 0; i < 32; ++i) r |= (v >> i & 1u) << (31 - i);
  return r;
}
inline unsigned __byte_perm(unsigned x, unsigned y, unsigned selector) {
  const uint64_t both = x | static_cast<uint64_t>(y) << 32;
  unsigned r = 0;
  for (int i = 0; i < 4; ++i) {
    const unsigned s = selector >> (4 * i) & 15u;
    const unsigned byte = static_cast<unsigned>(both >> (8 * (s & 7u))) & 255u;
    r |= (s & 8u ? (byte & 128u ? 255u : 0u) : byte) << (8 * i);
  }
  return r;
}
inline unsigned __funnelshift_l(unsigned low, unsigned high, unsigned by) {
  return static_cast<unsigned>(((static_cast<uint64_t>(high) << 32 | low) << (by & 31u)) >> 32);
}
inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned by) {
  return static_cast<unsigned>((static_cast<uint64_t>(high) << 32 | low) >> (by & 31u));
}
inline int __mulhi(int a, int b) { return static_cast<int>(static_cast<int64_t>(a) * b >> 32); }
inline unsigned __umulhi(unsigned a, unsigned b) { return static_cast<unsigned>(static_cast<uint64_t>(a) * b >> 32); }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  return static_cast<unsigned long long>(static_cast<unsigned __int128>(a) * b >> 64);
}
inline long long __mul64hi(long long a, long long b) {
  return static_cast<long long>(static_cast<__int128>(a) * b >> 64);
}

#define MAAS_MIN_MAX(T)                            \
  inline T min(T a, T b) { return b < a ? b : a; } \
  inline T max(T a, T b) { return a < b ? b : a; }
MAAS_MIN_MAX(int)
MAAS_MIN_MAX(unsigned)
MAAS_MIN_MAX(long)
MAAS_MIN_MAX(unsigned long)
MAAS_MIN_MAX(long long)
MAAS_MIN_MAX(unsigned long long)
#undef MAAS_MIN_MAX
inline unsigned min(int a, unsigned b) { return min(static_cast<unsigned>(a), b); }
inline unsigned min(unsigned a, int b) { return min(a, static_cast<unsigned>(b)); }
inline unsigned max(int a, unsigned b) { return max(static_cast<unsigned>(a), b); }
inline unsigned max(unsigned a, int b) { return max(a, static_cast<unsigned>(b)); }
inline float min(float a, float b) { return fminf(a, b); }
inline float max(float a, float b) { return fmaxf(a, b); }
inline double min(double a, double b) { return fmin(a, b); }
inline double max(double a, double b) { return fmax(a, b); }
inline double min(float a, double b) { return fmin(a, b); }
inline double min(double a, float b) { return fmin(a, b); }
inline double max(float a, double b) { return fmax(a, b); }
inline double max(double a, float b) { return fmax(a, b); }

// ---- arithmetic. Approximations of the hardware are exact here. glibc declares some of these names for itself.

#define __expf(x) expf(x)
#define __exp10f(x) exp10f(x)
#define __logf(x) logf(x)
#define __log2f(x) log2f(x)
#define __log10f(x) log10f(x)
#define __sinf(x) sinf(x)
#define __cosf(x) cosf(x)
#define __tanf(x) tanf(x)
#define __tanhf(x) tanhf(x)
#define __powf(x, y) powf(x, y)
#define __sincosf(x, s, c) sincosf(x, s, c)
inline float __fdividef(float a, float b) { return a / b; }
inline float fdividef(float a, float b) { return a / b; }
inline float rsqrtf(float v) { return static_cast<float>(1.0 / sqrt(static_cast<double>(v))); }
inline double rsqrt(double v) { return 1.0 / sqrt(v); }
inline float rcbrtf(float v) { return 1.f / cbrtf(v); }
inline float sinpif(float v) { return static_cast<float>(sin(M_PI * remainder(static_cast<double>(v), 2.0))); }
inline float cospif(float v) { return static_cast<float>(cos(M_PI * remainder(static_cast<double>(v), 2.0))); }
inline float normcdff(float v) { return static_cast<float>(0.5 * erfc(-static_cast<double>(v) * M_SQRT1_2)); }
inline double normcdf(double v) { return 0.5 * erfc(-v * M_SQRT1_2); }
inline float __saturatef(float v) { return v > 0 ? (v < 1 ? v : 1.f) : 0.f; }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
inline float __fsqrt_rn(float v) { return sqrtf(v); }
inline float __frsqrt_rn(float v) { return rsqrtf(v); }
inline float __frcp_rn(float v) { return 1.f / v; }
inline double __dadd_rn(double a, double b) { return a + b; }
inline double __dsub_rn(double a, double b) { return a - b; }
inline double __dmul_rn(double a, double b) { return a * b; }
inline double __ddiv_rn(double a, double b) { return a / b; }
inline double __dsqrt_rn(double v) { return sqrt(v); }
inline double __fma_rn(double a, double b, double c) { return fma(a, b, c); }

// Conversions clamp, and NaN gives 0 (or, to 64 bits, the lowest value), as on hardware.
template <class I, class F>
I maas_emulated_to_int(F v) {
  constexpr F kEnd =
      static_cast<F>(static_cast<uint64_t>(1) << (8 * sizeof(I) - (std::is_signed_v<I> ? 1 : 0) - 1)) * 2;
  if (v != v) return sizeof(I) == 8 ? static_cast<I>(static_cast<uint64_t>(1) << 63) : I(0);
  if (v >= kEnd)
    return static_cast<I>(~static_cast<uint64_t>(0) >> (64 - 8 * sizeof(I) + (std::is_signed_v<I> ? 1 : 0)));
  if (v <= (std::is_signed_v<I> ? -kEnd : F(0)))
    return std::is_signed_v<I> ? static_cast<I>(static_cast<uint64_t>(1) << (8 * sizeof(I) - 1)) : I(0);
  return static_cast<I>(v);
}
inline int __float2int_rn(float v) { return maas_emulated_to_int<int>(rintf(v)); }
inline int __float2int_rz(float v) { return maas_emulated_to_int<int>(truncf(v)); }
inline int __float2int_rd(float v) { return maas_emulated_to_int<int>(floorf(v)); }
inline int __float2int_ru(float v) { return maas_emulated_to_int<int>(ceilf(v)); }
inline unsigned __float2uint_rn(float v) { return maas_emulated_to_int<unsigned>(rintf(v)); }
inline unsigned __float2uint_rz(float v) { return maas_emulated_to_int<unsigned>(truncf(v)); }
inline long long __float2ll_rn(float v) { return maas_emulated_to_int<long long>(rintf(v)); }
inline long long __float2ll_rz(float v) { return maas_emulated_to_int<long long>(truncf(v)); }
inline int __double2int_rn(double v) { return maas_emulated_to_int<int>(rint(v)); }
inline int __double2int_rz(double v) { return maas_emulated_to_int<int>(trunc(v)); }
inline long long __double2ll_rn(double v) { return maas_emulated_to_int<long long>(rint(v)); }
inline long long __double2ll_rz(double v) { return maas_emulated_to_int<long long>(trunc(v)); }
inline float __int2float_rn(int v) { return static_cast<float>(v); }
inline float __uint2float_rn(unsigned v) { return static_cast<float>(v); }
inline float __ll2float_rn(long long v) { return static_cast<float>(v); }
inline double __ll2double_rn(long long v) { return static_cast<double>(v); }
inline float __double2float_rn(double v) { return static_cast<float>(v); }

inline long long clock64() { return static_cast<long long>(__builtin_ia32_rdtsc()); }
inline void __nanosleep(unsigned) {}
inline void __trap() { maas::cuda::emulator::fault(cudaErrorLaunchFailure, "trap"); }
#define __builtin_assume(x) ((void)0)
