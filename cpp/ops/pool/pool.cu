// Pooling on a GPU: a thread takes one pixel of what is written and 16 bytes of its channels; nothing is added across
// threads. 16-bit floats are compared and summed as float32.
#include <type_traits>

#include "cuda/divide.h"
#include "cuda/launch.h"
#include "cuda/vector.h"
#include "ops/pool/pool_kernels.h"

#define MAAS_KERNELS "ops/pool/max_kernels.inc"
#define MAAS_KERNEL_ARGS PoolArgs
#define MAAS_KERNEL_TABLE max_pool_kernels
#include "cuda/kernel_table.h"

#define MAAS_KERNELS "ops/pool/max_gradient_kernels.inc"
#define MAAS_KERNEL_ARGS PoolArgs
#define MAAS_KERNEL_TABLE max_pool_gradient_kernels
#include "cuda/kernel_table.h"

#define MAAS_KERNELS "ops/pool/average_kernels.inc"
#define MAAS_KERNEL_ARGS PoolArgs
#define MAAS_KERNEL_TABLE average_pool_kernels
#include "cuda/kernel_table.h"

#define MAAS_KERNELS "ops/pool/average_gradient_kernels.inc"
#define MAAS_KERNEL_ARGS PoolArgs
#define MAAS_KERNEL_TABLE average_pool_gradient_kernels
#include "cuda/kernel_table.h"

namespace maas {
namespace {

constexpr int kThreads = 256;

// What sums are kept in.
template <class T>
struct Wide {
  using type = float;
};
template <>
struct Wide<double> {
  using type = double;
};
template <class T>
__device__ __forceinline__ typename Wide<T>::type widen(T v) {
  return cuda::to_float(v);
}
template <>
__device__ __forceinline__ double widen(double v) {
  return v;
}
template <class T>
__device__ __forceinline__ T narrow(typename Wide<T>::type v) {
  return cuda::from_float<T>(v);
}
template <>
__device__ __forceinline__ double narrow<double>(double v) {
  return v;
}

template <class Index>
struct Grid {
  cuda::Divisor<Index> channels, w, h, d;  // vectors of channels, pixels of what is written
  Index count;
};
struct Pixel {
  int64_t n, d, h, w, channel;
};
template <int kWidth, class Index>
__device__ __forceinline__ Pixel pixel_of(const Grid<Index>& g, Index i) {
  Pixel p;
  p.channel = static_cast<int64_t>(split(i, g.channels)) * kWidth;
  p.w = split(i, g.w);
  p.h = split(i, g.h);
  p.d = split(i, g.d);
  p.n = i;
  return p;
}
template <class Index>
__device__ __forceinline__ Index first_position() {
  return static_cast<Index>(blockIdx.x) * kThreads + static_cast<Index>(threadIdx.x);
}
template <class Index>
__device__ __forceinline__ Index step_of_grid() {
  return static_cast<Index>(gridDim.x) * kThreads;
}

struct Range {
  int64_t first, last;
  __device__ __forceinline__ int64_t length() const { return last > first ? last - first : 0; }
};
// Positions of window o that lie inside.
__device__ __forceinline__ Range positions(const PoolAxis& a, int64_t o) {
  const int64_t source = o * a.stride - a.begin;
  return {source < 0 ? -source : 0, a.in - source < a.kernel ? a.in - source : a.kernel};
}
// Windows that hold input i. Int: int where the sizes of all axes allow; 64-bit quotients cost ten times as much.
template <class Int>
__device__ __forceinline__ Range windows(const PoolAxis& a, int64_t i) {
  const Int at = static_cast<Int>(i + a.begin), stride = static_cast<Int>(a.stride),
            before = at - static_cast<Int>(a.kernel);
  const int64_t last = at / stride + 1;
  return {before < 0 ? 0 : before / stride + 1, last < a.out ? last : a.out};
}

// Calls fn(position in the window, its vector of x) row by row. Returns the number of positions.
template <int kWidth, class T, class F>
__device__ __forceinline__ int64_t for_window(const PoolArgs& a, const Pixel& o, const T* x, F&& fn) {
  const Range d = positions(a.d, o.d), h = positions(a.h, o.h), w = positions(a.w, o.w);
  const int64_t id = o.d * a.d.stride - a.d.begin, ih = o.h * a.h.stride - a.h.begin, iw = o.w * a.w.stride - a.w.begin;
  for (int64_t kd = d.first; kd < d.last; ++kd)
    for (int64_t kh = h.first; kh < h.last; ++kh) {
      const int64_t row = ((o.n * a.d.in + id + kd) * a.h.in + ih + kh) * a.w.in + iw;
#pragma unroll 3
      for (int64_t kw = w.first; kw < w.last; ++kw)
        fn((kd * a.h.kernel + kh) * a.w.kernel + kw, cuda::load<T, kWidth>(x + (row + kw) * a.channels + o.channel));
    }
  return d.length() * h.length() * w.length();
}

template <class T, int kWidth, class Index>
__global__ void __launch_bounds__(kThreads) max_pool(const PoolArgs a, const Grid<Index> g) {
  using W = typename Wide<T>::type;
  for (Index i = first_position<Index>(); i < g.count; i += step_of_grid<Index>()) {
    const Pixel o = pixel_of<kWidth>(g, i);
    W best[kWidth];
    int32_t at[kWidth];
    const int64_t first =
        (positions(a.d, o.d).first * a.h.kernel + positions(a.h, o.h).first) * a.w.kernel + positions(a.w, o.w).first;
#pragma unroll
    for (int j = 0; j < kWidth; ++j) {
      best[j] = static_cast<W>(-INFINITY);
      at[j] = static_cast<int32_t>(first);
    }
    for_window<kWidth>(a, o, static_cast<const T*>(a.x), [&](int64_t position, const cuda::Vector<T, kWidth>& v) {
#pragma unroll
      for (int j = 0; j < kWidth; ++j) {
        // The first among equals stays; a NaN wins over numbers, the first NaN over later ones.
        const W x = widen(v[j]);
        const bool wins = x > best[j] || (x != x && best[j] == best[j]);
        best[j] = wins ? x : best[j];
        at[j] = wins ? static_cast<int32_t>(position) : at[j];
      }
    });
    cuda::Vector<T, kWidth> y;
#pragma unroll
    for (int j = 0; j < kWidth; ++j) y[j] = narrow<T>(best[j]);
    const int64_t to = static_cast<int64_t>(i) * kWidth;
    cuda::store(static_cast<T*>(a.y) + to, y);
    if (!a.index) continue;
    if (a.wide) {
#pragma unroll
      for (int j = 0; j < kWidth; ++j) static_cast<int32_t*>(a.index)[to + j] = at[j];
    } else {
      cuda::Vector<uint8_t, kWidth> index;
#pragma unroll
      for (int j = 0; j < kWidth; ++j) index[j] = static_cast<uint8_t>(at[j]);
      cuda::store(static_cast<uint8_t*>(a.index) + to, index);
    }
  }
}

template <class T, int kWidth, class Index>
__global__ void __launch_bounds__(kThreads) average_pool(const PoolArgs a, const Grid<Index> g) {
  using W = typename Wide<T>::type;
  for (Index i = first_position<Index>(); i < g.count; i += step_of_grid<Index>()) {
    const Pixel o = pixel_of<kWidth>(g, i);
    W sum[kWidth] = {};
    const int64_t count =
        for_window<kWidth>(a, o, static_cast<const T*>(a.x), [&](int64_t, const cuda::Vector<T, kWidth>& v) {
#pragma unroll
          for (int j = 0; j < kWidth; ++j) sum[j] += widen(v[j]);
        });
    cuda::Vector<T, kWidth> y;
#pragma unroll
    for (int j = 0; j < kWidth; ++j) y[j] = narrow<T>(sum[j] / static_cast<W>(count));
    cuda::store(static_cast<T*>(a.y) + static_cast<int64_t>(i) * kWidth, y);
  }
}

// dx = the sum, over the windows that hold a pixel in their order, of fn(window, position of its vector of dy, of the
// pixel in it, sum).
template <class T, int kWidth, class Index, class F>
__device__ __forceinline__ void gather_windows(const PoolArgs& a, const Grid<Index>& g, F&& fn) {
  using W = typename Wide<T>::type;
  for (Index i = first_position<Index>(); i < g.count; i += step_of_grid<Index>()) {
    const Pixel p = pixel_of<kWidth>(g, i);
    using Int = std::conditional_t<sizeof(Index) == 4, int, int64_t>;
    const Range d = windows<Int>(a.d, p.d), h = windows<Int>(a.h, p.h), w = windows<Int>(a.w, p.w);
    W sum[kWidth] = {};
    for (int64_t od = d.first; od < d.last; ++od)
      for (int64_t oh = h.first; oh < h.last; ++oh)
#pragma unroll 2
        for (int64_t ow = w.first; ow < w.last; ++ow) {
          const int64_t kd = p.d + a.d.begin - od * a.d.stride, kh = p.h + a.h.begin - oh * a.h.stride,
                        kw = p.w + a.w.begin - ow * a.w.stride;
          const Pixel o{p.n, od, oh, ow, p.channel};
          const int64_t at = (((p.n * a.d.out + od) * a.h.out + oh) * a.w.out + ow) * a.channels + p.channel;
          fn(o, at, (kd * a.h.kernel + kh) * a.w.kernel + kw, sum);
        }
    cuda::Vector<T, kWidth> dx;
#pragma unroll
    for (int j = 0; j < kWidth; ++j) dx[j] = narrow<T>(sum[j]);
    cuda::store(static_cast<T*>(a.y) + static_cast<int64_t>(i) * kWidth, dx);
  }
}

template <class T, int kWidth, class Index>
__global__ void __launch_bounds__(kThreads) max_pool_gradient(const PoolArgs a, const Grid<Index> g) {
  using W = typename Wide<T>::type;
  gather_windows<T, kWidth>(a, g, [&](const Pixel&, int64_t at, int64_t position, W(&sum)[kWidth]) {
    const auto dy = cuda::load<T, kWidth>(static_cast<const T*>(a.x) + at);
    if (a.wide) {
#pragma unroll
      for (int j = 0; j < kWidth; ++j)
        if (static_cast<const int32_t*>(a.index)[at + j] == position) sum[j] += widen(dy[j]);
    } else {
      const auto index = cuda::load<uint8_t, kWidth>(static_cast<const uint8_t*>(a.index) + at);
#pragma unroll
      for (int j = 0; j < kWidth; ++j)
        if (index[j] == position) sum[j] += widen(dy[j]);
    }
  });
}

template <class T, int kWidth, class Index>
__global__ void __launch_bounds__(kThreads) average_pool_gradient(const PoolArgs a, const Grid<Index> g) {
  using W = typename Wide<T>::type;
  gather_windows<T, kWidth>(a, g, [&](const Pixel& o, int64_t at, int64_t, W(&sum)[kWidth]) {
    const W count =
        static_cast<W>(positions(a.d, o.d).length() * positions(a.h, o.h).length() * positions(a.w, o.w).length());
    const auto dy = cuda::load<T, kWidth>(static_cast<const T*>(a.x) + at);
#pragma unroll
    for (int j = 0; j < kWidth; ++j) sum[j] += widen(dy[j]) / count;
  });
}

bool small(const PoolAxis& a) {
  constexpr int64_t most = 1 << 29;
  return a.in < most && a.out < most && a.kernel < most && a.stride < most && a.begin < most;
}
bool aligned(const void* p, int bytes) { return reinterpret_cast<uintptr_t>(p) % static_cast<uintptr_t>(bytes) == 0; }

// Launches `kernel` over pixels of what is written: those of the image for a gradient, else of the windows.
#define MAAS_POOL_LAUNCH(kernel, of_windows)                                                                          \
  template <class T>                                                                                                  \
  void kernel##_of(const PoolArgs& a, const Launch& l) {                                                              \
    constexpr int kWidth = cuda::kLanes<T>;                                                                           \
    const bool vector = a.channels % kWidth == 0 && aligned(a.x, 16) && aligned(a.y, 16) && aligned(a.index, kWidth); \
    const int64_t channels = vector ? a.channels / kWidth : a.channels;                                               \
    const int64_t d = of_windows ? a.d.out : a.d.in, h = of_windows ? a.h.out : a.h.in,                               \
                  w = of_windows ? a.w.out : a.w.in;                                                                  \
    const int64_t count = a.n * d * h * w * channels;                                                                 \
    if (count == 0) return;                                                                                           \
    auto go = [&](auto index, auto run) {                                                                             \
      using Index = decltype(index);                                                                                  \
      const Grid<Index> g{cuda::Divisor<Index>(channels), cuda::Divisor<Index>(w), cuda::Divisor<Index>(h),           \
                          cuda::Divisor<Index>(d), static_cast<Index>(count)};                                        \
      cuda::launch(l, run, cuda::blocks_for(count, kThreads), kThreads, 0, a, g);                                     \
    };                                                                                                                \
    const bool narrow = count < int64_t{1} << 31 && small(a.d) && small(a.h) && small(a.w);                           \
    if (vector)                                                                                                       \
      narrow ? go(uint32_t{}, kernel<T, kWidth, uint32_t>) : go(int64_t{}, kernel<T, kWidth, int64_t>);               \
    else                                                                                                              \
      narrow ? go(uint32_t{}, kernel<T, 1, uint32_t>) : go(int64_t{}, kernel<T, 1, int64_t>);                         \
  }
MAAS_POOL_LAUNCH(max_pool, true)
MAAS_POOL_LAUNCH(average_pool, true)
MAAS_POOL_LAUNCH(max_pool_gradient, false)
MAAS_POOL_LAUNCH(average_pool_gradient, false)

}  // namespace

#define MAAS_POOL_ROWS(kernel)                                                                      \
  void kernel##_f32_cuda(const PoolArgs& a, const Launch& l) { kernel##_of<float>(a, l); }          \
  void kernel##_f64_cuda(const PoolArgs& a, const Launch& l) { kernel##_of<double>(a, l); }         \
  void kernel##_bf16_cuda(const PoolArgs& a, const Launch& l) { kernel##_of<__nv_bfloat16>(a, l); } \
  void kernel##_f16_cuda(const PoolArgs& a, const Launch& l) { kernel##_of<__half>(a, l); }
MAAS_POOL_ROWS(max_pool)
MAAS_POOL_ROWS(average_pool)
MAAS_POOL_ROWS(max_pool_gradient)
MAAS_POOL_ROWS(average_pool_gradient)

}  // namespace maas
