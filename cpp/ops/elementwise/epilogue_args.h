#pragma once
// A chain applied to a tile of a result just stored, while it is in L1. What gemm and conv kernels see.
#include "ops/elementwise/chain_kernels.h"

namespace maas {

// Runs the steps on n lanes' worth of floats: reg[k] are the registers, all of length n. One per ISA.
using ChainBlockFn = void (*)(const ChainStepArgs* steps, int count, float* const* reg, int64_t n);

// Rows up to so many columns are worked on as one list of so many elements.
constexpr int64_t kChainShort = 32, kChainList = 256;

struct EpilogueArgs {
  // The commonest epilogues stay in registers: result + bias[column] + add[element], then nothing, relu or relu6, which
  // is relu up to `top`. Null is left out.
  enum Kind : uint8_t { none, bias, bias_relu, relu, chain } kind = none;
  const float* bias_row = nullptr;
  const float* add = nullptr;  // lies as the result does; only for kernels that ask for it
  float top = __builtin_inff();
  // A general chain. Register 0 is the result's row; operand i > 0 is a row per column, a whole matrix or one number.
  ChainStepArgs steps[ChainArgs::max_steps];
  int step_count = 0, inputs = 0, registers = 0;
  enum Operand : uint8_t { row, full, scalar } operand[ChainArgs::max_inputs];
  const float* data[ChainArgs::max_inputs];
  int64_t ld = 0;  // row stride of the result and of full operands, elements
  ChainBlockFn block = nullptr;
};

}  // namespace maas
