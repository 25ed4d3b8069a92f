#include "ops/optimizer/optimizer_simd.h"

namespace maas {

void update_f32_avx512(const OptimizerArgs& a, int64_t begin, int64_t end, const Exec&) {
  update_spans<simd::V>(a, begin, end);
}

}  // namespace maas
