#include "ops/loss/cross_entropy.h"

#include "graph/op_model.h"
#include "ops/build.h"

#define MAAS_KERNELS "ops/loss/labels_kernels.inc"
#define MAAS_KERNEL_ARGS CrossEntropyArgs
#define MAAS_KERNEL_TABLE labels_kernels
#include "core/kernel_table.h"

#define MAAS_KERNELS "ops/loss/labels_gradient_kernels.inc"
#define MAAS_KERNEL_ARGS CrossEntropyArgs
#define MAAS_KERNEL_TABLE labels_gradient_kernels
#include "core/kernel_table.h"

#define MAAS_KERNELS "ops/loss/targets_kernels.inc"
#define MAAS_KERNEL_ARGS CrossEntropyArgs
#define MAAS_KERNEL_TABLE targets_kernels
#include "core/kernel_table.h"

#define MAAS_KERNELS "ops/loss/targets_gradient_kernels.inc"
#define MAAS_KERNEL_ARGS CrossEntropyArgs
#define MAAS_KERNEL_TABLE targets_gradient_kernels
#include "core/kernel_table.h"

namespace maas {

MAAS_DEFINE_OP(sparse_softmax_cross_entropy, SparseSoftmaxCrossEntropy)
MAAS_DEFINE_OP(sparse_softmax_cross_entropy_gradient, SparseSoftmaxCrossEntropyGradient)
MAAS_DEFINE_OP(softmax_cross_entropy, SoftmaxCrossEntropy)
MAAS_DEFINE_OP(softmax_cross_entropy_gradient, SoftmaxCrossEntropyGradient)
const KernelTable& SparseSoftmaxCrossEntropy::kernels() { return labels_kernels; }
const KernelTable& SparseSoftmaxCrossEntropyGradient::kernels() { return labels_gradient_kernels; }
const KernelTable& SoftmaxCrossEntropy::kernels() { return targets_kernels; }
const KernelTable& SoftmaxCrossEntropyGradient::kernels() { return targets_gradient_kernels; }

namespace {

Shape rows_of(const Shape& x) { return Shape(x.begin(), x.end() - 1); }

void check_logits(const char* name, const Inputs& in, size_t count) {
  check(in.size() == count, name, ": ", count, " operands are needed, received ", in.size());
  const Spec& x = in[0];
  if (!is_floating(x.dtype)) fail(ErrorKind::type, name, ": logits must be floating, received ", x.dtype);
  check(!x.shape.empty() && !x.shape.back().is(0), name, ": logits need a last axis of classes, received shape ",
        to_string(x.shape));
}

void check_labels(const char* name, const Inputs& in) {
  const Shape &x = in[0].shape, &labels = in[1].shape;
  if (!is_integer(in[1].dtype) || bit_size(in[1].dtype) < 8)
    fail(ErrorKind::type, name, ": labels must be integers, received ", in[1].dtype);
  check(agree(labels, rows_of(x), name, "labels and logits must have the same rows"), name,
        ": labels must have the shape of logits ", to_string(x), " without its last axis, received ",
        to_string(labels));
}

void check_targets(const char* name, const Inputs& in) {
  check(agree(in[0].shape, in[1].shape, name, "logits and targets must have one shape"), name,
        ": logits and targets must have one shape, received ", to_string(in[0].shape), " and ", to_string(in[1].shape));
  if (in[0].dtype != in[1].dtype)
    fail(ErrorKind::type, name, ": logits and targets must have one dtype, received ", in[0].dtype, " and ",
         in[1].dtype);
}

// Statistics of 16-bit logits are float32: a gradient made from rounded ones would be off by that much everywhere.
DType statistics_type(DType x) { return x == DType::f64 ? DType::f64 : DType::f32; }

Specs forward_specs(const Spec& x) {
  const Spec statistics{statistics_type(x.dtype), rows_of(x.shape), {}};
  return {Spec{x.dtype, rows_of(x.shape), {}}, statistics, statistics};
}

void check_statistics(const char* name, const Inputs& in) {
  for (size_t i = 2; i < 4; ++i)
    if (in[i].dtype != statistics_type(in[0].dtype))
      fail(ErrorKind::type, name, ": maximum and sum must be ", statistics_type(in[0].dtype), " for logits of ",
           in[0].dtype, ", received ", in[i].dtype);
  if (in[4].dtype != in[0].dtype)
    fail(ErrorKind::type, name, ": dloss must have the dtype of the logits, received ", in[4].dtype, " and ",
         in[0].dtype);
}

void bind_rows(const Bind& b, CrossEntropyArgs& a) {
  const BoundValue& x = b.in(0);
  a = {};
  a.x = x.data;
  a.targets = b.read(1);
  a.label_dtype = b.in(1).dtype;
  a.classes = x.shape[x.rank - 1];
  a.rows = x.size(0, x.rank - 1);
}

void bind_forward(const Bind& b, CrossEntropyArgs& a) {
  bind_rows(b, a);
  a.loss = b.write(0);
  a.top = b.write(1);
  a.total = b.write(2);
}

void bind_gradient(const Bind& b, CrossEntropyArgs& a) {
  bind_rows(b, a);
  a.top_in = b.read(2);
  a.total_in = b.read(3);
  a.dloss = b.read(4);
  a.dx = b.write(0);
}

Node as_column(const Node& row) {
  Shape shape = row.shape();
  shape.push_back(Dim(1));
  return maas::reshape(row, shape);
}

Node softmax_node(const Node& x, bool log) { return op("softmax", {x}, {{"axis", int64_t{-1}}, {"log", log}}); }

}  // namespace

// ---- integer labels

Specs SparseSoftmaxCrossEntropy::infer(const Inputs& in) const {
  check_logits("sparse_softmax_cross_entropy", in, 2);
  check_labels("sparse_softmax_cross_entropy", in);
  return forward_specs(in[0]);
}

Nodes SparseSoftmaxCrossEntropy::gradient(const Node& y, const Nodes& dys, const Needs&) const {
  if (!dys[0]) return {};
  return {op("sparse_softmax_cross_entropy_gradient", {y.input(0), y.input(1), y.output(1), y.output(2), dys[0]},
             {{"rule", rule}}),
          Node()};
}

void SparseSoftmaxCrossEntropy::bind(const Bind& b, CrossEntropyArgs& a) const { bind_forward(b, a); }

Specs SparseSoftmaxCrossEntropyGradient::infer(const Inputs& in) const {
  check_logits("sparse_softmax_cross_entropy_gradient", in, 5);
  check_labels("sparse_softmax_cross_entropy_gradient", in);
  check_statistics("sparse_softmax_cross_entropy_gradient", in);
  return {Spec{in[0].dtype, in[0].shape, {}}};
}

Nodes SparseSoftmaxCrossEntropyGradient::composition(const Nodes& in) const {
  const int64_t classes = in[0].shape().back().constant();
  const Node hot = op("one_hot", {in[1]}, {{"num_classes", classes}, {"dtype", in[0].dtype()}});
  return {(softmax_node(in[0], false) - hot) * as_column(in[4])};
}

void SparseSoftmaxCrossEntropyGradient::bind(const Bind& b, CrossEntropyArgs& a) const { bind_gradient(b, a); }

// ---- targets

Specs SoftmaxCrossEntropy::infer(const Inputs& in) const {
  check_logits("softmax_cross_entropy", in, 2);
  check_targets("softmax_cross_entropy", in);
  return forward_specs(in[0]);
}

Nodes SoftmaxCrossEntropy::gradient(const Node& y, const Nodes& dys, const Needs& needs) const {
  if (!dys[0]) return {};
  const Node &x = y.input(0), &t = y.input(1);
  Nodes dxs(2);
  if (needs[0]) dxs[0] = op("softmax_cross_entropy_gradient", {x, t, y.output(1), y.output(2), dys[0]});
  if (needs[1]) dxs[1] = -(softmax_node(x, true) * as_column(dys[0]));
  return dxs;
}

void SoftmaxCrossEntropy::bind(const Bind& b, CrossEntropyArgs& a) const { bind_forward(b, a); }

Specs SoftmaxCrossEntropyGradient::infer(const Inputs& in) const {
  check_logits("softmax_cross_entropy_gradient", in, 5);
  check_targets("softmax_cross_entropy_gradient", in);
  check_statistics("softmax_cross_entropy_gradient", in);
  return {Spec{in[0].dtype, in[0].shape, {}}};
}

Nodes SoftmaxCrossEntropyGradient::composition(const Nodes& in) const {
  const Node mass = sum(in[1], {in[1].rank() - 1}, true);
  return {(softmax_node(in[0], false) * mass - in[1]) * as_column(in[4])};
}

void SoftmaxCrossEntropyGradient::bind(const Bind& b, CrossEntropyArgs& a) const { bind_gradient(b, a); }

}  // namespace maas
