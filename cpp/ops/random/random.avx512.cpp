#include "ops/random/random_simd.h"

namespace maas {

void random_f32_avx512(const RandomArgs& a, int64_t begin, int64_t end, const Exec&) { uniform_numbers(a, begin, end); }
void dropout_f32_avx512(const RandomArgs& a, int64_t begin, int64_t end, const Exec&) { drop(a, begin, end); }

}  // namespace maas
