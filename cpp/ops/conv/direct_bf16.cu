#include "ops/conv/direct_cuda.h"

namespace maas {

void conv_direct_bf16_cuda(const ConvDirectArgs& a, const Launch& l) { DirectTensor<__nv_bfloat16>::launch(a, l); }
size_t conv_direct_bf16_cuda_scratch(const ConvDirectArgs& a) { return DirectTensor<__nv_bfloat16>::scratch(a); }

}  // namespace maas
