#pragma once
// Activations in epilogues of products.
#include "cuda/product.h"
#include "cuda/vector.h"

namespace maas::cuda {

__device__ __forceinline__ float relu(float x) { return x > 0.f || x != x ? x : 0.f; }

// x Phi(x) with Phi(-a) = exp(-a^2 / 2) p(a) / q(a): the rational form of the CPU kernels (simd/math.h), with the
// hardware's exp2 and reciprocal. Relative error below 1e-5, also in the tail: for 16-bit results.
__device__ __forceinline__ float gelu_erf(float x) {
  const float a = fminf(fabsf(x), 14.f);
  const float e = exp2f(a * a * -0.72134752f);
  const float p = fmaf(fmaf(fmaf(fmaf(0.0040776064f, a, 0.040372547f), a, 0.18246184f), a, 0.43725097f), a, 0.5f);
  const float q =
      fmaf(fmaf(fmaf(fmaf(fmaf(0.010220914f, a, 0.10120578f), a, 0.46742913f), a, 1.1992909f), a, 1.6723869f), a, 1.f);
  const float tail = __fdividef(p * e, q);
  const float gate = x < 0.f ? tail : 1.f - tail;
  return (x < -14.f ? -14.f : x) * gate;
}

// x sigmoid(2 sqrt(2/pi) (x + 0.044715 x^3)).
__device__ __forceinline__ float gelu_tanh(float x) {
  const float minus_2u = x * fmaf(x * x, -0.0713548163f, -1.5957691216f);
  // Below -12 the result is no more than rounding, and exp would overflow.
  return x < -12.f ? -0.f : __fdividef(x, 1.f + __expf(minus_2u));
}

// The same to a few units of the last place of float32.
__device__ __forceinline__ float gelu_erf_exact(float x) {
  const float bounded = x < -14.f ? -14.f : x;
  return 0.5f * bounded * erfcf(bounded * -0.70710678f);
}
__device__ __forceinline__ float gelu_tanh_exact(float x) {
  const float minus_2u = x * fmaf(x * x, -0.0713548163f, -1.5957691216f);
  return x < -12.f ? -0.f : x / (1.f + expf(minus_2u));
}

template <ProductEpilogue::Activation kActivation>
__device__ __forceinline__ float activate(float x) {
  if constexpr (kActivation == ProductEpilogue::relu) return relu(x);
  if constexpr (kActivation == ProductEpilogue::gelu_erf) return gelu_erf(x);
  if constexpr (kActivation == ProductEpilogue::gelu_tanh) return gelu_tanh(x);
  return x;
}
// For elements of T.
template <class T>
__device__ __forceinline__ float activate(float x, ProductEpilogue::Activation activation) {
  constexpr bool kExact = sizeof(T) > 2;
  switch (activation) {
    case ProductEpilogue::relu:
      return relu(x);
    case ProductEpilogue::gelu_erf:
      return kExact ? gelu_erf_exact(x) : gelu_erf(x);
    case ProductEpilogue::gelu_tanh:
      return kExact ? gelu_tanh_exact(x) : gelu_tanh(x);
    default:
      return x;
  }
}

// ProductEpilogue for elements of T.
template <class T>
struct EpilogueOf {
  const T* bias;
  const T* residual;
  ProductEpilogue::Activation activation;
  bool residual_first;
  explicit EpilogueOf(const ProductEpilogue& e)
      : bias(static_cast<const T*>(e.bias)),
        residual(static_cast<const T*>(e.residual)),
        activation(e.activation),
        residual_first(e.residual_first) {}
  // `at`: where the element lies in c.
  __device__ __forceinline__ float operator()(float v, int64_t column, int64_t at) const {
    if (bias) v += to_float(bias[column]);
    const float more = residual ? to_float(residual[at]) : 0.f;
    if (residual_first) v += more;
    v = activate<T>(v, activation);
    return residual && !residual_first ? v + more : v;
  }
};

}  // namespace maas::cuda
