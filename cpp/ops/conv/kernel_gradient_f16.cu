#include "ops/conv/kernel_gradient_cuda.h"

namespace maas {

void conv_kernel_gradient_f16_cuda(const ConvKernelGradientArgs& a, const Launch& l) {
  KernelGradientTensor<__half>::launch(a, l);
}
size_t conv_kernel_gradient_f16_cuda_scratch(const ConvKernelGradientArgs& a) {
  return KernelGradientTensor<__half>::scratch(a);
}

}  // namespace maas
