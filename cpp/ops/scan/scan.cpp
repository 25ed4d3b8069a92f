#include "ops/scan/scan.h"

#include "graph/axis.h"
#include "graph/op_model.h"
#include "ops/build.h"

#define MAAS_KERNELS "ops/scan/kernels.inc"
#define MAAS_KERNEL_ARGS ScanArgs
#define MAAS_KERNEL_TABLE scan_kernels
#include "core/kernel_table.h"

#define MAAS_KERNELS "ops/scan/linear_kernels.inc"
#define MAAS_KERNEL_ARGS LinearScanArgs
#define MAAS_KERNEL_TABLE linear_scan_kernels
#include "core/kernel_table.h"

namespace maas {

MAAS_DEFINE_OP(linear_scan, LinearScan)
const KernelTable& LinearScan::kernels() { return linear_scan_kernels; }

MAAS_DEFINE_OP(cumsum, Cumsum)
const KernelTable& Cumsum::kernels() { return scan_kernels; }

Specs Cumsum::infer(const Inputs& in) const {
  check(in.size() == 1, "cumsum: one operand is needed, received ", in.size());
  normalize_axis("cumsum", axis, in[0].shape);
  DType dtype = in[0].dtype;
  if (dtype == DType::u8 || dtype == DType::u16)
    dtype = DType::u32;
  else if (dtype == DType::b8 || dtype == DType::i8 || dtype == DType::i16)
    dtype = DType::i32;
  return {Spec{dtype, in[0].shape, {}}};
}

Nodes Cumsum::gradient(const Node&, const Nodes& dys, const Needs&) const {
  return {apply(Cumsum{axis, !reverse}, {dys[0]})};
}

bool Cumsum::accepts(const KernelRow& row, const Specs& in, const Specs&) const {
  if (row.isa == Isa::cuda) return is_readable(in[0].dtype);
  return row.isa == Isa::none || in[0].dtype == DType::f32;
}

void Cumsum::bind(const Bind& b, const KernelRow& row, ScanArgs& a) const {
  const BoundValue& x = b.in(0);
  const int at = from_front(axis, x.rank);
  a.x = b.read(0);
  a.y = b.write(0);
  a.dtype = x.dtype;
  a.result = b.out().dtype;
  a.reverse = reverse;
  a.vector = row.isa != Isa::none && row.isa != Isa::cuda;
  a.outer = x.size(0, at);
  a.size = x.shape[at];
  a.inner = x.size(at + 1, x.rank);
}

int64_t Cumsum::units(const ScanArgs& a) const {
  if (!a.vector) return a.outer * a.inner;
  return a.inner == 1 ? (a.outer + 15) / 16 : a.outer * ((a.inner + 15) / 16);
}

double Cumsum::work(const ScanArgs& a) const {
  const double lanes = a.vector ? static_cast<double>(units(a) * 16) : static_cast<double>(a.outer * a.inner);
  return lanes * static_cast<double>(a.size) * (a.vector ? 0.2 : 2);
}

Specs LinearScan::infer(const Inputs& in) const {
  check(in.size() == 2, "linear_scan: two operands are needed, received ", in.size());
  normalize_axis("linear_scan", axis, in[0].shape);
  if (in[0].dtype != in[1].dtype || in[0].dtype == DType::b8)
    fail(ErrorKind::type, "linear_scan: operands must be numbers of one dtype, received ", in[0].dtype, " and ",
         in[1].dtype);
  check(in[0].shape == in[1].shape, "linear_scan: operands must have one shape, received ", to_string(in[0].shape),
        " and ", to_string(in[1].shape));
  return {Spec{in[0].dtype, in[0].shape, {}}};
}

Nodes LinearScan::gradient(const Node& y, const Nodes& dys, const Needs&) const {
  const Node& a = y.input(0);
  const int64_t at = normalize_axis("linear_scan", axis, a.shape());
  const Dim& size = a.shape()[static_cast<size_t>(at)];
  if (size.is(0)) return {zeros_like(a), zeros_like(a)};
  Shape edge = a.shape();
  edge[static_cast<size_t>(at)] = Dim(1);
  const Node zero = full(edge, a.dtype(), 0);
  // What stood one step further in the direction of the scan (`ahead`) or against it, 0 beyond the end.
  const auto shifted = [&](const Node& x, bool ahead) {
    return ahead ? concatenate({slice_axis(x, at, Dim(1), size), zero}, at)
                 : concatenate({zero, slice_axis(x, at, Dim(0), size - Dim(1))}, at);
  };
  const Node db = apply(LinearScan{axis, !reverse}, {shifted(a, !reverse), dys[0]});
  return {db * shifted(y, reverse), db};
}

void LinearScan::bind(const Bind& b, LinearScanArgs& a) const {
  const BoundValue& x = b.in(0);
  const int at = from_front(axis, x.rank);
  a = {b.read(0), b.read(1), b.write(0), x.dtype, reverse, x.size(0, at), x.shape[at], x.size(at + 1, x.rank)};
}

}  // namespace maas
