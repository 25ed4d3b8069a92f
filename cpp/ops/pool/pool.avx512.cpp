#include "ops/pool/pool_simd.h"

namespace maas {

void max_pool_f32_avx512(const PoolArgs& a, int64_t begin, int64_t end, const Exec&) {
  if (a.wide)
    run_max_pool<int32_t>(a, begin, end);
  else
    run_max_pool<uint8_t>(a, begin, end);
}
void max_pool_gradient_f32_avx512(const PoolArgs& a, int64_t begin, int64_t end, const Exec&) {
  if (a.wide)
    run_max_pool_gradient<int32_t>(a, begin, end);
  else
    run_max_pool_gradient<uint8_t>(a, begin, end);
}
void average_pool_f32_avx512(const PoolArgs& a, int64_t begin, int64_t end, const Exec&) {
  run_average_pool(a, begin, end);
}
void average_pool_gradient_f32_avx512(const PoolArgs& a, int64_t begin, int64_t end, const Exec&) {
  run_average_pool_gradient(a, begin, end);
}

}  // namespace maas
