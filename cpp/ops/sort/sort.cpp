#include "ops/sort/sort.h"

#include "graph/axis.h"
#include "graph/op_model.h"
#include "ops/build.h"

#define MAAS_KERNELS "ops/sort/kernels.inc"
#define MAAS_KERNEL_ARGS SortArgs
#define MAAS_KERNEL_TABLE sort_kernels
#include "core/kernel_table.h"

#define MAAS_KERNELS "ops/sort/search_kernels.inc"
#define MAAS_KERNEL_ARGS SearchArgs
#define MAAS_KERNEL_TABLE search_kernels
#include "core/kernel_table.h"

namespace maas {

MAAS_DEFINE_OP(sort, Sort)
MAAS_DEFINE_OP(argsort, Argsort)
MAAS_DEFINE_OP(top_k, TopK)
MAAS_DEFINE_OP(searchsorted, Searchsorted)
const KernelTable& SortKernels::kernels() { return sort_kernels; }
const KernelTable& Searchsorted::kernels() { return search_kernels; }

namespace {

int64_t check_sorted(const char* op, const Inputs& in, int64_t axis) {
  check(in.size() == 1, op, ": one operand is needed, received ", in.size());
  const int64_t at = normalize_axis(op, axis, in[0].shape);
  const Dim& size = in[0].shape[static_cast<size_t>(at)];
  check(!size.is_constant() || size.constant() <= INT32_MAX, op, ": an axis has at most 2^31 - 1 elements, received ",
        to_string(in[0].shape));
  return at;
}

void bind_axis(const BoundValue& x, int64_t axis, SortArgs& a) {
  const int at = from_front(axis, x.rank);
  a = {};
  a.x = x.data;
  a.dtype = x.dtype;
  a.outer = x.size(0, at);
  a.size = a.keep = x.shape[at];
  check(a.size <= INT32_MAX, "sort: an axis has at most 2^31 - 1 elements, received ", a.size);
  a.inner = x.size(at + 1, x.rank);
}

// dx from the gradient of elements that `indices` picked.
Node spread(const Node& x, const Node& dy, const Node& indices, int64_t axis) {
  const int64_t at = normalize_axis("sort", axis, x.shape());
  return op("take_along_axis_gradient", {dy, indices},
            {{"axis", at}, {"size", Shape{x.shape()[static_cast<size_t>(at)]}}, {"wrap", false}});
}

}  // namespace

Specs Sort::infer(const Inputs& in) const {
  check_sorted("sort", in, axis);
  return {Spec{in[0].dtype, in[0].shape, {}}, Spec{DType::i32, in[0].shape, {}}};
}

Nodes Sort::gradient(const Node& y, const Nodes& dys, const Needs&) const {
  return {spread(y.input(0), dys[0], y.output(1), axis)};
}

void Sort::bind(const Bind& b, SortArgs& a) const {
  bind_axis(b.in(0), axis, a);
  a.values = b.write(0);
  a.indices = b.write<int32_t>(1);
}

Specs Argsort::infer(const Inputs& in) const {
  check_sorted("argsort", in, axis);
  return {Spec{DType::i32, in[0].shape, {}}};
}

void Argsort::bind(const Bind& b, SortArgs& a) const {
  bind_axis(b.in(0), axis, a);
  a.indices = b.write<int32_t>(0);
}

Specs TopK::infer(const Inputs& in) const {
  check_sorted("top_k", in, -1);
  Shape out = in[0].shape;
  const Dim& size = out.back();
  check(size.is_constant() && k >= 0 && k <= size.constant(),
        "top_k: k must be from 0 to the known size of the last axis, received k=", k, " for x of shape ",
        to_string(in[0].shape));
  out.back() = Dim(k);
  return {Spec{in[0].dtype, out, {}}, Spec{DType::i32, out, {}}};
}

Nodes TopK::gradient(const Node& y, const Nodes& dys, const Needs&) const {
  if (!dys[0]) return {Node()};
  return {spread(y.input(0), dys[0], y.output(1), -1)};
}

void TopK::bind(const Bind& b, SortArgs& a) const {
  bind_axis(b.in(0), -1, a);
  a.values = b.write(0);
  a.indices = b.write<int32_t>(1);
  a.keep = k;
  a.descending = true;
}

Specs Searchsorted::infer(const Inputs& in) const {
  check(in.size() == 2, "searchsorted: two operands are needed, received ", in.size());
  check(in[0].rank() == 1, "searchsorted: the sorted sequence must have one axis, received ", to_string(in[0].shape));
  if (in[0].dtype != in[1].dtype)
    fail(ErrorKind::type, "searchsorted: operands must have one dtype, received ", in[0].dtype, " and ", in[1].dtype);
  return {Spec{DType::i32, in[1].shape, {}}};
}

void Searchsorted::bind(const Bind& b, SearchArgs& a) const {
  a = {b.read(0), b.read(1), b.write<int32_t>(0), b.in(0).dtype, right, b.in(0).shape[0], b.in(1).size()};
}

}  // namespace maas
