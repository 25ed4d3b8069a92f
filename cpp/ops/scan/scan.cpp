#include "ops/scan/scan.h"

#include "graph/op_model.h"

#define MAAS_KERNELS "ops/scan/kernels.inc"
#define MAAS_KERNEL_ARGS ScanArgs
#define MAAS_KERNEL_TABLE scan_kernels
#include "core/kernel_table.h"

namespace maas {

MAAS_DEFINE_OP(cumsum, Cumsum)
const KernelTable& Cumsum::kernels() { return scan_kernels; }

Specs Cumsum::infer(const Inputs& in) const {
  check(in.size() == 1, "cumsum: one operand is needed, received ", in.size());
  normalize_axis("cumsum", axis, in[0].shape);
  DType dtype = in[0].dtype;
  if (dtype == DType::u8)
    dtype = DType::u32;
  else if (dtype == DType::b8 || dtype == DType::i8 || dtype == DType::i16)
    dtype = DType::i32;
  return {Spec{dtype, in[0].shape, {}}};
}

Nodes Cumsum::gradient(const Node&, const Nodes& dys, const Needs&) const {
  return {apply(Cumsum{axis, !reverse}, {dys[0]})};
}

bool Cumsum::accepts(const KernelRow& row, const Specs& in, const Specs&) const {
  return row.isa == Isa::none || in[0].dtype == DType::f32;
}

void Cumsum::bind(const Bind& b, const KernelRow& row, ScanArgs& a) const {
  const BoundValue& x = b.in(0);
  const int at = static_cast<int>(axis < 0 ? axis + x.rank : axis);
  a.x = b.read(0);
  a.y = b.write(0);
  a.dtype = x.dtype;
  a.result = b.out().dtype;
  a.reverse = reverse;
  a.vector = row.isa != Isa::none;
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

}  // namespace maas
