#include "ops/conv/conv_simd.h"

namespace maas {

void conv_f32_avx512(const ConvArgs& args, int64_t begin, int64_t end, const Exec& exec) { run_conv(args, begin, end, exec); }

}  // namespace maas
