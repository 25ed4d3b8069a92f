#include "ops/softmax/softmax.h"

#include <numeric>

#include "graph/op_model.h"
#include "ops/build.h"

#define MAAS_KERNELS "ops/softmax/kernels.inc"
#define MAAS_KERNEL_ARGS SoftmaxArgs
#define MAAS_KERNEL_TABLE softmax_kernels
#include "core/kernel_table.h"

namespace maas {

MAAS_DEFINE_OP(softmax, Softmax)
const KernelTable& Softmax::kernels() { return softmax_kernels; }

Specs Softmax::infer(const Inputs& in) const {
  check(in.size() == 1, "softmax: one operand is needed, received ", in.size());
  normalize_axis("softmax", axis, in[0].shape);
  if (!is_floating(in[0].dtype)) fail(ErrorKind::type, "softmax: x must be floating, received ", in[0].dtype);
  return {Spec{in[0].dtype, in[0].shape, {}}};
}

Nodes Softmax::gradient(const Node& y, const Nodes& dys, const Needs&) const {
  const Node& dy = dys[0];
  if (log) return {dy - unary("exp", y) * sum(dy, {axis}, true)};
  return {y * (dy - sum(y * dy, {axis}, true))};
}

// Kernels know the last axis only: another one is swapped there and back, which are views or one copy.
Nodes Softmax::lower(const Node& y) const {
  const int64_t at = normalize_axis("softmax", axis, y.shape()), last = y.rank() - 1;
  if (at == last) return {};
  std::vector<int64_t> axes(y.shape().size());
  std::iota(axes.begin(), axes.end(), 0);
  std::swap(axes[static_cast<size_t>(at)], axes[static_cast<size_t>(last)]);
  return {transpose(apply(Softmax{-1, log}, {transpose(y.input(0), axes)}), axes)};
}

void Softmax::bind(const Bind& b, SoftmaxArgs& a) const {
  const BoundValue& x = b.in(0);
  a.x = b.read(0);
  a.y = b.write(0);
  a.cols = x.shape[x.rank - 1];
  a.rows = a.cols ? x.size() / a.cols : 0;
  a.ldx = a.ldy = a.cols;
  a.log = log;
}

}  // namespace maas
