#include "ops/loss/cross_entropy_simd.h"
#include "simd/isa.h"

namespace maas {

void cross_entropy_labels_f32_avx2(const CrossEntropyArgs& a, int64_t begin, int64_t end, const Exec& exec) {
  cross_entropy_labels<simd::V>(a, begin, end, exec);
}
void cross_entropy_targets_f32_avx2(const CrossEntropyArgs& a, int64_t begin, int64_t end, const Exec&) {
  cross_entropy_targets<simd::V>(a, begin, end);
}
void cross_entropy_labels_gradient_f32_avx2(const CrossEntropyArgs& a, int64_t begin, int64_t end, const Exec& exec) {
  cross_entropy_gradient<simd::V>(a, begin, end, true, exec);
}
void cross_entropy_targets_gradient_f32_avx2(const CrossEntropyArgs& a, int64_t begin, int64_t end, const Exec& exec) {
  cross_entropy_gradient<simd::V>(a, begin, end, false, exec);
}

}  // namespace maas
