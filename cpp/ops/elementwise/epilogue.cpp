#include "ops/elementwise/epilogue.h"

#include <algorithm>

#include "core/error.h"
#include "ops/elementwise/elementwise.h"

namespace maas {

// The block interpreters of each ISA; defined beside the chain kernels.
void chain_block_avx512(const ChainStepArgs* steps, int count, float* const* reg, int64_t n);
void chain_block_avx2(const ChainStepArgs* steps, int count, float* const* reg, int64_t n);
void chain_block_ref(const ChainStepArgs* steps, int count, float* const* reg, int64_t n);

namespace {

bool is_row(const Shape& shape, const Shape& result) {
  if (shape.empty() || !(shape.back() == result.back())) return false;
  return std::all_of(shape.begin(), shape.end() - 1, [](const Dim& d) { return d.is(1); });
}

// Says the chain as bias, sum and relu, in this order, if it is that. `one_row`: a row is the whole result.
bool in_registers(const Chain& chain, InRegisters able, bool one_row, EpilogueArgs& a) {
  static const int kAdd = find_fn("add"), kRelu = find_fn("relu"), kRelu6 = find_fn("relu6");
  const float *bias = nullptr, *add = nullptr;
  bool relu = false;
  int value = 0;
  a.top = __builtin_inff();
  for (size_t s = 0; s < chain.steps.size(); ++s) {
    const ChainStep& step = chain.steps[s];
    if (relu || able == InRegisters::nothing) return false;
    if (step.fn == kRelu || step.fn == kRelu6) {
      if (step.arg[0] != value) return false;
      relu = true;
      if (step.fn == kRelu6) a.top = 6;
    } else if (step.fn == kAdd && (step.arg[0] == value) != (step.arg[1] == value)) {
      const int other = step.arg[0] == value ? step.arg[1] : step.arg[0];
      if (other <= 0 || other >= chain.inputs || add) return false;
      const auto kind = a.operand[other];
      if (kind == EpilogueArgs::row && !bias)
        bias = a.data[other];
      else if (able == InRegisters::sums && (kind == EpilogueArgs::full || (kind == EpilogueArgs::row && one_row)))
        add = a.data[other];
      else
        return false;
    } else {
      return false;
    }
    value = chain.inputs + static_cast<int>(s);
  }
  a.kind = bias ? relu ? EpilogueArgs::bias_relu : EpilogueArgs::bias : relu ? EpilogueArgs::relu : EpilogueArgs::none;
  a.bias_row = bias;
  a.add = add;
  return true;
}

}  // namespace

bool epilogue_fits(const Chain& chain, const Specs& extra, const Spec& result) {
  if (result.dtype != DType::f32 || chain.inputs > ChainArgs::max_inputs) return false;
  return std::all_of(extra.begin(), extra.end(), [&](const Spec& s) {
    return s.dtype == DType::f32 &&
           (product(s.shape).is(1) || s.shape == result.shape || is_row(s.shape, result.shape));
  });
}

bool epilogue_in_registers(const Chain& chain, const Specs& extra, const Spec& result) {
  if (!chain.empty() && !epilogue_fits(chain, extra, result)) return false;
  EpilogueArgs a;
  for (size_t i = 0; i < extra.size(); ++i)
    a.operand[i + 1] = is_row(extra[i].shape, result.shape) ? EpilogueArgs::row : EpilogueArgs::full;
  return in_registers(chain, InRegisters::rows, false, a);
}

void bind_epilogue(const Chain& chain, const Bind& b, int first, Isa isa, EpilogueArgs& a, InRegisters able) {
  const BoundValue& y = b.out();
  const int64_t columns = y.shape[y.rank - 1];
  a.ld = columns;
  a.inputs = chain.inputs;
  a.step_count = static_cast<int>(chain.steps.size());
  for (int i = 1; i < chain.inputs; ++i) {
    const BoundValue& x = b.in(first + i - 1);
    a.data[i] = reinterpret_cast<const float*>(x.data);
    const int64_t size = x.size();
    // A single column is a scalar as well as a row; a single row is a row as well as the whole.
    bool row = x.rank > 0 && x.shape[x.rank - 1] == columns && size == columns;
    a.operand[i] = row ? EpilogueArgs::row : size == 1 ? EpilogueArgs::scalar : EpilogueArgs::full;
  }
  if (in_registers(chain, able, y.size() == columns, a)) return;
  a.kind = EpilogueArgs::chain;
  a.block = has(isa, Isa::avx512) ? chain_block_avx512 : has(isa, Isa::avx2) ? chain_block_avx2 : chain_block_ref;
  // Results get registers of their own; the last one is the result's row itself, which only the first reads need
  // before.
  for (int s = 0; s < a.step_count; ++s) {
    const ChainStep& step = chain.steps[static_cast<size_t>(s)];
    a.steps[s] = {step.fn, {step.arg[0], step.arg[1], step.arg[2]}, static_cast<int16_t>(chain.inputs + s)};
  }
  a.steps[a.step_count - 1].result = 0;
  a.registers = chain.inputs + a.step_count;
}

size_t epilogue_scratch(const EpilogueArgs& a, int64_t columns) {
  if (a.kind != EpilogueArgs::chain) return 0;
  const int64_t width = a.ld <= kChainShort ? std::max(columns, kChainList) : columns;
  return static_cast<size_t>(a.registers) * static_cast<size_t>((width + 15) / 16 * 16) * sizeof(float);
}

}  // namespace maas
