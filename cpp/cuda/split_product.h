#pragma once
// float32 products on the tensor cores of Hopper, on request: every operand is cut into three bfloat16 that together
// hold its 24 bits, and six of the nine products are summed, the small ones first, in float32; every 64 of k the sum is
// added to a rounded one. The error is about that of a float32 product: a few 2^-24 of sum |a b|. Not so: infinities
// give NaN, and parts below 2^-126 are lost.
// Henry, Tang and Heinecke, 2019, "Leveraging the bfloat16 artificial intelligence datatype for higher-precision
// computations", arXiv:1904.06376.
#include <cstddef>

#include "core/launch.h"
#include "cuda/product.h"

namespace maas::cuda {

// Queues the product with its epilogue, or returns false where it is too small to gain. Operands in any strides.
bool split_product(const MatrixProduct& p, const Launch& launch);
size_t split_product_scratch(const MatrixProduct& p);

}  // namespace maas::cuda
