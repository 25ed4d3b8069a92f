#include "ops/norm/layer_norm_simd.h"

namespace maas {

void layer_norm_f32_avx512(const LayerNormArgs& a, int64_t begin, int64_t end, const Exec&) {
  layer_norm_rows(a, begin, end);
}
void layer_norm_grad_f32_avx512(const LayerNormGradArgs& a, int64_t begin, int64_t end, const Exec& e) {
  layer_norm_grad_units(a, begin, end, e.phase);
}

}  // namespace maas
