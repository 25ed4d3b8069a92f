#include "ops/conv/depthwise_gradient_simd.h"
#include "ops/conv/expand_simd.h"

namespace maas {

void depthwise_f32_avx2(const DepthwiseArgs& args, int64_t begin, int64_t end, const Exec& exec) {
  run_depthwise(args, begin, end, exec);
}

void depthwise_kernel_gradient_f32_avx2(const DepthwiseKernelGradientArgs& args, int64_t begin, int64_t end,
                                        const Exec& exec) {
  run_depthwise_gradient(args, begin, end, exec);
}

void expand_depthwise_f32_avx2(const ExpandDepthwiseArgs& args, int64_t begin, int64_t end, const Exec& exec) {
  run_expand_depthwise(args, begin, end, exec);
}

}  // namespace maas
