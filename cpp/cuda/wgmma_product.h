#pragma once
// Products of 16-bit floats by Hopper's warpgroup instructions, with any ProductEpilogue in registers.
#include "core/launch.h"
#include "cuda/product.h"

namespace maas::cuda {

// Queues the product, or returns false where it does not take it: a by columns, addresses or strides that are no
// multiples of 16 bytes, or fewer than 64 rows unless deterministic().
bool wgmma_product(const MatrixProduct& p, const Launch& launch);

}  // namespace maas::cuda
