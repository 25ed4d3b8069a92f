// Expands an op's kernels.inc. Before including it, define
//   MAAS_KERNELS "ops/softmax/kernels.inc"   the rows: MAAS_CPU_KERNEL(name, isa, dtype[, tile...])
//                                            and MAAS_CUDA_KERNEL(name, sm, dtype[, flags[, tile...]])
//   MAAS_KERNEL_ARGS SoftmaxArgs             the contract's argument struct
//   MAAS_KERNEL_TABLE softmax_kernels        the table this defines
// It declares each kernel and defines the table. CUDA rows expand only inside the CUDA library: cuda/kernel_table.h.
#include "core/kernel.h"

#define MAAS_CONCAT_(a, b) a##b
#define MAAS_CONCAT(a, b) MAAS_CONCAT_(a, b)
#define MAAS_TEXT_(a) #a
#define MAAS_TEXT(a) MAAS_TEXT_(a)

namespace maas {
#define MAAS_CUDA_KERNEL(...)
#define MAAS_CUDA_KERNEL_SCRATCH(...)
#define MAAS_CUDA_HARDWARE_KERNEL(...)
#define MAAS_CUDA_HARDWARE_KERNEL_SCRATCH(...)
#define MAAS_CPU_KERNEL(name, isa, dtype, ...) \
  void name(const MAAS_KERNEL_ARGS& args, int64_t begin, int64_t end, const Exec& exec);
#include MAAS_KERNELS
#undef MAAS_CPU_KERNEL
namespace {
// Fields that are not named stay 0: what only rows of the CUDA library have.
#define MAAS_CPU_KERNEL(name, isa, dtype, ...)                                     \
  KernelRow{#name,                                                                 \
            isa,                                                                   \
            DType::dtype,                                                          \
            [](const void* args, int64_t begin, int64_t end, const Exec& exec) {   \
              name(*static_cast<const MAAS_KERNEL_ARGS*>(args), begin, end, exec); \
            },                                                                     \
            {__VA_ARGS__}},
const KernelRow MAAS_CONCAT(MAAS_KERNEL_TABLE, _rows)[] = {
#include MAAS_KERNELS
};
#undef MAAS_CPU_KERNEL
#undef MAAS_CUDA_KERNEL
#undef MAAS_CUDA_KERNEL_SCRATCH
#undef MAAS_CUDA_HARDWARE_KERNEL
#undef MAAS_CUDA_HARDWARE_KERNEL_SCRATCH
const KernelTable MAAS_KERNEL_TABLE{MAAS_CONCAT(MAAS_KERNEL_TABLE, _rows),
                                    sizeof(MAAS_CONCAT(MAAS_KERNEL_TABLE, _rows)) / sizeof(KernelRow),
                                    MAAS_TEXT(MAAS_KERNEL_TABLE)};
}  // namespace
}  // namespace maas
#undef MAAS_KERNELS
#undef MAAS_KERNEL_ARGS
#undef MAAS_KERNEL_TABLE
