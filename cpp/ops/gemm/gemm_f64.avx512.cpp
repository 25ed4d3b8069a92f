#include "ops/gemm/gemm_f64_simd.h"

namespace maas {

void gemm_f64_avx512(const GemmArgs& args, int64_t begin, int64_t end, const Exec&) { run_gemm_f64(args, begin, end); }

}  // namespace maas
