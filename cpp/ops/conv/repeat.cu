// Channels for depthwise filters, several a channel.
#include "cuda/launch.h"
#include "cuda/vector.h"
#include "ops/conv/repeat_kernels.h"

#define MAAS_KERNELS "ops/conv/repeat_kernels.inc"
#define MAAS_KERNEL_ARGS RepeatChannelsArgs
#define MAAS_KERNEL_TABLE repeat_channels_kernels
#include "cuda/kernel_table.h"

namespace maas {
namespace {

// A thread has one of the few channels' elements.
template <class T>
__global__ void repeat_channels_kernel(const T* x, T* y, int64_t elements, int64_t times, bool sum) {
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < elements;
       i += static_cast<int64_t>(gridDim.x) * blockDim.x) {
    if (sum) {
      float total = 0;
      for (int64_t j = 0; j < times; ++j) total += cuda::to_float(x[i * times + j]);
      y[i] = cuda::from_float<T>(total);
    } else {
      const T v = x[i];
      for (int64_t j = 0; j < times; ++j) y[i * times + j] = v;
    }
  }
}

template <class T>
void repeat_channels(const RepeatChannelsArgs& a, const Launch& l) {
  const int64_t elements = a.pixels * a.channels;
  if (elements == 0) return;
  cuda::launch(l, repeat_channels_kernel<T>, dim3(cuda::blocks_for(elements, 256, 1 << 20)), dim3(256), 0,
               static_cast<const T*>(a.x), static_cast<T*>(a.y), elements, a.times, a.sum);
}

}  // namespace

void repeat_channels_f32_cuda(const RepeatChannelsArgs& a, const Launch& l) { repeat_channels<float>(a, l); }
void repeat_channels_bf16_cuda(const RepeatChannelsArgs& a, const Launch& l) { repeat_channels<__nv_bfloat16>(a, l); }
void repeat_channels_f16_cuda(const RepeatChannelsArgs& a, const Launch& l) { repeat_channels<__half>(a, l); }

}  // namespace maas
