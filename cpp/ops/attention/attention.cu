#include "ops/attention/attention_f32_cuda.h"
#include "ops/attention/attention_launch.h"

#define MAAS_KERNELS "ops/attention/kernels.inc"
#define MAAS_KERNEL_ARGS AttentionArgs
#define MAAS_KERNEL_TABLE attention_kernels
#include "cuda/kernel_table.h"

namespace maas {
namespace attention_cuda {
namespace {

template <int kDim, int kR>
void run(const AttentionArgs& a, const Problem& p, const Launch& l, bool split) {
  const Tiling tiling = tiling_of(p, 8 * kR, split, kChunk);
  const Output out = output_of(a, tiling, l);
  const bool vectors =
      by_vectors<float>(a.q, p.head_dim) && by_vectors<float>(a.k, p.head_dim) && by_vectors<float>(a.v, p.value_dim);
  cuda::launch(l, attention_f32_kernel<kDim, kR>, dim3(static_cast<unsigned>(tiling.blocks(p))), dim3(kF32Threads),
               sizeof(float) * F32Layout<kDim, kR>::floats, p, out, tiling, vectors, cuda::reporter(l));
  combine<float>(l, p, out, tiling);
}

template <int kDim>
void run_dim(const AttentionArgs& a, const Problem& p, const Launch& l) {
  if (is_decode(a.s)) return run<kDim, 1>(a, p, l, true);
  if (tiling_of(p, 64, false, kChunk).blocks(p) >= 2 * l.multiprocessors) return run<kDim, 8>(a, p, l, false);
  run<kDim, 2>(a, p, l, false);
}

}  // namespace
}  // namespace attention_cuda

void attention_f32_cuda(const AttentionArgs& args, const Launch& l) {
  using namespace attention_cuda;
  const Problem p = problem_of(args);
  const int dim = p.head_dim > p.value_dim ? p.head_dim : p.value_dim;
  if (dim <= 32) return run_dim<32>(args, p, l);
  if (dim <= 64) return run_dim<64>(args, p, l);
  if (dim <= 128) return run_dim<128>(args, p, l);
  run_dim<256>(args, p, l);
}
size_t attention_f32_cuda_scratch(const AttentionArgs& args) { return attention_cuda::forward_scratch(args, false); }

}  // namespace maas
