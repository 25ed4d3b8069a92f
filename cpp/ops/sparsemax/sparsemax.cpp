#include "ops/sparsemax/sparsemax.h"

#include <numeric>

#include "graph/op_model.h"
#include "ops/build.h"

#define MAAS_KERNELS "ops/sparsemax/kernels.inc"
#define MAAS_KERNEL_ARGS SparsemaxArgs
#define MAAS_KERNEL_TABLE sparsemax_kernels
#include "core/kernel_table.h"

namespace maas {

MAAS_DEFINE_OP(sparsemax, Sparsemax)
const KernelTable& Sparsemax::kernels() { return sparsemax_kernels; }

Specs Sparsemax::infer(const Inputs& in) const {
  check(in.size() == 1, "sparsemax: one operand is needed, received ", in.size());
  normalize_axis("sparsemax", axis, in[0].shape);
  if (!is_floating(in[0].dtype)) fail(ErrorKind::type, "sparsemax: x must be floating, received ", in[0].dtype);
  return {Spec{in[0].dtype, in[0].shape, {}}};
}

// Where y > 0: dy less the mean of dy there; 0 elsewhere.
Nodes Sparsemax::gradient(const Node& y, const Nodes& dys, const Needs&) const {
  const Node kept = cast(binary("greater", y, 0.0), y.dtype());
  const Node mean = sum(kept * dys[0], {axis}, true) / sum(kept, {axis}, true);
  return {kept * (dys[0] - mean)};
}

// Kernels know the last axis only: it changes places with `axis`, by views or one copy.
Nodes Sparsemax::lower(const Node& y) const {
  const int64_t at = normalize_axis("sparsemax", axis, y.shape());
  if (at == y.rank() - 1) return {};
  std::vector<int64_t> axes(static_cast<size_t>(y.rank()));
  std::iota(axes.begin(), axes.end(), 0);
  std::swap(axes[static_cast<size_t>(at)], axes.back());
  return {transpose(apply(Sparsemax{-1}, {transpose(y.input(0), axes)}), axes)};
}

void Sparsemax::bind(const Bind& b, SparsemaxArgs& a) const {
  const BoundValue& x = b.in(0);
  const int64_t cols = x.shape[x.rank - 1];
  a = {b.read(0), b.write(0), cols ? x.size() / cols : 0, cols};
}

}  // namespace maas
