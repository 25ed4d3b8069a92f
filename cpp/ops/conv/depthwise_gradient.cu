// The kernel gradient of a depthwise convolution.
#include "ops/conv/conv_cuda.h"

#define MAAS_KERNELS "ops/conv/depthwise_kernel_gradient_kernels.inc"
#define MAAS_KERNEL_ARGS DepthwiseKernelGradientArgs
#define MAAS_KERNEL_TABLE depthwise_kernel_gradient_kernels
#include "cuda/kernel_table.h"

namespace maas {
namespace {

// A block has 32 channels and kShare threads for each, which share the pixels of one part; a thread sums kTaps taps, so
// that dy is read once for them.
constexpr int kShare = 8, kTaps = 9;

struct DepthwiseGradientProblem {
  const void* x;
  const void* dy;
  void* dw;
  float* partial;
  GpuAxes axes;
  FastDiv image, plane, line;  // by the pixels of dy in an image, in a plane, in a line
  int64_t pixels, part_pixels;
  int channels, taps, channel_blocks, tap_blocks, parts;
};

template <class T>
__global__ void __launch_bounds__(32 * kShare) depthwise_kernel_gradient_kernel(const DepthwiseGradientProblem p) {
  float* const sums = cuda::shared<float>();  // kShare x kTaps x 32
  const GpuAxes& axes = p.axes;
  const int x_lane = static_cast<int>(threadIdx.x), share = static_cast<int>(threadIdx.y);
  uint32_t block = blockIdx.x;
  const int channel = static_cast<int>(block % static_cast<uint32_t>(p.channel_blocks)) * 32 + x_lane;
  block /= static_cast<uint32_t>(p.channel_blocks);
  const int tap0 = static_cast<int>(block % static_cast<uint32_t>(p.tap_blocks)) * kTaps;
  const int part = static_cast<int>(block / static_cast<uint32_t>(p.tap_blocks));

  int td[kTaps], th[kTaps], tw[kTaps];
#pragma unroll
  for (int t = 0; t < kTaps; ++t) {
    const int tap = tap0 + t;
    tw[t] = tap % axes.w.kernel * axes.w.dilation;
    th[t] = tap / axes.w.kernel % axes.h.kernel * axes.h.dilation;
    // A tap after the last one reads nothing.
    td[t] = tap < p.taps ? tap / axes.w.kernel / axes.h.kernel * axes.d.dilation : -(1 << 30);
  }
  const int64_t first = static_cast<int64_t>(part) * p.part_pixels;
  const int mine = static_cast<int>(max(min(p.part_pixels, p.pixels - first), static_cast<int64_t>(0)));
  const int64_t first_image = first / p.image.d;
  const uint32_t offset = static_cast<uint32_t>(first - first_image * p.image.d);
  float sum[kTaps] = {};
  if (channel < p.channels) {
    const T* const x = static_cast<const T*>(p.x) + channel;
    const T* const dy = static_cast<const T*>(p.dy) + first * p.channels + channel;
    for (int i = share; i < mine; i += kShare) {
      uint32_t image = offset + static_cast<uint32_t>(i);
      uint32_t plane = p.image.cut(image);
      uint32_t line = p.plane.cut(plane);
      const int wide = static_cast<int>(p.line.cut(line));
      const int id = static_cast<int>(plane) * axes.d.step - axes.d.begin;
      const int ih = static_cast<int>(line) * axes.h.step - axes.h.begin;
      const int iw = wide * axes.w.step - axes.w.begin;
      const int64_t source = (((first_image + image) * axes.d.in + id) * axes.h.in + ih) * axes.w.in + iw;
      const float value = cuda::to_float(dy[static_cast<int64_t>(i) * p.channels]);
#pragma unroll
      for (int t = 0; t < kTaps; ++t) {
        const bool inside = static_cast<unsigned>(id + td[t]) < static_cast<unsigned>(axes.d.in) &&
                            static_cast<unsigned>(ih + th[t]) < static_cast<unsigned>(axes.h.in) &&
                            static_cast<unsigned>(iw + tw[t]) < static_cast<unsigned>(axes.w.in);
        if (!inside) continue;
        const int64_t of_tap = (static_cast<int64_t>(td[t]) * axes.h.in + th[t]) * axes.w.in + tw[t];
        sum[t] = fmaf(cuda::to_float(x[(source + of_tap) * p.channels]), value, sum[t]);
      }
    }
  }
#pragma unroll
  for (int t = 0; t < kTaps; ++t) sums[(share * kTaps + t) * 32 + x_lane] = sum[t];
  __syncthreads();
  for (int t = share; t < kTaps; t += kShare) {
    if (channel >= p.channels || tap0 + t >= p.taps) continue;
    float total = 0;
#pragma unroll
    for (int s = 0; s < kShare; ++s) total += sums[(s * kTaps + t) * 32 + x_lane];
    const int64_t element = static_cast<int64_t>(tap0 + t) * p.channels + channel;
    if (p.parts == 1)
      static_cast<T*>(p.dw)[element] = cuda::from_float<T>(total);
    else
      p.partial[static_cast<int64_t>(part) * p.taps * p.channels + element] = total;
  }
}

int64_t taps_of(const ConvAxes& a) { return a.d.kernel * a.h.kernel * a.w.kernel; }

// About four blocks a multiprocessor, each with at least 64 pixels.
int64_t gradient_parts(const DepthwiseKernelGradientArgs& a) {
  const int64_t pixels = a.n * outputs_of(a.axes);
  const int64_t blocks = div_up(a.channels, 32) * div_up(taps_of(a.axes), kTaps);
  const int64_t wanted = div_up(4 * 132, std::max<int64_t>(blocks, 1));
  return std::max(std::clamp<int64_t>(wanted, 1, std::max<int64_t>(pixels / 64, 1)), div_up(pixels, int64_t(1) << 29));
}
size_t gradient_scratch(const DepthwiseKernelGradientArgs& a) {
  const int64_t parts = gradient_parts(a);
  return parts > 1 ? static_cast<size_t>(parts * taps_of(a.axes) * a.channels) * sizeof(float) : 0;
}

template <class T>
void depthwise_kernel_gradient(const DepthwiseKernelGradientArgs& a, const Launch& l) {
  const int64_t taps = taps_of(a.axes), size = taps * a.channels, pixels = a.n * outputs_of(a.axes);
  if (size == 0) return;
  check_pixels(a.axes);
  const int64_t parts = gradient_parts(a);
  const DepthwiseGradientProblem p{a.x,
                                   a.dy,
                                   a.dw,
                                   static_cast<float*>(l.scratch),
                                   gpu_axes(a.axes),
                                   FastDiv(std::max<int64_t>(outputs_of(a.axes), 1)),
                                   FastDiv(std::max<int64_t>(a.axes.h.out * a.axes.w.out, 1)),
                                   FastDiv(std::max<int64_t>(a.axes.w.out, 1)),
                                   pixels,
                                   div_up(pixels, parts),
                                   static_cast<int>(a.channels),
                                   static_cast<int>(taps),
                                   static_cast<int>(div_up(a.channels, 32)),
                                   static_cast<int>(div_up(taps, kTaps)),
                                   static_cast<int>(parts)};
  cuda::launch(l, depthwise_kernel_gradient_kernel<T>,
               dim3(static_cast<unsigned>(int64_t(p.channel_blocks) * p.tap_blocks * parts)), dim3(32, kShare),
               kShare * kTaps * 32 * sizeof(float), p);
  if (parts > 1) sum_parts<T>(l, p.partial, p.parts, size, size, a.dw, {});
}

}  // namespace

void depthwise_kernel_gradient_f32_cuda(const DepthwiseKernelGradientArgs& a, const Launch& l) {
  depthwise_kernel_gradient<float>(a, l);
}
void depthwise_kernel_gradient_bf16_cuda(const DepthwiseKernelGradientArgs& a, const Launch& l) {
  depthwise_kernel_gradient<__nv_bfloat16>(a, l);
}
void depthwise_kernel_gradient_f16_cuda(const DepthwiseKernelGradientArgs& a, const Launch& l) {
  depthwise_kernel_gradient<__half>(a, l);
}
size_t depthwise_kernel_gradient_f32_cuda_scratch(const DepthwiseKernelGradientArgs& a) { return gradient_scratch(a); }
size_t depthwise_kernel_gradient_bf16_cuda_scratch(const DepthwiseKernelGradientArgs& a) { return gradient_scratch(a); }
size_t depthwise_kernel_gradient_f16_cuda_scratch(const DepthwiseKernelGradientArgs& a) { return gradient_scratch(a); }

}  // namespace maas
