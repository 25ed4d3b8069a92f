#pragma once
// What convolutions on CUDA, and Winograd's on the CPU, can do with a sum before it is stored, found in a chain.
#include <vector>

#include "graph/bind.h"
#include "graph/chain.h"
#include "graph/spec.h"
#include "ops/conv/direct_kernels.h"

namespace maas {

// Whether the chain is scale, bias, addition, relu and mask in this order, any of them left out, of the result's dtype.
bool conv_epilogue_fits(const Chain& chain, const std::vector<Spec>& extra, const Spec& result);
// Fills the arguments; operand inputs of the chain start at input `first` of the op.
void bind_conv_epilogue(const Chain& chain, const Bind& b, int first, ConvEpilogue& epilogue);

}  // namespace maas
