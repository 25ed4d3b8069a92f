#pragma once
// 16-byte accesses of any element type, and elements as float. A pointer is taken 16 bytes at a time only where it is
// 16-byte aligned: whoever launches checks with vectorizable().
#include "cuda/platform.h"

namespace maas::cuda {

template <class T>
inline constexpr int kLanes = 16 / static_cast<int>(sizeof(T));  // elements in 16 bytes

template <class T, int N = kLanes<T>>
struct alignas(sizeof(T) * N < 16 ? sizeof(T) * N : 16) Vector {
  T at[N];
  __device__ __forceinline__ T& operator[](int i) { return at[i]; }
  __device__ __forceinline__ const T& operator[](int i) const { return at[i]; }
};

// True if `p` may be read as Vector<T>, with every row of `stride` elements aligned too.
template <class T>
__host__ __device__ __forceinline__ bool vectorizable(const T* p, int64_t stride = 0) {
  return reinterpret_cast<uintptr_t>(p) % 16 == 0 && stride * static_cast<int64_t>(sizeof(T)) % 16 == 0;
}

namespace detail {
template <int kBytes>
struct Raw;
template <>
struct Raw<16> {
  using type = uint4;
};
template <>
struct Raw<8> {
  using type = uint2;
};
template <>
struct Raw<4> {
  using type = unsigned;
};
template <>
struct Raw<2> {
  using type = unsigned short;
};
template <>
struct Raw<1> {
  using type = unsigned char;
};
template <class T, int N>
using RawOf = typename Raw<static_cast<int>(sizeof(T)) * N>::type;
template <class T, int N, class R>
__device__ __forceinline__ Vector<T, N> from_raw(R raw) {
  Vector<T, N> v;
  memcpy(static_cast<void*>(&v), &raw, sizeof v);
  return v;
}
}  // namespace detail

// N elements in one access (16 bytes unless N says less); p is aligned to that.
template <class T, int N = kLanes<T>>
__device__ __forceinline__ Vector<T, N> load(const T* p) {
  return detail::from_raw<T, N>(*reinterpret_cast<const detail::RawOf<T, N>*>(p));
}
// The same of memory that no one writes while the kernel runs.
template <class T, int N = kLanes<T>>
__device__ __forceinline__ Vector<T, N> load_const(const T* p) {
  return detail::from_raw<T, N>(__ldg(reinterpret_cast<const detail::RawOf<T, N>*>(p)));
}
// Read once: first out of the caches.
template <class T, int N = kLanes<T>>
__device__ __forceinline__ Vector<T, N> load_stream(const T* p) {
  return detail::from_raw<T, N>(__ldcs(reinterpret_cast<const detail::RawOf<T, N>*>(p)));
}
template <class T, int N>
__device__ __forceinline__ void store(T* p, const Vector<T, N>& v) {
  detail::RawOf<T, N> raw;
  memcpy(&raw, static_cast<const void*>(&v), sizeof v);
  *reinterpret_cast<detail::RawOf<T, N>*>(p) = raw;
}
template <class T, int N>
__device__ __forceinline__ void store_stream(T* p, const Vector<T, N>& v) {
  detail::RawOf<T, N> raw;
  memcpy(&raw, static_cast<const void*>(&v), sizeof v);
  __stcs(reinterpret_cast<detail::RawOf<T, N>*>(p), raw);
}

// The first `count` of N elements, one by one, so of any alignment; the rest is `fill`. count <= 0 reads nothing.
template <class T, int N = kLanes<T>>
__device__ __forceinline__ Vector<T, N> load_some(const T* p, int64_t count, T fill) {
  Vector<T, N> v;
#pragma unroll
  for (int i = 0; i < N; ++i) v.at[i] = i < count ? p[i] : fill;
  return v;
}
template <class T, int N>
__device__ __forceinline__ void store_some(T* p, const Vector<T, N>& v, int64_t count) {
#pragma unroll
  for (int i = 0; i < N; ++i)
    if (i < count) p[i] = v.at[i];
}

__device__ __forceinline__ float to_float(float v) { return v; }
__device__ __forceinline__ float to_float(double v) { return static_cast<float>(v); }
__device__ __forceinline__ float to_float(__nv_bfloat16 v) { return __bfloat162float(v); }
__device__ __forceinline__ float to_float(__half v) { return __half2float(v); }
__device__ __forceinline__ float to_float(int8_t v) { return v; }
__device__ __forceinline__ float to_float(uint8_t v) { return v; }
__device__ __forceinline__ float to_float(int32_t v) { return static_cast<float>(v); }
__device__ __forceinline__ float to_float(int64_t v) { return static_cast<float>(v); }

// Rounds to nearest even.
template <class T>
__device__ __forceinline__ T from_float(float v) {
  return static_cast<T>(v);
}
template <>
__device__ __forceinline__ __nv_bfloat16 from_float<__nv_bfloat16>(float v) {
  return __float2bfloat16_rn(v);
}
template <>
__device__ __forceinline__ __half from_float<__half>(float v) {
  return __float2half_rn(v);
}

template <class T, int N>
__device__ __forceinline__ void to_float(const Vector<T, N>& v, float (&f)[N]) {
#pragma unroll
  for (int i = 0; i < N; ++i) f[i] = to_float(v.at[i]);
}
template <class T, int N>
__device__ __forceinline__ Vector<T, N> from_float(const float (&f)[N]) {
  Vector<T, N> v;
#pragma unroll
  for (int i = 0; i < N; ++i) v.at[i] = from_float<T>(f[i]);
  return v;
}

}  // namespace maas::cuda
