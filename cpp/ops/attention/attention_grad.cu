#include "ops/attention/attention_grad_cuda.h"

#define MAAS_KERNELS "ops/attention/grad_kernels.inc"
#define MAAS_KERNEL_ARGS AttentionGradArgs
#define MAAS_KERNEL_TABLE attention_grad_kernels
#include "cuda/kernel_table.h"

namespace maas {
namespace attention_cuda {
namespace {

template <int kDim>
void run(const GradProblem& a, const Launch& l) {
  using Layout = F32GradLayout<kDim>;
  const Problem& p = a.p;
  const bool vectors = by_vectors<float>(p.q, p.head_dim) && by_vectors<float>(p.k, p.head_dim) &&
                       by_vectors<float>(p.v, p.value_dim) && by_vectors<float>(a.dy, p.value_dim);
  const int key_blocks = (p.keys + Layout::kRows - 1) / Layout::kRows,
            query_blocks = (p.queries + Layout::kRows - 1) / Layout::kRows;
  cuda::launch(l, attention_dkdv_f32_kernel<kDim>,
               dim3(static_cast<unsigned>(static_cast<int64_t>(p.batch) * p.kv_heads * key_blocks)), dim3(kF32Threads),
               sizeof(float) * Layout::floats, a, key_blocks, vectors);
  cuda::launch(l, attention_dq_f32_kernel<kDim>,
               dim3(static_cast<unsigned>(static_cast<int64_t>(p.batch) * p.heads * query_blocks)), dim3(kF32Threads),
               sizeof(float) * Layout::floats, a, query_blocks, vectors);
}

}  // namespace
}  // namespace attention_cuda

void attention_grad_f32_cuda(const AttentionGradArgs& args, const Launch& l) {
  using namespace attention_cuda;
  const GradProblem a = problem_of(args);
  const Problem& p = a.p;
  run_delta<float>(a, l);
  const int dim = p.head_dim > p.value_dim ? p.head_dim : p.value_dim;
  if (dim <= 32) return run<32>(a, l);
  if (dim <= 64) return run<64>(a, l);
  if (dim <= 128) return run<128>(a, l);
  run<256>(a, l);
}

}  // namespace maas
