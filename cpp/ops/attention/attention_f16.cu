#include "ops/attention/attention_mma_launch.h"

namespace maas {

void attention_f16_cuda(const AttentionArgs& args, const Launch& l) { attention_cuda::attention_mma<__half>(args, l); }
size_t attention_f16_cuda_scratch(const AttentionArgs& args) { return attention_cuda::forward_scratch(args, true); }

}  // namespace maas
