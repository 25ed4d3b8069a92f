#include "ops/select/select.h"

#include <limits>

#include "graph/op_model.h"
#include "ops/build.h"

#define MAAS_KERNELS "ops/select/nonzero_kernels.inc"
#define MAAS_KERNEL_ARGS NonzeroArgs
#define MAAS_KERNEL_TABLE nonzero_kernels
#include "core/kernel_table.h"

#define MAAS_KERNELS "ops/select/unique_kernels.inc"
#define MAAS_KERNEL_ARGS UniqueArgs
#define MAAS_KERNEL_TABLE unique_kernels
#include "core/kernel_table.h"

namespace maas {

MAAS_DEFINE_OP(nonzero, Nonzero)
MAAS_DEFINE_OP(unique, Unique)
MAAS_DEFINE_OP(trim, Trim)
const KernelTable& Nonzero::kernels() { return nonzero_kernels; }
const KernelTable& Unique::kernels() { return unique_kernels; }

namespace {
Dim count_of(const char* name, const Inputs& in) {
  check(in.size() == 1, name, ": one operand is needed, received ", in.size());
  const Dim n = product(in[0].shape);
  check(!n.is_constant() || n.constant() <= std::numeric_limits<int32_t>::max(), name,
        ": at most 2^31 - 1 elements, received x of shape ", to_string(in[0].shape));
  return n;
}
// Sizes that only a run tells.
int64_t bound_count(const char* name, const BoundValue& x) {
  check(x.size() <= std::numeric_limits<int32_t>::max(), name, ": at most 2^31 - 1 elements, received ", x.size());
  return x.size();
}
}  // namespace

Specs Nonzero::infer(const Inputs& in) const {
  return {Spec{DType::i32, {count_of("nonzero", in)}, {}}, Spec{DType::i32, {}, {}}};
}

void Nonzero::bind(const Bind& b, NonzeroArgs& a) const {
  a = {b.read(0), b.in(0).dtype, bound_count("nonzero", b.in(0)), b.write<int32_t>(0), b.write<int32_t>(1)};
}

Specs Unique::infer(const Inputs& in) const {
  const Dim n = count_of("unique", in);
  const Spec places{DType::i32, {n}, {}};
  return {Spec{in[0].dtype, {n}, {}}, Spec{DType::i32, {}, {}}, places, places, places};
}

void Unique::bind(const Bind& b, UniqueArgs& a) const {
  a = {b.read(0),           b.in(0).dtype,       bound_count("unique", b.in(0)),
       b.write(0),          b.write<int32_t>(1), b.write<int32_t>(2),
       b.write<int32_t>(3), b.write<int32_t>(4), b.workspace<int32_t>()};
}

Specs Trim::infer(const Inputs& in) const {
  check(in.size() == 2 && size.size() == 1, "trim: x, count and a size are needed, received ", in.size(), " operands");
  check(in[0].rank() >= 1 && in[1].shape.empty() && in[1].dtype == DType::i32,
        "trim: x needs an axis and count must be a scalar int32, received ", to_string(in[0].shape), " and ",
        in[1].dtype, to_string(in[1].shape));
  check(size[0].as_symbol(), "trim: the size must be a symbol, received ", size[0]);
  Shape out = in[0].shape;
  out[0] = size[0];
  return {Spec{in[0].dtype, std::move(out), {}}};
}

Nodes Trim::gradient(const Node& y, const Nodes& dys, const Needs&) const {
  const Shape& x = y.input(0).shape();
  Shape before(x.size(), Dim(0)), after = before;
  after[0] = x[0] - size[0];
  return {op("pad", {dys[0]}, {{"before", before}, {"after", after}, {"value", 0.0}}), Node()};
}

}  // namespace maas
