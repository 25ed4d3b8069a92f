#include "ops/elementwise/chain_simd.h"

namespace maas {

void chain_f32_avx512(const ChainArgs& args, int64_t begin, int64_t end, const Exec& exec) {
  run_chain(args, begin, end, exec);
}

void chain_block_avx512(const ChainStepArgs* steps, int count, float* const* reg, int64_t n) {
  chain_block(steps, count, reg, n);
}

}  // namespace maas
