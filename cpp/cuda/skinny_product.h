#pragma once
// Products of a few rows: as fast as b can be read.
#include "core/launch.h"
#include "cuda/product.h"

namespace maas::cuda {

// Queues the product with its epilogue, or returns false where another way is better: more than 4 rows, a or b that do
// not lie in multiples of 16 bytes, or deterministic().
bool skinny_product(const MatrixProduct& p, const Launch& launch);

}  // namespace maas::cuda
