// Depthwise convolution and its input gradient, directly: no sum is long enough for a matrix product.
#include "ops/conv/conv_cuda.h"

#define MAAS_KERNELS "ops/conv/depthwise_kernels.inc"
#define MAAS_KERNEL_ARGS DepthwiseArgs
#define MAAS_KERNEL_TABLE depthwise_kernels
#include "cuda/kernel_table.h"

namespace maas {
namespace {

// Outputs of a thread: neighbours of one class along a line, which share the filter's loads and lines of x in L1.
constexpr int kOutputs = 4;
constexpr int kBlock = 256;

struct DepthwiseProblem {
  const void* x;
  const void* w;
  void* y;
  GpuAxes axes;
  int64_t first_image;
  uint32_t threads;                        // of this launch
  FastDiv vectors, strips, classes, h, d;  // the parts of a thread's number, fastest first; what is left is the image
  int channels;
  ConvEpilogue epilogue;
};

template <class T, int V>
__global__ void __launch_bounds__(kBlock) depthwise_kernel(const DepthwiseProblem p) {
  uint32_t rest = blockIdx.x * kBlock + threadIdx.x;
  if (rest >= p.threads) return;
  const int channel = static_cast<int>(p.vectors.cut(rest)) * V;
  const int i0 = static_cast<int>(p.strips.cut(rest)) * kOutputs, class_w = static_cast<int>(p.classes.cut(rest));
  const int oh = static_cast<int>(p.h.cut(rest)), od = static_cast<int>(p.d.cut(rest));
  const int64_t image = p.first_image + rest;
  const GpuAxis &d = p.axes.d, &h = p.axes.h, &w = p.axes.w;
  const GpuTaps td = gpu_taps(d, od % d.classes), th = gpu_taps(h, oh % h.classes), tw = gpu_taps(w, class_w);
  if (i0 >= tw.outs) return;

  const T* const weights = static_cast<const T*>(p.w) + channel;
  const int64_t line_size = static_cast<int64_t>(w.in) * p.channels;
  const T* const x = static_cast<const T*>(p.x) + image * d.in * h.in * line_size + channel;
  const int source_d = td.source + od / d.classes * d.step, source_h = th.source + oh / h.classes * h.step;
  const int source_w = tw.source + i0 * w.step;
  float sum[kOutputs][V] = {};
  for (int s = 0; s < td.count; ++s) {
    const int id = source_d + s * d.source_step;
    if (static_cast<unsigned>(id) >= static_cast<unsigned>(d.in)) continue;
    for (int t = 0; t < th.count; ++t) {
      const int ih = source_h + t * h.source_step;
      if (static_cast<unsigned>(ih) >= static_cast<unsigned>(h.in)) continue;
      const T* const line = x + (static_cast<int64_t>(id) * h.in + ih) * line_size;
      const int row_tap = window_tap(d, td, s) * h.kernel + window_tap(h, th, t);
      for (int u = 0; u < tw.count; ++u) {
        const int64_t tap = static_cast<int64_t>(row_tap) * w.kernel + window_tap(w, tw, u);
        float filter[V];
        cuda::to_float(cuda::load_const<T, V>(weights + tap * p.channels), filter);
#pragma unroll
        for (int o = 0; o < kOutputs; ++o) {
          const int iw = source_w + o * w.step + u * w.source_step;
          if (static_cast<unsigned>(iw) >= static_cast<unsigned>(w.in)) continue;
          float value[V];
          cuda::to_float(cuda::load_const<T, V>(line + static_cast<int64_t>(iw) * p.channels), value);
#pragma unroll
          for (int i = 0; i < V; ++i) sum[o][i] = fmaf(value[i], filter[i], sum[o][i]);
        }
      }
    }
  }
  const ChannelEpilogue<V, T> epilogue(p.epilogue, channel);
  const int64_t row = ((image * d.out + od) * h.out + oh) * w.out;
#pragma unroll
  for (int o = 0; o < kOutputs; ++o) {
    if (i0 + o >= tw.outs) break;
    const int64_t element = (row + class_w + static_cast<int64_t>(i0 + o) * w.classes) * p.channels + channel;
    epilogue(p.epilogue, sum[o], element);
    cuda::store(static_cast<T*>(p.y) + element, cuda::from_float<T, V>(sum[o]));
  }
}

template <class T, int V>
void launch_depthwise(const DepthwiseArgs& a, const Launch& l) {
  const int64_t vectors = a.channels / V, strips = div_up(div_up(a.axes.w.out, a.axes.w.classes), kOutputs);
  const int64_t per_image = vectors * strips * a.axes.w.classes * a.axes.h.out * a.axes.d.out;
  if (per_image >= int64_t(1) << 31)
    fail(ErrorKind::not_implemented, "depthwise: one image is too large for one CUDA launch, received ", per_image,
         " threads");
  const int64_t images = std::max<int64_t>(1, (int64_t(1) << 30) / per_image);  // of one launch
  for (int64_t first = 0; first < a.n; first += images) {
    const int64_t threads = std::min(images, a.n - first) * per_image;
    const DepthwiseProblem p{a.x,
                             a.w,
                             a.y,
                             gpu_axes(a.axes),
                             first,
                             static_cast<uint32_t>(threads),
                             FastDiv(vectors),
                             FastDiv(strips),
                             FastDiv(a.axes.w.classes),
                             FastDiv(a.axes.h.out),
                             FastDiv(a.axes.d.out),
                             static_cast<int>(a.channels),
                             a.fused};
    cuda::launch(l, depthwise_kernel<T, V>, dim3(cuda::blocks_for(threads, kBlock)), dim3(kBlock), 0, p);
  }
}

template <class T>
void depthwise(const DepthwiseArgs& a, const Launch& l) {
  if (a.n * outputs_of(a.axes) * a.channels == 0) return;
  check_pixels(a.axes);
  const ConvEpilogue& e = a.fused;
  if (a.channels % cuda::kLanes<T> == 0 && aligned<T>({a.x, a.w, a.y, e.add, e.mask}))
    launch_depthwise<T, cuda::kLanes<T>>(a, l);
  else
    launch_depthwise<T, 1>(a, l);
}

}  // namespace

void depthwise_f32_cuda(const DepthwiseArgs& a, const Launch& l) { depthwise<float>(a, l); }
void depthwise_bf16_cuda(const DepthwiseArgs& a, const Launch& l) { depthwise<__nv_bfloat16>(a, l); }
void depthwise_f16_cuda(const DepthwiseArgs& a, const Launch& l) { depthwise<__half>(a, l); }

}  // namespace maas
