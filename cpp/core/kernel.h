#pragma once
#include <cstddef>
#include <cstdint>

#include "core/dtype.h"
#include "core/exec.h"
#include "core/isa.h"

namespace maas {

// One line of an op's kernels.inc. `run` is typed in the op's folder; the table stores it erased.
struct KernelRow {
  using Run = void (*)(const void* args, int64_t begin, int64_t end, const Exec& exec);
  const char* name;
  Isa isa;
  DType dtype;
  Run run;
  int tile[4];  // meaning is the family's own: mr, nr ...; 0 where unused
};

struct KernelTable {
  const KernelRow* rows;
  size_t count;
  const KernelRow* begin() const { return rows; }
  const KernelRow* end() const { return rows + count; }
};

// Lower ISA rank is slower; the default cost of a row when its op states none.
inline double default_cost(Isa isa) {
  if (isa == Isa::none) return 100;
  return has(isa, Isa::avx512) ? 1 : 2;
}

}  // namespace maas
