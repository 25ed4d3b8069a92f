#include "ops/conv/repeat_simd.h"

namespace maas {

void repeat_channels_f32_avx2(const RepeatChannelsArgs& args, int64_t begin, int64_t end, const Exec&) {
  run_repeat_channels(args, begin, end);
}

}  // namespace maas
