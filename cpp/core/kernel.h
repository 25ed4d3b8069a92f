#pragma once
#include <cstddef>
#include <cstdint>

#include "core/dtype.h"
#include "core/exec.h"
#include "core/isa.h"
#include "core/launch.h"

namespace maas {

// One line of an op's kernels.inc. `run` is typed in the op's folder; the table stores it erased. A row of the CUDA
// library has `launch` in its place.
struct KernelRow {
  using Run = void (*)(const void* args, int64_t begin, int64_t end, const Exec& exec);
  using LaunchFn = void (*)(const void* args, const Launch& launch);
  using ScratchFn = size_t (*)(const void* args);
  const char* name;
  Isa isa;
  DType dtype;
  Run run;
  int tile[4];  // meaning is the family's own: mr, nr ...; 0 where unused
  LaunchFn launch = nullptr;
  ScratchFn scratch = nullptr;  // bytes of GPU memory that `launch` wants; null: none
  uint32_t flags = 0;           // of CudaRow
};

// What a CUDA row says of itself in kernels.inc.
enum CudaRow : uint32_t {
  cuda_plain = 0,
  cuda_reports = 1,     // may report bad data
  cuda_unverified = 2,  // never ran on hardware: chosen only with MAAS_UNVERIFIED=1
};

struct KernelTable {
  const KernelRow* rows;
  size_t count;
  const char* name;
  const KernelRow* begin() const { return rows; }
  const KernelRow* end() const { return rows + count; }
};

// Rows that the CUDA library brought for the table of this name when it was loaded; none before that.
KernelTable cuda_kernels(const char* table);
void register_cuda_kernels(const KernelTable& rows);

// True where rows of the CUDA library that never ran on hardware may be chosen: MAAS_UNVERIFIED=1.
bool unverified_allowed();

// Lower ISA rank is slower; the default cost of a row when its op states none.
inline double default_cost(Isa isa) {
  if (isa == Isa::none) return 100;
  if (isa == Isa::cuda) return 1;
  return has(isa, Isa::avx512) ? 1 : 2;
}

}  // namespace maas
