#include "ops/optimizer/optimizer_simd.h"

namespace maas {

void sgd_f32_avx2(const OptimizerArgs& a, int64_t begin, int64_t end, const Exec&) {
  update_sgd<simd::V>(a, begin, end);
}
void adam_f32_avx2(const OptimizerArgs& a, int64_t begin, int64_t end, const Exec&) {
  update_adam<simd::V>(a, begin, end);
}

}  // namespace maas
