#pragma once
// What CUDA kernels of convolutions share: axes, copies to shared memory, epilogues, sums over parts.
#include <algorithm>
#include <initializer_list>
#include <type_traits>

#include "core/error.h"
#include "cuda/launch.h"
#include "cuda/mma.h"
#include "cuda/vector.h"
#include "ops/conv/conv_kernels.h"

namespace maas {
namespace {

// Bytes for the parts of a sum.
constexpr int64_t kMostScratch = int64_t(256) << 20;

inline int64_t div_up(int64_t a, int64_t b) { return (a + b - 1) / b; }
template <class T>
const T* typed(const void* p) {
  return static_cast<const T*>(p);
}
template <class T>
T* typed(void* p) {
  return static_cast<T*>(p);
}
template <class T>
bool aligned(std::initializer_list<const void*> pointers) {
  return std::all_of(pointers.begin(), pointers.end(),
                     [](const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; });
}

// ConvAxis in 32 bits.
struct GpuAxis {
  int in, out, kernel, classes, step, tap_step, source_step, dilation, begin, gradient;
};
struct GpuAxes {
  GpuAxis d, h, w;
};
inline GpuAxis gpu_axis(const ConvAxis& a) {
  auto narrow = [](int64_t v) {
    if (v > (int64_t(1) << 30) || v < -(int64_t(1) << 30))
      fail(ErrorKind::not_implemented, "conv: sizes along an axis above 2^30 have no CUDA kernel, received ", v);
    return static_cast<int>(v);
  };
  return {narrow(a.in),       narrow(a.out),         narrow(a.kernel),   narrow(a.classes), narrow(a.step),
          narrow(a.tap_step), narrow(a.source_step), narrow(a.dilation), narrow(a.begin),   a.gradient};
}
inline GpuAxes gpu_axes(const ConvAxes& a) { return {gpu_axis(a.d), gpu_axis(a.h), gpu_axis(a.w)}; }
inline int64_t inputs_of(const ConvAxes& a) { return a.d.in * a.h.in * a.w.in; }
inline int64_t outputs_of(const ConvAxes& a) { return a.d.out * a.h.out * a.w.out; }
// Kernels count the pixels of an image in 32 bits.
inline void check_pixels(const ConvAxes& a) {
  if (inputs_of(a) > (int64_t(1) << 30) || outputs_of(a) > (int64_t(1) << 30))
    fail(ErrorKind::not_implemented, "conv: images of more than 2^30 pixels have no CUDA kernel, received ",
         inputs_of(a));
}

// Outputs of a class: how many, and the taps that they read. conv_taps of conv_kernels.h in 32 bits.
struct GpuTaps {
  int outs, first, count, source;
};
__host__ __device__ inline GpuTaps gpu_taps(const GpuAxis& a, int cls) {
  const int outs = cls < a.out ? (a.out - cls + a.classes - 1) / a.classes : 0;
  if (!a.gradient) return {outs, 0, a.kernel, -a.begin};
  for (int t = 0; t < a.tap_step && t < a.kernel; ++t) {
    const int scaled = cls + a.begin - (a.kernel - 1 - t) * a.dilation;
    if (scaled % a.classes == 0) return {outs, t, (a.kernel - t + a.tap_step - 1) / a.tap_step, scaled / a.classes};
  }
  return {outs, 0, 0, 0};
}
// The window's tap that tap t of a class is.
__device__ __forceinline__ int window_tap(const GpuAxis& a, const GpuTaps& taps, int t) {
  return a.gradient ? a.kernel - 1 - (taps.first + t * a.tap_step) : t;
}

// n / d for n < 2^31, d > 0, by a multiplication.
struct FastDiv {
  uint32_t d, factor, shift;
  FastDiv() = default;
  explicit FastDiv(int64_t divisor) : d(static_cast<uint32_t>(divisor)), factor(0), shift(0) {
    while ((uint64_t(1) << shift) < d) ++shift;
    factor = static_cast<uint32_t>(((uint64_t(1) << 32) * ((uint64_t(1) << shift) - d)) / d + 1);
  }
  __device__ __forceinline__ uint32_t operator()(uint32_t n) const {
    const uint32_t high = static_cast<uint32_t>(static_cast<uint64_t>(n) * factor >> 32);
    return (high + n) >> shift;
  }
  // n becomes the quotient, the remainder is returned.
  __device__ __forceinline__ uint32_t cut(uint32_t& n) const {
    const uint32_t q = (*this)(n), rest = n - q * d;
    n = q;
    return rest;
  }
};

// V elements to shared memory in the background, or zeros. Elements of 16 bits that lie alone go through registers.
template <int V, class T>
__device__ __forceinline__ void copy_async(T* to, const T* from, bool read) {
  static_assert(V * sizeof(T) >= 4);
  cuda::cp_async<V* static_cast<int>(sizeof(T))>(to, from, read);
}
template <int V, class T>
inline constexpr bool kInBackground = V * sizeof(T) >= 4;

// Dynamic shared memory from the next bound of kAlign bytes on, and what to ask for more because of that: it is sure to
// start at a bound of 128 bytes.
template <int kAlign>
__device__ __forceinline__ unsigned char* shared_from() {
  unsigned char* const p = cuda::shared<>();
  if constexpr (kAlign <= 128) return p;
  return p + ((kAlign - (cuda::shared_address(p) & (kAlign - 1))) & (kAlign - 1));
}
constexpr size_t shared_slack(int align) { return align <= 128 ? 0 : static_cast<size_t>(align); }

// V neighbouring floats, which start at a multiple of V.
template <int V>
__device__ __forceinline__ void read_floats(const float* from, float (&v)[V]) {
  constexpr int W = V < 4 ? V : 4;
#pragma unroll
  for (int i = 0; i < V; i += W) {
    const cuda::Vector<float, W> some = cuda::load<float, W>(from + i);
#pragma unroll
    for (int j = 0; j < W; ++j) v[i + j] = some[j];
  }
}
template <int V>
__device__ __forceinline__ void write_floats(float* to, const float (&v)[V]) {
  constexpr int W = V < 4 ? V : 4;
#pragma unroll
  for (int i = 0; i < V; i += W) {
    cuda::Vector<float, W> some;
#pragma unroll
    for (int j = 0; j < W; ++j) some[j] = v[i + j];
    cuda::store(to + i, some);
  }
}

// The epilogue on V neighbouring channels.
template <int V, class T>
struct ChannelEpilogue {
  float scale[V], bias[V];
  __device__ __forceinline__ ChannelEpilogue(const ConvEpilogue& e, int64_t channel) {
#pragma unroll
    for (int i = 0; i < V; ++i) {
      scale[i] = e.scale ? cuda::to_float(static_cast<const T*>(e.scale)[channel + i]) : 1.f;
      bias[i] = e.bias ? cuda::to_float(static_cast<const T*>(e.bias)[channel + i]) : 0.f;
    }
  }
  __device__ __forceinline__ void operator()(const ConvEpilogue& e, float (&v)[V], int64_t element) const {
    using cuda::load;
    using cuda::Vector;
    if (e.scale || e.bias) {
#pragma unroll
      for (int i = 0; i < V; ++i) v[i] = fmaf(v[i], scale[i], bias[i]);
    }
    if (e.add) {
      const Vector<T, V> add = load<T, V>(static_cast<const T*>(e.add) + element);
#pragma unroll
      for (int i = 0; i < V; ++i) v[i] += cuda::to_float(add[i]);
    }
    if (e.relu) {
#pragma unroll
      for (int i = 0; i < V; ++i) v[i] = v[i] != v[i] || v[i] > 0 ? v[i] : 0.f;
    }
    if (e.mask) {
      const Vector<T, V> mask = load<T, V>(static_cast<const T*>(e.mask) + element);
#pragma unroll
      for (int i = 0; i < V; ++i) v[i] = cuda::to_float(mask[i]) > 0 ? v[i] : 0.f;
    }
  }
};

// y = epilogue(sum over parts of partial[part][element]). A block has blockDim.x elements; blockDim.y threads share the
// parts of one: each sums every blockDim.y-th, then they are added in order.
template <class T>
__global__ void conv_sum_parts(const float* partial, int parts, int64_t size, int64_t channels, T* y, ConvEpilogue e) {
  float* sums = cuda::shared<float>();
  const int x = static_cast<int>(threadIdx.x), part = static_cast<int>(threadIdx.y);
  const int width = static_cast<int>(blockDim.x), share = static_cast<int>(blockDim.y);
  const int64_t i = static_cast<int64_t>(blockIdx.x) * width + x;
  float sum[1] = {0};
  if (i < size) {
#pragma unroll 4
    for (int p = part; p < parts; p += share) sum[0] += partial[p * size + i];
  }
  if (share > 1) {
    sums[part * width + x] = sum[0];
    __syncthreads();
    if (part > 0) return;
    for (int p = 1; p < share; ++p) sum[0] += sums[p * width + x];
  }
  if (i >= size) return;
  const ChannelEpilogue<1, T> epilogue(e, i % channels);
  epilogue(e, sum, i);
  y[i] = cuda::from_float<T>(sum[0]);
}
template <class T>
void sum_parts(const Launch& l, const float* partial, int parts, int64_t size, int64_t channels, void* y,
               const ConvEpilogue& e) {
  if (size == 0) return;
  unsigned share = parts <= 4 ? 1 : parts <= 32 ? 4 : 16;
  if (size >= 1 << 20) share = 1;
  const unsigned width = 256 / share;
  cuda::launch(l, conv_sum_parts<T>, dim3(cuda::blocks_for(size, width)), dim3(width, share),
               share > 1 ? 256 * sizeof(float) : 0, partial, parts, size, channels, typed<T>(y), e);
}

}  // namespace
}  // namespace maas
