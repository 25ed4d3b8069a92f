#include "ops/conv/kernel_gradient_simd.h"

namespace maas {

void conv_kernel_gradient_f32_avx512(const ConvKernelGradientArgs& args, int64_t begin, int64_t end, const Exec& exec) {
  run_kernel_gradient(args, begin, end, exec);
}

}  // namespace maas
