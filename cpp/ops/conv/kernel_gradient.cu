// The kernel gradient: the table of CUDA kernels, and those of float32.
#include "ops/conv/kernel_gradient_cuda.h"

#define MAAS_KERNELS "ops/conv/kernel_gradient_kernels.inc"
#define MAAS_KERNEL_ARGS ConvKernelGradientArgs
#define MAAS_KERNEL_TABLE conv_kernel_gradient_kernels
#include "cuda/kernel_table.h"

namespace maas {
namespace {
// The tile of 32 x 32 is for first layers, whose kernels have few rows.
using KernelGradient =
    KernelGradientKernels<FmaConfig<64, 64, 16, 4, 4, 3, 3, 65>, FmaConfig<32, 32, 32, 4, 4, 3, 6, 50>,
                          FmaConfig<128, 128, 16, 8, 8, 3, 2, 85>>;
}  // namespace

void conv_kernel_gradient_f32_cuda(const ConvKernelGradientArgs& a, const Launch& l) { KernelGradient::launch(a, l); }
size_t conv_kernel_gradient_f32_cuda_scratch(const ConvKernelGradientArgs& a) { return KernelGradient::scratch(a); }

}  // namespace maas
