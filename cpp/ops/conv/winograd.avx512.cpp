#include "ops/conv/winograd_simd.h"

namespace maas {

void conv_winograd_f32_avx512(const WinogradArgs& args, int64_t begin, int64_t end, const Exec& exec) {
  run_winograd(args, begin, end, exec);
}

}  // namespace maas
