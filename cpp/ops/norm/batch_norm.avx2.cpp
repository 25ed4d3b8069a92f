#include "ops/norm/batch_norm_simd.h"

namespace maas {

void batch_norm_train_f32_avx2(const BatchNormArgs& a, int64_t begin, int64_t end, const Exec& e) {
  batch_norm_units(a, begin, end, e.phase);
}
void batch_norm_grad_f32_avx2(const BatchNormGradArgs& a, int64_t begin, int64_t end, const Exec& e) {
  batch_norm_grad_units(a, begin, end, e.phase);
}

}  // namespace maas
