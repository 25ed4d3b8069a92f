#pragma once
#include "graph/op.h"
#include "ops/elementwise/epilogue_args.h"

namespace maas {

// Whether kernels of the result's row-and-column form can apply the chain: float32, operands that are the result's
// shape, one row of it, or one number.
bool epilogue_fits(const Chain& chain, const Specs& extra, const Spec& result);
// Whether the chain is a row added at most, then relu or relu6: every kernel applies these in registers.
bool epilogue_in_registers(const Chain& chain, const Specs& extra, const Spec& result);
// What a kernel applies in registers: nothing, rows of numbers and relu, or another result as well.
enum class InRegisters : uint8_t { nothing, rows, sums };
// Fills the arguments; operand inputs start at input `first` of the op.
void bind_epilogue(const Chain& chain, const Bind& b, int first, Isa isa, EpilogueArgs& args,
                   InRegisters able = InRegisters::rows);
// Bytes of scratch a worker needs for rows of `columns`.
size_t epilogue_scratch(const EpilogueArgs& args, int64_t columns);

}  // namespace maas
