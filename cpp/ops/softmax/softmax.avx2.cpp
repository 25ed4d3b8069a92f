#include "ops/softmax/softmax_simd.h"

namespace maas {

void softmax_f32_avx2(const SoftmaxArgs& args, int64_t begin, int64_t end, const Exec&) {
  softmax_rows(args, begin, end);
}
void softmax_gradient_f32_avx2(const SoftmaxGradientArgs& args, int64_t begin, int64_t end, const Exec&) {
  softmax_gradient_rows(args, begin, end);
}

}  // namespace maas
