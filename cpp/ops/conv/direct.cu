// Convolutions as they are: the table of CUDA kernels, and those of float32.
#include "ops/conv/direct_cuda.h"

#define MAAS_KERNELS "ops/conv/direct_kernels.inc"
#define MAAS_KERNEL_ARGS ConvDirectArgs
#define MAAS_KERNEL_TABLE conv_direct_kernels
#include "cuda/kernel_table.h"

namespace maas {
namespace {
// A block of 64 x 64 has 16 sums a thread, so that small images fill the machine; one of 128 x 32 is for few channels.
using Direct = DirectKernels<FmaConfig<64, 64, 16, 4, 4, 3, 3, 65>, FmaConfig<128, 32, 16, 4, 4, 3, 3, 60>,
                             FmaConfig<128, 128, 16, 8, 8, 3, 2, 85>>;
}  // namespace

void conv_direct_f32_cuda(const ConvDirectArgs& a, const Launch& l) { Direct::launch(a, l); }
size_t conv_direct_f32_cuda_scratch(const ConvDirectArgs& a) { return Direct::scratch(a); }

}  // namespace maas
