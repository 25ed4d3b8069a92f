#pragma once
// One call of cuBLASLt, and what stands in for it.
#include "core/launch.h"
#include "cuda/product.h"

namespace maas::cuda {

constexpr size_t kLibraryWorkspace = size_t{32} << 20;  // bytes at launch.scratch

// How a matrix lies: rows or columns are contiguous, `ld` apart.
struct StoredMatrix {
  bool by_columns;
  int64_t ld;
};
inline StoredMatrix stored(int64_t rows, int64_t columns, int64_t rs, int64_t cs) {
  if (cs == 1 || columns == 1) return {false, rows == 1 ? columns : rs};
  if (rs == 1 || rows == 1) return {true, cs};
  return {false, 0};
}
// Whether the library can say it.
bool readable(int64_t rows, int64_t columns, int64_t rs, int64_t cs);

// False, and nothing is queued, where the library has no algorithm for it as a whole: then without the epilogue.
// Operands are readable; m, n, k, batch >= 1.
bool library_product(const MatrixProduct& p, const Launch& launch);

}  // namespace maas::cuda
