#include "ops/conv/conv_flat_simd.h"
#include "ops/conv/conv_thin_simd.h"
#include "ops/conv/pack_simd.h"

namespace maas {

void conv_f32_avx2(const ConvArgs& args, int64_t begin, int64_t end, const Exec& exec) {
  if (args.thin)
    run_conv_thin(args, begin, end, exec);
  else if (args.flat)
    run_conv_flat(args, begin, end, exec);
  else
    run_conv(args, begin, end, exec);
}

void conv_pack_f32_avx2(const ConvPackArgs& args, int64_t begin, int64_t end, const Exec&) {
  run_conv_pack(args, begin, end);
}

}  // namespace maas
