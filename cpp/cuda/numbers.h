#pragma once
// Element types inside kernels: 16-bit floats are computed in float32, float64 in itself.
#include <type_traits>

#include "core/dtype.h"
#include "cuda/vector.h"

namespace maas::cuda {

template <class T>
struct WideOf {
  using type = float;
};
template <>
struct WideOf<double> {
  using type = double;
};
template <class T>
using Wide = typename WideOf<T>::type;

template <class T>
__device__ __forceinline__ Wide<T> widen(T v) {
  if constexpr (sizeof(T) == 8)
    return v;
  else
    return to_float(v);
}
template <class T>
__device__ __forceinline__ T narrow(Wide<T> v) {
  if constexpr (sizeof(T) == 8)
    return v;
  else
    return from_float<T>(v);
}

// exp for results of type T. Results of 16 bits allow the two roundings more of the short form.
template <class T>
__device__ __forceinline__ Wide<T> exp_for(Wide<T> v) {
#ifndef MAAS_CUDA_EMULATE
  if constexpr (sizeof(T) == 2) return __expf(v);
#endif
  if constexpr (sizeof(T) == 8)
    return ::exp(v);
  else
    return ::expf(v);
}
__device__ __forceinline__ float log_of(float v) { return ::logf(v); }
__device__ __forceinline__ double log_of(double v) { return ::log(v); }
__device__ __forceinline__ float root_of(float v) { return ::sqrtf(v); }
__device__ __forceinline__ double root_of(double v) { return ::sqrt(v); }
__device__ __forceinline__ float larger(float a, float b) { return ::fmaxf(a, b); }
__device__ __forceinline__ double larger(double a, double b) { return ::fmax(a, b); }
template <class A>
__device__ __forceinline__ A infinity_of() {
  return static_cast<A>(__builtin_huge_valf());
}

// 16 bytes of T and their values, by words: 16-bit halves that are values of their own would take a register each.
template <class T>
__device__ __forceinline__ void unpack(const uint4& packed, float (&f)[kLanes<T>]) {
  const uint32_t word[4] = {packed.x, packed.y, packed.z, packed.w};
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    if constexpr (sizeof(T) == 4) {
      memcpy(&f[i], &word[i], 4);
    } else if constexpr (std::is_same_v<T, __nv_bfloat16>) {
      const uint32_t low = word[i] << 16, high = word[i] & 0xffff0000u;
      memcpy(&f[2 * i], &low, 4);
      memcpy(&f[2 * i + 1], &high, 4);
    } else {
      __half2 two;
      memcpy(static_cast<void*>(&two), &word[i], 4);
      const float2 v = __half22float2(two);
      f[2 * i] = v.x;
      f[2 * i + 1] = v.y;
    }
  }
}
template <class T>
__device__ __forceinline__ uint4 pack(const float (&f)[kLanes<T>]) {
  uint32_t word[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    if constexpr (sizeof(T) == 4) {
      memcpy(&word[i], &f[i], 4);
    } else if constexpr (std::is_same_v<T, __nv_bfloat16>) {
      const __nv_bfloat162 two = __floats2bfloat162_rn(f[2 * i], f[2 * i + 1]);
      memcpy(&word[i], static_cast<const void*>(&two), 4);
    } else {
      const __half2 two = __floats2half2_rn(f[2 * i], f[2 * i + 1]);
      memcpy(&word[i], static_cast<const void*>(&two), 4);
    }
  }
  return make_uint4(word[0], word[1], word[2], word[3]);
}

// The same value, of which the compiler knows nothing: what is computed from it is computed again, not kept in
// registers.
__device__ __forceinline__ void forget([[maybe_unused]] uint4& v) {
#ifndef MAAS_CUDA_EMULATE
  asm volatile("" : "+r"(v.x), "+r"(v.y), "+r"(v.z), "+r"(v.w));
#endif
}

// N elements at p, 16 bytes at a time where `aligned`. N is 1 or kLanes<T>.
template <class T, int N>
__device__ __forceinline__ Vector<T, N> fetch(const T* p, bool aligned) {
  if (N > 1 && aligned) return load<T, N>(p);
  Vector<T, N> v;
#pragma unroll
  for (int i = 0; i < N; ++i) v[i] = p[i];
  return v;
}
template <class T, int N>
__device__ __forceinline__ void put(T* p, const Vector<T, N>& v, bool aligned) {
  if (N > 1 && aligned) return store(p, v);
#pragma unroll
  for (int i = 0; i < N; ++i) p[i] = v[i];
}

// A vector of parameters in a dtype of its own: gamma and beta of 16-bit tensors are often float32.
struct Parameter {
  const void* data;  // null: there is none
  DType type;
};

template <class P, class A, int N>
__device__ __forceinline__ void read_as(const void* data, int64_t at, int64_t count, A (&out)[N]) {
  const P* p = static_cast<const P*>(data) + at;
  constexpr int kPiece = N < kLanes<P> ? N : kLanes<P>;
  if (count >= N && reinterpret_cast<uintptr_t>(p) % (kPiece * sizeof(P)) == 0) {
#pragma unroll
    for (int i = 0; i < N; i += kPiece) {
      const auto v = load<P, kPiece>(p + i);
#pragma unroll
      for (int j = 0; j < kPiece; ++j) out[i + j] = static_cast<A>(widen(v[j]));
    }
    return;
  }
#pragma unroll
  for (int i = 0; i < N; ++i)
    if (i < count) out[i] = static_cast<A>(widen(p[i]));
}

// out = p[at .. at + N), the first `count` of them; what is not there stays as it was.
template <class A, int N>
__device__ __forceinline__ void read_parameter(const Parameter& p, int64_t at, int64_t count, A (&out)[N]) {
  if (!p.data || count <= 0) return;
  if (p.type == DType::f32) return read_as<float>(p.data, at, count, out);
  if (p.type == DType::bf16) return read_as<__nv_bfloat16>(p.data, at, count, out);
  if (p.type == DType::f16) return read_as<__half>(p.data, at, count, out);
  if constexpr (sizeof(A) == 8) read_as<double>(p.data, at, count, out);
}

}  // namespace maas::cuda
