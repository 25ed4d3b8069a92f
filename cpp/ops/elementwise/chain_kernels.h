#pragma once
// y[i] = chain(in_0[i], in_1[i], ...) for every element i of the row-major result, the inputs broadcast to its shape.
// The result is dense. Inputs may lie anywhere (strides per axis, 0 where broadcast). y may be an input that is dense
// and of y's size: each block is read before it is written. Float chains compute in float32 (bool operands count as 1
// and 0), 16-bit floats too; the plain reference computes in double or int64.
#include <cstdint>

#include "core/dtype.h"
#include "core/exec.h"

namespace maas {

struct ChainInput {
  const void* data;
  DType dtype;
  enum Mode : uint8_t { dense, scalar, gather } mode;
  int64_t strides[8];  // per collapsed axis, elements
};

struct ChainStepArgs {
  int16_t fn;
  int16_t arg[3];  // registers
  int16_t result;  // register
};

struct ChainArgs {
  static constexpr int max_inputs = 10, max_steps = 12, max_rank = 8;
  static constexpr int64_t block = 512;  // elements; registers of a chain stay in L1
  static constexpr int64_t unit = 2048;  // elements of y; one unit
  ChainInput in[max_inputs];
  ChainStepArgs steps[max_steps];
  int inputs, step_count, registers;  // registers 0..inputs-1 are the inputs
  void* y;
  DType dtype;    // of y
  bool integers;  // the reference computes in int64
  bool narrow;    // the reference rounds every step to float32
  int64_t size;
  int rank;  // collapsed axes
  int64_t shape[max_rank];
  int32_t fn_count;
};

}  // namespace maas
