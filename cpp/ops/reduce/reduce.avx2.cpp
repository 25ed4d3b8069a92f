#include "ops/reduce/reduce_f64_simd.h"
#include "ops/reduce/reduce_simd.h"

namespace maas {

void reduce_f32_avx2(const ReduceArgs& a, int64_t begin, int64_t end, const Exec& exec) {
  reduce_f32(a, begin, end, exec.phase);
}

void reduce_f64_avx2(const ReduceArgs& a, int64_t begin, int64_t end, const Exec&) { sum_f64(a, begin, end); }

}  // namespace maas
