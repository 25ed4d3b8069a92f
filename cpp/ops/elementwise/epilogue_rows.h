#pragma once
// Applies a chain to rows of a tile. Plain pointers only, so that ISA files and references share it.
#include "ops/elementwise/epilogue_args.h"

namespace maas {
namespace {

// The same rows as one list, where they lie one after the other and are short: functions then work on whole vectors,
// and are called once for many rows.
inline __attribute__((always_inline)) void apply_chain_list(const EpilogueArgs& e, float* c, int64_t row, int64_t rows,
                                                            float* scratch) {
  float* reg[ChainArgs::max_inputs + ChainArgs::max_steps];
  const int64_t most = kChainList / e.ld;
  for (int i = 1; i < e.registers; ++i) reg[i] = scratch + i * kChainList;
  const int64_t longest = (rows < most ? rows : most) * e.ld;
  for (int i = 1; i < e.inputs; ++i) {
    if (e.operand[i] == EpilogueArgs::full) continue;
    const bool same = e.operand[i] == EpilogueArgs::scalar;
    for (int64_t j = 0; j < e.ld; ++j) reg[i][j] = e.data[i][same ? 0 : j];
    for (int64_t done = e.ld; done < longest; done *= 2)
      for (int64_t j = 0, more = longest - done < done ? longest - done : done; j < more; ++j)
        reg[i][done + j] = reg[i][j];
  }
  for (int64_t r = 0; r < rows; r += most) {
    const int64_t some = rows - r < most ? rows - r : most;
    reg[0] = c + r * e.ld;
    for (int i = 1; i < e.inputs; ++i)
      if (e.operand[i] == EpilogueArgs::full) reg[i] = const_cast<float*>(e.data[i]) + (row + r) * e.ld;
    e.block(e.steps, e.step_count, reg, some * e.ld);
  }
}

// Rows row, row + step, ... (`rows` of them) and columns [column, column + columns) of the result, whose first element
// is at c, ldc apart.
inline __attribute__((always_inline)) void apply_chain_rows(const EpilogueArgs& e, float* c, int64_t ldc, int64_t row,
                                                            int64_t rows, int64_t column, int64_t columns,
                                                            float* scratch, int64_t step = 1) {
  if (columns == ldc && columns == e.ld && step == 1 && columns <= kChainShort)
    return apply_chain_list(e, c, row, rows, scratch);
  float* reg[ChainArgs::max_inputs + ChainArgs::max_steps];
  const int64_t width = (columns + 15) / 16 * 16;
  for (int i = 1; i < e.registers; ++i) reg[i] = scratch + i * width;
  for (int i = 1; i < e.inputs; ++i) {
    if (e.operand[i] == EpilogueArgs::row) reg[i] = const_cast<float*>(e.data[i]) + column;
    if (e.operand[i] == EpilogueArgs::scalar)
      for (int64_t j = 0; j < columns; ++j) reg[i][j] = e.data[i][0];
  }
  for (int64_t r = 0; r < rows; ++r) {
    reg[0] = c + r * ldc;
    for (int i = 1; i < e.inputs; ++i)
      if (e.operand[i] == EpilogueArgs::full) reg[i] = const_cast<float*>(e.data[i]) + (row + r * step) * e.ld + column;
    e.block(e.steps, e.step_count, reg, columns);
  }
}

}  // namespace
}  // namespace maas
