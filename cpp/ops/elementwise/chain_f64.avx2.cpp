#include "ops/elementwise/chain_f64_simd.h"

namespace maas {

void chain_f64_avx2(const ChainArgs& args, int64_t begin, int64_t end, const Exec& exec) {
  run_chain_f64(args, begin, end, exec);
}

}  // namespace maas
