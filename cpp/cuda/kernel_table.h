// Expands the CUDA rows of an op's kernels.inc, inside the CUDA library. In the op's .cu, with the same three names as
// beside core/kernel_table.h in its .cpp:
//   #define MAAS_KERNELS "ops/softmax/kernels.inc"
//   #define MAAS_KERNEL_ARGS SoftmaxArgs
//   #define MAAS_KERNEL_TABLE softmax_kernels
// Rows: MAAS_CUDA_KERNEL(name, sm, dtype[, flags[, tile...]]) declares void name(const Args&, const Launch&);
// MAAS_CUDA_KERNEL_SCRATCH(...) the same and size_t name_scratch(const Args&), bytes of GPU memory that it wants.
// MAAS_CUDA_HARDWARE_KERNEL and MAAS_CUDA_HARDWARE_KERNEL_SCRATCH: rows with instructions that the emulator does not
// know (wgmma, bulk tensor copies, clusters); no rows there.
#include "core/kernel.h"

#define MAAS_CONCAT_(a, b) a##b
#define MAAS_CONCAT(a, b) MAAS_CONCAT_(a, b)
#define MAAS_TEXT_(a) #a
#define MAAS_TEXT(a) MAAS_TEXT_(a)

namespace maas {
#define MAAS_CPU_KERNEL(...)
#ifdef MAAS_CUDA_EMULATE
#define MAAS_CUDA_HARDWARE_KERNEL(...)
#define MAAS_CUDA_HARDWARE_KERNEL_SCRATCH(...)
#else
#define MAAS_CUDA_HARDWARE_KERNEL(...) MAAS_CUDA_KERNEL(__VA_ARGS__)
#define MAAS_CUDA_HARDWARE_KERNEL_SCRATCH(...) MAAS_CUDA_KERNEL_SCRATCH(__VA_ARGS__)
#endif
#define MAAS_CUDA_KERNEL(name, ...) void name(const MAAS_KERNEL_ARGS& args, const Launch& launch);
#define MAAS_CUDA_KERNEL_SCRATCH(name, ...)                      \
  void name(const MAAS_KERNEL_ARGS& args, const Launch& launch); \
  size_t name##_scratch(const MAAS_KERNEL_ARGS& args);
#include MAAS_KERNELS
#undef MAAS_CUDA_KERNEL
#undef MAAS_CUDA_KERNEL_SCRATCH
namespace {
#ifndef MAAS_CUDA_ROW_OPTIONS  // a .cu may have several tables
#define MAAS_CUDA_ROW_OPTIONS
template <uint32_t kFlags = 0, int... kTile>
struct CudaRowOptions {
  static constexpr uint32_t flags = kFlags;
  static void fill(KernelRow& row) {
    const int tile[4] = {kTile...};
    for (int i = 0; i < 4; ++i) row.tile[i] = tile[i];
  }
};
#endif
#define MAAS_CUDA_ROW_(row_name, type, scratch_fn, ...)                                                 \
  [] {                                                                                                  \
    using Options = CudaRowOptions<__VA_ARGS__>;                                                        \
    KernelRow row{#row_name, Isa::cuda, DType::type, nullptr, {}, nullptr, scratch_fn, Options::flags}; \
    Options::fill(row);                                                                                 \
    row.launch = [](const void* args, const Launch& launch) {                                           \
      row_name(*static_cast<const MAAS_KERNEL_ARGS*>(args), launch);                                    \
    };                                                                                                  \
    return row;                                                                                         \
  }(),
#define MAAS_CUDA_KERNEL(name, sm, dtype, ...) MAAS_CUDA_ROW_(name, dtype, nullptr, __VA_ARGS__)
#define MAAS_CUDA_KERNEL_SCRATCH(name, sm, dtype, ...)                                                           \
  MAAS_CUDA_ROW_(                                                                                                \
      name, dtype, [](const void* args) { return name##_scratch(*static_cast<const MAAS_KERNEL_ARGS*>(args)); }, \
      __VA_ARGS__)
const KernelRow MAAS_CONCAT(MAAS_KERNEL_TABLE, _rows)[] = {
#include MAAS_KERNELS
};
#undef MAAS_CUDA_KERNEL
#undef MAAS_CUDA_KERNEL_SCRATCH
#undef MAAS_CUDA_HARDWARE_KERNEL
#undef MAAS_CUDA_HARDWARE_KERNEL_SCRATCH
#undef MAAS_CUDA_ROW_
#undef MAAS_CPU_KERNEL
[[maybe_unused]] const bool MAAS_CONCAT(MAAS_KERNEL_TABLE, _registered) = [] {
  register_cuda_kernels({MAAS_CONCAT(MAAS_KERNEL_TABLE, _rows),
                         sizeof(MAAS_CONCAT(MAAS_KERNEL_TABLE, _rows)) / sizeof(KernelRow),
                         MAAS_TEXT(MAAS_KERNEL_TABLE)});
  return true;
}();
}  // namespace
}  // namespace maas
#undef MAAS_KERNELS
#undef MAAS_KERNEL_ARGS
#undef MAAS_KERNEL_TABLE
