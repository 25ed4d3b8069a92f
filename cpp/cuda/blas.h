#pragma once
// Matrix products through cuBLASLt.
#include <cstddef>

#include "core/launch.h"
#include "cuda/product.h"

namespace maas::cuda {

// Any product of float64, float32, bfloat16 or float16. What cuBLASLt cannot read as it lies is copied first, what it
// cannot fuse is done by a kernel behind it (16-bit sums are then rounded twice). Algorithms are chosen once for every
// shape: the first heuristic ones are measured where `launch` is not being recorded, and the best is kept for the
// process.
void multiply(const MatrixProduct& p, const Launch& launch);
// Bytes of scratch that multiply wants.
size_t multiply_scratch(const MatrixProduct& p);

// One algorithm for every (n, k), whatever m is, and no sum that is split by m: rows of c do not depend on their
// neighbours. Slower. MAAS_DETERMINISTIC=1 sets it at the start.
void set_deterministic(bool on);
bool deterministic();

}  // namespace maas::cuda
