#include "ops/conv/kernel_gradient_cuda.h"

namespace maas {

void conv_kernel_gradient_bf16_cuda(const ConvKernelGradientArgs& a, const Launch& l) {
  KernelGradientTensor<__nv_bfloat16>::launch(a, l);
}
size_t conv_kernel_gradient_bf16_cuda_scratch(const ConvKernelGradientArgs& a) {
  return KernelGradientTensor<__nv_bfloat16>::scratch(a);
}

}  // namespace maas
