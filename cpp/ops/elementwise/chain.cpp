// The chain op: choice of kernel, collapsing of axes, register numbers.
#include <algorithm>

#include "graph/op_model.h"
#include "ops/elementwise/elementwise.h"

#define MAAS_KERNELS "ops/elementwise/kernels.inc"
#define MAAS_KERNEL_ARGS ChainArgs
#define MAAS_KERNEL_TABLE chain_kernels
#include "core/kernel_table.h"

namespace maas {

MAAS_DEFINE_OP(chain, ChainOp)
const KernelTable& ChainOp::kernels() { return chain_kernels; }

Specs ChainOp::infer(const Inputs& in) const {
  Shape shape = in[0].shape;
  for (size_t i = 1; i < in.size(); ++i) shape = broadcast("chain", shape, in[i].shape);
  return {Spec{dtype, std::move(shape), {}}};
}

bool ChainOp::accepts(const KernelRow& row, const Specs& in, const Specs& out) const {
  if (row.isa == Isa::none) return true;
  auto simple = [](DType t) { return t == DType::f32 || t == DType::b8; };
  return simple(out[0].dtype) && std::all_of(in.begin(), in.end(), [&](const Spec& s) { return simple(s.dtype); });
}

void ChainOp::bind(const Bind& b, ChainArgs& a) const {
  const Chain chain = parse_chain(steps);
  const BoundValue& y = b.out();
  a.inputs = chain.inputs;
  a.y = y.data;
  a.dtype = y.dtype;
  a.size = y.size();
  a.fn_count = fn_count();
  bool floats = is_floating(y.dtype), f32 = y.dtype == DType::f32;
  int64_t strides[ChainArgs::max_inputs][ChainArgs::max_rank] = {};
  int64_t shape[ChainArgs::max_rank];
  check(chain.inputs <= ChainArgs::max_inputs && y.rank <= ChainArgs::max_rank,
        "elementwise: at most 8 axes and 10 operands, received ", y.rank, " axes and ", chain.inputs, " operands");
  std::copy(y.shape, y.shape + y.rank, shape);
  int rank = y.rank;
  for (int i = 0; i < chain.inputs; ++i) {
    const BoundValue& x = b.in(i);
    a.in[i].data = x.data;
    a.in[i].dtype = x.dtype;
    floats = floats || is_floating(x.dtype);
    f32 = f32 || x.dtype == DType::f32;
    for (int d = 0; d < x.rank; ++d) strides[i][rank - x.rank + d] = x.shape[d] == 1 ? 0 : x.strides[d];
  }
  a.integers = !floats;
  a.narrow = f32;
  // Neighbouring axes that every input walks alike become one; axes of size 1 go.
  int r = 0;
  for (int d = 0; d < rank; ++d) {
    if (shape[d] == 1 && rank > 1) continue;
    bool join = r > 0;
    for (int i = 0; i < chain.inputs && join; ++i) join = a.in[i].strides[r - 1] == strides[i][d] * shape[d];
    if (join) {
      a.shape[r - 1] *= shape[d];
      for (int i = 0; i < chain.inputs; ++i) a.in[i].strides[r - 1] = strides[i][d];
    } else {
      a.shape[r] = shape[d];
      for (int i = 0; i < chain.inputs; ++i) a.in[i].strides[r] = strides[i][d];
      ++r;
    }
  }
  if (r == 0) {
    a.shape[0] = 1;
    for (int i = 0; i < chain.inputs; ++i) a.in[i].strides[0] = 0;
    r = 1;
  }
  a.rank = r;
  for (int i = 0; i < chain.inputs; ++i) {
    ChainInput& in = a.in[i];
    bool zero = true;
    for (int d = 0; d < r; ++d) zero = zero && in.strides[d] == 0;
    in.mode = zero ? ChainInput::scalar : r == 1 && in.strides[0] == 1 ? ChainInput::dense : ChainInput::gather;
  }
  // Registers: one per input, then results reuse those whose value is dead. A scalar's register keeps its value for the
  // whole run, so it is never reused.
  std::vector<int> last(static_cast<size_t>(chain.inputs) + chain.steps.size(), -1), reg(last.size());
  for (size_t s = 0; s < chain.steps.size(); ++s)
    for (int16_t v : chain.steps[s].arg)
      if (v >= 0) last[static_cast<size_t>(v)] = static_cast<int>(s);
  int registers = chain.inputs;
  for (int i = 0; i < chain.inputs; ++i) reg[static_cast<size_t>(i)] = i;
  std::vector<int> free;
  for (size_t s = 0; s < chain.steps.size(); ++s) {
    ChainStepArgs& step = a.steps[s];
    step.fn = chain.steps[s].fn;
    for (int k = 0; k < 3; ++k) {
      const int16_t v = chain.steps[s].arg[k];
      step.arg[k] = v < 0 ? int16_t{-1} : static_cast<int16_t>(reg[static_cast<size_t>(v)]);
    }
    const size_t value = static_cast<size_t>(chain.inputs) + s;
    if (free.empty()) {
      reg[value] = registers++;
    } else {
      reg[value] = free.back();
      free.pop_back();
    }
    step.result = static_cast<int16_t>(reg[value]);
    for (size_t v = static_cast<size_t>(chain.inputs); v < value; ++v)
      if (last[v] == static_cast<int>(s)) free.push_back(reg[v]);
  }
  a.step_count = static_cast<int>(chain.steps.size());
  a.registers = registers;
}

size_t ChainOp::scratch(const ChainArgs& a) const {
  return static_cast<size_t>(a.registers) * ChainArgs::block * sizeof(double);
}

// About one cycle a vector and step in L1, plus what the operands move.
double ChainOp::work(const ChainArgs& a) const {
  return static_cast<double>(a.size) * (0.05 * a.step_count + 0.1 * (a.inputs + 1));
}

}  // namespace maas
