#include "ops/attention/attention_mma_launch.h"

namespace maas {

void attention_bf16_cuda(const AttentionArgs& args, const Launch& l) {
  attention_cuda::attention_mma<__nv_bfloat16>(args, l);
}
size_t attention_bf16_cuda_scratch(const AttentionArgs& args) { return attention_cuda::forward_scratch(args, true); }

}  // namespace maas
