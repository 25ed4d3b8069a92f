#include "ops/attention/attention_grad_mma.h"

namespace maas {

void attention_grad_bf16_cuda(const AttentionGradArgs& args, const Launch& l) {
  attention_cuda::attention_grad_mma<__nv_bfloat16>(args, l);
}

}  // namespace maas
