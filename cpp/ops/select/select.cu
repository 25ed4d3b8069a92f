#include "cuda/element.h"
#include "cuda/launch.h"
#include "cuda/reduce.h"
#include "ops/select/select_kernels.h"

#define MAAS_KERNELS "ops/select/nonzero_kernels.inc"
#define MAAS_KERNEL_ARGS NonzeroArgs
#define MAAS_KERNEL_TABLE nonzero_kernels
#include "cuda/kernel_table.h"

namespace maas {
namespace {

constexpr int kThreads = 1024;

// One block goes through x and carries the count on; then it clears the rest.
__global__ void __launch_bounds__(kThreads) find_nonzero(NonzeroArgs a) {
  int32_t found = 0;
  for (int64_t first = 0; first < a.size; first += kThreads) {
    const int64_t i = first + threadIdx.x;
    const int32_t is = i < a.size && cuda::load_element<double>(a.x, a.dtype, i) != 0;
    int32_t total;
    const int32_t place = cuda::block_scan(is, cuda::Sum{}, 0, total);
    if (is) a.positions[found + place - 1] = static_cast<int32_t>(i);
    found += total;
  }
  for (int64_t i = found + static_cast<int64_t>(threadIdx.x); i < a.size; i += kThreads) a.positions[i] = 0;
  if (threadIdx.x == 0) *a.count = found;
}

}  // namespace

void nonzero_cuda(const NonzeroArgs& a, const Launch& l) { cuda::launch(l, find_nonzero, 1, kThreads, 0, a); }

}  // namespace maas
