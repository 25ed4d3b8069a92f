#include "ops/conv/direct_cuda.h"

namespace maas {

void conv_direct_f16_cuda(const ConvDirectArgs& a, const Launch& l) { DirectTensor<__half>::launch(a, l); }
size_t conv_direct_f16_cuda_scratch(const ConvDirectArgs& a) { return DirectTensor<__half>::scratch(a); }

}  // namespace maas
