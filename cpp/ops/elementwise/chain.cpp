// The chain op: choice of kernel, collapsing of axes, register numbers.
#include <algorithm>

#include "graph/op_model.h"
#include "ops/elementwise/elementwise.h"
#include "ops/elementwise/function_numbers.h"

#define MAAS_KERNELS "ops/elementwise/kernels.inc"
#define MAAS_KERNEL_ARGS ChainArgs
#define MAAS_KERNEL_TABLE chain_kernels
#include "core/kernel_table.h"

namespace maas {

MAAS_DEFINE_OP(chain, ChainOp)
const KernelTable& ChainOp::kernels() { return chain_kernels; }

Specs ChainOp::infer(const Inputs& in) const {
  check_chain(steps, in.size(), false);
  Shape shape = in[0].shape;
  for (size_t i = 1; i < in.size(); ++i) shape = broadcast("chain", shape, in[i].shape);
  return {Spec{dtype, std::move(shape), {}}};
}

namespace {
constexpr int kMaxValues = ChainArgs::max_inputs + ChainArgs::max_steps;
// What the store does anyway when it comes last: 16-bit floats round there.
bool is_move(int fn) {
  static const int moves[] = {find_fn("identity"), find_fn("round_bf16"), find_fn("round_f16")};
  return std::count(std::begin(moves), std::end(moves), fn) > 0;
}
bool rounds_to(int fn, DType dtype) {
  return (dtype == DType::bf16 && fn == find_fn("round_bf16")) || (dtype == DType::f16 && fn == find_fn("round_f16"));
}
// What the float64 vector kernels compute.
bool in_f64(const Chain& chain, const Specs& in, const Spec& out) {
  auto read = [](const Spec& s) {
    return s.dtype == DType::f64 || s.dtype == DType::b8 || s.dtype == DType::i32 || s.dtype == DType::i64;
  };
  const bool wide =
      out.dtype == DType::f64 || std::any_of(in.begin(), in.end(), [](const Spec& s) { return s.dtype == DType::f64; });
  return wide && (out.dtype == DType::f64 || out.dtype == DType::b8) && std::all_of(in.begin(), in.end(), read) &&
         std::all_of(chain.steps.begin(), chain.steps.end(), [](const ChainStep& s) { return fn_in_f64(s.fn); });
}
}  // namespace

bool fn_in_f64(int fn) {
  static const std::vector<bool> known = [] {
    std::vector<bool> list(static_cast<size_t>(fn_count()));
#define MAAS_F64_FN(name, ...) list[fn_##name] = true;
#include "ops/elementwise/functions_f64.inc"
#undef MAAS_F64_FN
    return list;
  }();
  return known[static_cast<size_t>(fn)];
}

bool ChainOp::accepts(const KernelRow& row, const Specs& in, const Specs& out) const {
  if (row.isa == Isa::none) return true;
  if (row.isa == Isa::cuda) {
    // Everything of whole bytes; float8 is only moved.
    auto known = [](DType t) { return bit_size(t) >= 8 && t != DType::f8; };
    const bool moves =
        in.size() == 1 && steps.steps.size() == 1 && in[0].dtype == out[0].dtype && is_move(steps.steps[0].fn);
    return (moves && bit_size(out[0].dtype) >= 8) ||
           (known(out[0].dtype) && std::all_of(in.begin(), in.end(), [&](const Spec& s) { return known(s.dtype); }));
  }
  if (row.dtype == DType::f64) {
    // One that only moves goes byte by byte below.
    const bool moves = in.size() == 1 && steps.steps.size() == 1 && is_move(steps.steps[0].fn);
    return !(moves && in[0].dtype == out[0].dtype) && in_f64(steps, in, out[0]);
  }
  // Vector kernels compute in float32, which holds these; results of 16-bit floats are rounded to them once.
  auto held = [](DType t) { return t == DType::f32 || t == DType::b8 || t == DType::bf16 || t == DType::f16; };
  if (held(out[0].dtype) && std::all_of(in.begin(), in.end(), [&](const Spec& s) { return held(s.dtype); }))
    return true;
  // Casts that round no more than once on the way.
  if (in.size() != 1 || steps.steps.size() != 1 || !is_move(steps.steps[0].fn)) return false;
  const DType from = in[0].dtype, to = out[0].dtype;
  if (from == to && bit_size(to) >= 8) return true;
  auto byte = [](DType t) { return t == DType::i8 || t == DType::u8; };
  auto wide = [](DType t) { return t == DType::i32 || t == DType::i64 || t == DType::f64; };
  return (byte(from) && held(to)) || (wide(from) && to == DType::f32) || (held(from) && (byte(to) || wide(to)));
}

void ChainOp::bind(const Bind& b, ChainArgs& a) const {
  const Chain& chain = steps;
  const BoundValue& y = b.out();
  a.inputs = chain.inputs;
  a.y = y.data;
  a.dtype = y.dtype;
  a.size = y.size();
  a.fn_count = fn_count();
  bool floats = is_floating(y.dtype), f32 = y.dtype == DType::f32;
  int64_t strides[ChainArgs::max_inputs][ChainArgs::max_rank] = {};
  int64_t shape[ChainArgs::max_rank];
  check(y.rank <= ChainArgs::max_rank, "elementwise: at most 8 axes, received ", y.rank);
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
  // A cast of integers alone computes in integers, so that it rounds once.
  const bool cast = chain.inputs == 1 && chain.steps.size() == 1 && is_move(chain.steps[0].fn);
  a.integers = cast ? !is_floating(b.in(0).dtype) : !floats;
  a.narrow = f32 && !a.integers;
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
  int16_t last[kMaxValues] = {}, reg[kMaxValues], free[kMaxValues];
  const auto count = static_cast<int16_t>(chain.steps.size()), inputs = static_cast<int16_t>(chain.inputs);
  for (int16_t s = 0; s < count; ++s)
    for (int16_t v : chain.steps[s].arg)
      if (v >= 0) last[v] = s;
  int16_t registers = inputs, free_count = 0;
  for (int16_t i = 0; i < inputs; ++i) reg[i] = i;
  for (int16_t s = 0; s < count; ++s) {
    const ChainStep& from = chain.steps[s];
    ChainStepArgs& step = a.steps[s];
    step.fn = s + 1 == count && rounds_to(from.fn, y.dtype) ? static_cast<int16_t>(find_fn("identity")) : from.fn;
    for (int k = 0; k < 3; ++k) step.arg[k] = from.arg[k] < 0 ? int16_t{-1} : reg[from.arg[k]];
    const auto value = static_cast<int16_t>(inputs + s);
    step.result = reg[value] = free_count ? free[--free_count] : registers++;
    for (int16_t v = inputs; v < value; ++v)
      if (last[v] == s) free[free_count++] = reg[v];
  }
  a.step_count = count;
  a.registers = registers;
}

size_t ChainOp::scratch(const ChainArgs& a) const {
  return static_cast<size_t>(a.registers) * ChainArgs::block * sizeof(double);
}

// About one cycle a vector and step in L1, plus what the operands move. float64 has half the lanes, and its exp is
// long.
double ChainOp::work(const ChainArgs& a) const {
  double each = 0.05 * a.step_count + 0.1 * (a.inputs + 1);
  const auto wide = [](const ChainInput& in) { return in.dtype == DType::f64; };
  if (a.dtype == DType::f64 || std::any_of(a.in, a.in + a.inputs, wide)) {
    each *= 2;
    for (int s = 0; s < a.step_count; ++s)
      if (a.steps[s].fn == fn_exp || a.steps[s].fn == fn_sigmoid) each += 0.8;
  }
  return static_cast<double>(a.size) * each;
}

}  // namespace maas
