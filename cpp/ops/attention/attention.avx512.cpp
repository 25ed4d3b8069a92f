#include "ops/attention/attention_grad_simd.h"
#include "ops/attention/attention_simd.h"

namespace maas {

void attention_f32_avx512(const AttentionArgs& a, int64_t begin, int64_t end, const Exec& e) {
  attention_units(a, begin, end, e);
}
void attention_grad_f32_avx512(const AttentionGradArgs& a, int64_t begin, int64_t end, const Exec& e) {
  attention_grad_units(a, begin, end, e);
}

}  // namespace maas
