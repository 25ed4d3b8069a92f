#include "ops/gemm/gemm_simd.h"

namespace maas {

void gemm_f32_avx2(const GemmArgs& args, int64_t begin, int64_t end, const Exec& exec) {
  run_gemm(args, begin, end, exec);
}

void gemm_pack_f32_avx2(const GemmPackArgs& args, int64_t begin, int64_t end, const Exec&) {
  run_pack(args, begin, end);
}

void gemm_batched_f32_avx2(const GemmBatchedArgs& args, int64_t begin, int64_t end, const Exec& exec) {
  run_batched<FloatTiles>(args, begin, end, exec);
}

void gemm_batched_i32_avx2(const GemmBatchedArgs& args, int64_t begin, int64_t end, const Exec& exec) {
  run_batched<IntegerTiles>(args, begin, end, exec);
}

}  // namespace maas
