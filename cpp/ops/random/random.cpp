#include "ops/random/random.h"

#include <cmath>

#include "graph/op_model.h"

#define MAAS_KERNELS "ops/random/kernels.inc"
#define MAAS_KERNEL_ARGS RandomArgs
#define MAAS_KERNEL_TABLE random_kernels
#include "core/kernel_table.h"

#define MAAS_KERNELS "ops/random/dropout_kernels.inc"
#define MAAS_KERNEL_ARGS RandomArgs
#define MAAS_KERNEL_TABLE dropout_kernels
#include "core/kernel_table.h"

namespace maas {

MAAS_DEFINE_OP(random_uniform, RandomUniform)
MAAS_DEFINE_OP(random_normal, RandomNormal)
MAAS_DEFINE_OP(random_int, RandomInt)
MAAS_DEFINE_OP(random_permutation, RandomPermutation)
MAAS_DEFINE_OP(dropout, Dropout)
const KernelTable& RandomBase::kernels() { return random_kernels; }
const KernelTable& Dropout::kernels() { return dropout_kernels; }

namespace {

void check_state(const char* name, const Spec& state) {
  if (!is_integer(state.dtype)) fail(ErrorKind::type, name, ": the state must be integers, received ", state.dtype);
  check(product(state.shape).is(2), name, ": the state must hold seed and step, received shape ",
        to_string(state.shape));
}

int64_t unit_count(const RandomArgs& a) { return (a.size + RandomArgs::unit - 1) / RandomArgs::unit; }

}  // namespace

Specs RandomBase::draw(const char* name, const Inputs& in, const Shape& shape, DType dtype, bool integer) const {
  check(in.size() == 1, name, ": one operand, the state, is needed, received ", in.size());
  check_state(name, in[0]);
  if (integer ? !is_integer(dtype) || bit_size(dtype) < 8 : !is_floating(dtype) || bit_size(dtype) < 16)
    fail(ErrorKind::type, name, ": dtype must be ", integer ? "an integer" : "floating", ", received ", dtype);
  for (const Dim& d : shape)
    check(!d.is_constant() || d.constant() >= 0, name, ": sizes must be at least 0, received shape ", to_string(shape));
  return {Spec{dtype, shape, {}}};
}

void RandomBase::bind_draw(const Bind& b, int64_t stream, RandomArgs& a) const {
  a = {};
  a.state = b.read(0);
  a.state_dtype = b.in(0).dtype;
  a.y = b.write(0);
  a.dtype = b.out().dtype;
  a.size = b.out().size();
  a.stream = stream;
}

int64_t RandomBase::units(const RandomArgs& a) const {
  return a.kind == RandomArgs::permutation ? a.size > 0 : unit_count(a);
}
double RandomBase::work(const RandomArgs& a) const {
  return static_cast<double>(a.size) * (a.kind == RandomArgs::uniform ? 2 : 30);
}

bool RandomUniform::accepts(const KernelRow& row, const Specs&, const Specs& out) const {
  return has_every_draw(row) || out[0].dtype == row.dtype;
}

void RandomUniform::bind(const Bind& b, RandomArgs& a) const {
  bind_draw(b, stream, a);
  a.kind = RandomArgs::uniform;
  a.low = low;
  a.high = high;
  const float to = static_cast<float>(high);
  a.last = static_cast<float>(low) < to ? std::nextafter(to, -INFINITY) : to;
}

void RandomNormal::bind(const Bind& b, RandomArgs& a) const {
  bind_draw(b, stream, a);
  a.kind = truncated ? RandomArgs::truncated : RandomArgs::normal;
  a.low = mean;
  a.high = stddev;
}

Specs RandomInt::infer(const Inputs& in) const {
  check(low < high, "random_int: low must be below high, received [", low, ", ", high, ")");
  return draw("random_int", in, shape, dtype, true);
}

void RandomInt::bind(const Bind& b, RandomArgs& a) const {
  bind_draw(b, stream, a);
  a.kind = RandomArgs::integer;
  a.first = low;
  a.range = static_cast<uint64_t>(high) - static_cast<uint64_t>(low);
}

Specs RandomPermutation::infer(const Inputs& in) const {
  check(size.size() == 1, "random_permutation: size must be one size, received ", to_string(size));
  return draw("random_permutation", in, size, DType::i32, true);
}

// A GPU does it in the shared memory of one block.
bool RandomPermutation::accepts(const KernelRow& row, const Specs&, const Specs&) const {
  if (row.isa == Isa::cuda) return size[0].is_constant() && size[0].constant() <= RandomArgs::max_cuda_permutation;
  return row.isa == Isa::none;
}

void RandomPermutation::bind(const Bind& b, RandomArgs& a) const {
  bind_draw(b, stream, a);
  a.kind = RandomArgs::permutation;
}

// ---- dropout

Specs Dropout::infer(const Inputs& in) const {
  check(in.size() == 2, "dropout: two operands, x and the state, are needed, received ", in.size());
  check_state("dropout", in[1]);
  if (!is_floating(in[0].dtype) || bit_size(in[0].dtype) < 16)
    fail(ErrorKind::type, "dropout: x must be floating, received ", in[0].dtype);
  check(rate >= 0 && rate <= 1, "dropout: rate must be in [0, 1], received ", rate);
  return {Spec{in[0].dtype, in[0].shape, {}}};
}

Nodes Dropout::gradient(const Node& y, const Nodes& dys, const Needs&) const {
  return {apply(*this, {dys[0], y.input(1)}), Node()};
}

bool Dropout::accepts(const KernelRow& row, const Specs& in, const Specs&) const {
  return row.isa == Isa::none || in[0].dtype == row.dtype;
}

void Dropout::bind(const Bind& b, RandomArgs& a) const {
  a = {};
  a.x = b.read(0);
  a.state = b.read(1);
  a.state_dtype = b.in(1).dtype;
  a.y = b.write(0);
  a.dtype = b.in(0).dtype;
  a.size = b.in(0).size();
  a.stream = stream;
  // A rate of 1 keeps nothing: no 24-bit word reaches 2^24.
  a.threshold = static_cast<uint32_t>(std::ceil(rate * 0x1p24));
  a.keep = rate < 1 ? 1 - rate : 1;
}

int64_t Dropout::units(const RandomArgs& a) const { return unit_count(a); }
double Dropout::work(const RandomArgs& a) const { return static_cast<double>(a.size) * 2; }

}  // namespace maas
