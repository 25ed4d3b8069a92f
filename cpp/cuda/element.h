#pragma once
// One element of any dtype on the GPU, as core/element_io.h does it on the CPU. The switches are the same for a whole
// kernel, so they cost little where elements are many.
#include "core/dtype.h"
#include "cuda/platform.h"

namespace maas::cuda {

// An integer (indices, states).
__device__ __forceinline__ int64_t load_integer(const void* p, DType t, int64_t i) {
  switch (t) {
    case DType::i8:
      return static_cast<const int8_t*>(p)[i];
    case DType::u8:
    case DType::b8:
      return static_cast<const uint8_t*>(p)[i];
    case DType::i16:
      return static_cast<const int16_t*>(p)[i];
    case DType::i32:
      return static_cast<const int32_t*>(p)[i];
    case DType::u32:
      return static_cast<const uint32_t*>(p)[i];
    default:
      return static_cast<const int64_t*>(p)[i];
  }
}

// On the CPU denormals count as zero; where that decides between results (order, equality with 0), so do they here.
__device__ __forceinline__ float flushed(float v) { return fabsf(v) < 1.17549435e-38f ? 0.f : v; }
__device__ __forceinline__ double flushed(double v) { return fabs(v) < 2.2250738585072014e-308 ? 0.0 : v; }

// T: float, double or int64_t; integers of 64 bits keep all of them as int64_t. Denormals are flushed.
template <class T>
__device__ __forceinline__ T load_element(const void* p, DType t, int64_t i) {
  switch (t) {
    case DType::f64:
      return static_cast<T>(flushed(static_cast<const double*>(p)[i]));
    case DType::f32:
      return static_cast<T>(flushed(static_cast<const float*>(p)[i]));
    case DType::bf16:
      return static_cast<T>(flushed(__bfloat162float(static_cast<const __nv_bfloat16*>(p)[i])));
    case DType::f16:
      return static_cast<T>(__half2float(static_cast<const __half*>(p)[i]));
    case DType::b8:
      return static_cast<T>(static_cast<const uint8_t*>(p)[i] != 0);
    default:
      return static_cast<T>(load_integer(p, t, i));
  }
}

// Integers wrap; a float is cut to the integer's range and NaN becomes 0.
template <class I>
__device__ __forceinline__ I to_integer(int64_t v) {
  return static_cast<I>(v);
}
template <class I>
__device__ __forceinline__ I to_integer(double v) {
  constexpr bool is_signed = I(-1) < I(0);
  constexpr I top = static_cast<I>(~uint64_t{0} >> (64 - 8 * sizeof(I) + is_signed));
  constexpr I bottom = is_signed ? static_cast<I>(-top - 1) : I(0);
  if (v != v) return 0;
  if (v >= static_cast<double>(top)) return top;
  if (v <= static_cast<double>(bottom)) return bottom;
  return static_cast<I>(v);
}

// T: double or int64_t.
template <class T>
__device__ __forceinline__ void store_element(void* p, DType t, int64_t i, T v) {
  switch (t) {
    case DType::f64:
      static_cast<double*>(p)[i] = static_cast<double>(v);
      return;
    case DType::f32:
      static_cast<float*>(p)[i] = static_cast<float>(v);
      return;
    case DType::bf16:
      static_cast<__nv_bfloat16*>(p)[i] = __float2bfloat16_rn(static_cast<float>(v));
      return;
    case DType::f16:
      static_cast<__half*>(p)[i] = __float2half_rn(static_cast<float>(v));
      return;
    case DType::i8:
      static_cast<int8_t*>(p)[i] = to_integer<int8_t>(v);
      return;
    case DType::u8:
      static_cast<uint8_t*>(p)[i] = to_integer<uint8_t>(v);
      return;
    case DType::i16:
      static_cast<int16_t*>(p)[i] = to_integer<int16_t>(v);
      return;
    case DType::i32:
      static_cast<int32_t*>(p)[i] = to_integer<int32_t>(v);
      return;
    case DType::u32:
      static_cast<uint32_t*>(p)[i] = to_integer<uint32_t>(v);
      return;
    case DType::i64:
      static_cast<int64_t*>(p)[i] = to_integer<int64_t>(v);
      return;
    default:
      static_cast<uint8_t*>(p)[i] = v != 0;
      return;
  }
}

}  // namespace maas::cuda
