// Reductions as nodes: shapes, gradients, how axes become outer x reduced x inner.
#include "ops/reduce/reduce.h"

#include <algorithm>

#include "core/device.h"
#include "graph/op_model.h"
#include "ops/build.h"

#define MAAS_KERNELS "ops/reduce/kernels.inc"
#define MAAS_KERNEL_ARGS ReduceArgs
#define MAAS_KERNEL_TABLE reduce_kernels
#include "core/kernel_table.h"

#define MAAS_KERNELS "ops/reduce/count_kernels.inc"
#define MAAS_KERNEL_ARGS ElementCount::Args
#define MAAS_KERNEL_TABLE count_kernels
#include "core/kernel_table.h"

namespace maas {

MAAS_DEFINE_OP(sum, Sum)
MAAS_DEFINE_OP(mean, Mean)
MAAS_DEFINE_OP(prod, Prod)
MAAS_DEFINE_OP(max, Max)
MAAS_DEFINE_OP(min, Min)
MAAS_DEFINE_OP(any, Any)
MAAS_DEFINE_OP(all, All)
MAAS_DEFINE_OP(argmax, ArgMax)
MAAS_DEFINE_OP(argmin, ArgMin)
MAAS_DEFINE_OP(element_count, ElementCount)
const KernelTable& Reduction::kernels() { return reduce_kernels; }
const KernelTable& ElementCount::kernels() { return count_kernels; }

namespace {

bool is_arg(Fold fold) { return fold == Fold::argmax || fold == Fold::argmin; }

// Keras: small integers are summed in int32, uint8 in uint32; the mean of integers is float32.
DType result_dtype(Fold fold, DType x) {
  switch (fold) {
    case Fold::any:
    case Fold::all:
      return DType::b8;
    case Fold::argmax:
    case Fold::argmin:
      return DType::i32;
    case Fold::mean:
      return is_floating(x) ? x : DType::f32;
    case Fold::sum:
    case Fold::prod:
      if (x == DType::u8 || x == DType::u16) return DType::u32;
      return x == DType::b8 || x == DType::i8 || x == DType::i4 || x == DType::i16 ? DType::i32 : x;
    default:
      return x;
  }
}

std::vector<bool> reduced_axes(const char* name, const std::vector<int64_t>& axis, const Shape& shape) {
  std::vector<bool> reduced(shape.size());
  for (int64_t a : normalize_axes(name, axis, shape)) reduced[static_cast<size_t>(a)] = true;
  return reduced;
}

Shape kept_shape(const Shape& x, const std::vector<bool>& reduced, bool keepdims) {
  Shape y;
  for (size_t i = 0; i < x.size(); ++i) {
    if (!reduced[i])
      y.push_back(x[i]);
    else if (keepdims)
      y.push_back(Dim(1));
  }
  return y;
}

}  // namespace

Specs Reduction::infer_as(Fold fold, const char* name, const Inputs& in) const {
  check(in.size() == 1, name, ": one operand is needed, received ", in.size());
  const Shape& x = in[0].shape;
  check(!is_arg(fold) || axis.size() <= 1, name, ": axis must be one axis or none, received ",
        to_string(to_shape(axis)));
  const auto reduced = reduced_axes(name, axis, x);
  const bool needs_one = is_arg(fold) || fold == Fold::max || fold == Fold::min;
  for (size_t i = 0; i < x.size() && needs_one; ++i)
    check(!reduced[i] || !x[i].is(0), name, ": an empty axis has no extreme value, received x of shape ", to_string(x));
  return {Spec{result_dtype(fold, in[0].dtype), kept_shape(x, reduced, keepdims), {}}};
}

// Kernels reduce one run of neighbouring axes: of several runs the last goes first, the rest follow.
Nodes Reduction::split(const char* name, const Node& y) const {
  const Shape& x = y.input(0).shape();
  const auto reduced = reduced_axes(name, axis, x);
  std::vector<int64_t> last, rest;
  int64_t previous = -1;
  for (size_t i = x.size(); i-- > 0;) {
    if (!reduced[i]) continue;
    const auto at = static_cast<int64_t>(i);
    // Axes of size 1 do not stand between two runs.
    bool joins = rest.empty() && (previous < 0 || product(x, i + 1, static_cast<size_t>(previous)).is(1));
    (joins ? last : rest).push_back(at);
    if (joins) previous = at;
  }
  if (rest.empty()) return {};
  const Node inner = op(name, {y.input(0)}, {{"axis", last}, {"keepdims", true}});
  const Node outer = op(name, {inner}, {{"axis", rest}, {"keepdims", true}});
  return {maas::reshape(outer, y.shape())};
}

namespace {

// The run of reduced axes [first, last); what `split` leaves has one run. An empty run lies at the end.
std::pair<int, int> run_of(const std::vector<bool>& reduced) {
  const int rank = static_cast<int>(reduced.size());
  int first = rank, last = rank;
  for (int i = rank; i-- > 0;) {
    if (!reduced[static_cast<size_t>(i)]) continue;
    if (first == rank) last = i + 1;
    first = i;
  }
  return {first, last};
}

}  // namespace

bool Reduction::accepts_as(Fold fold, const KernelRow& row, const Specs& in, const Specs& out) const {
  const DType x = in[0].dtype;
  // A product in a tree rounds otherwise than one from front to back: by more than float64's bound allows.
  if (row.isa == Isa::cuda) return is_readable(x) && !(fold == Fold::prod && x == DType::f64);
  if (row.isa == Isa::none) return true;
  if (row.dtype != x || row.dtype != out[0].dtype) return false;
  if (x != DType::f64) return true;
  const Shape& shape = in[0].shape;
  const auto [first, last] = run_of(reduced_axes("reduce", axis, shape));
  return (fold == Fold::sum || fold == Fold::mean) && first < last && last == static_cast<int>(shape.size());
}

// The folds of chunks, where there may be several.
std::vector<Dim> Reduction::workspaces(const Specs& in, const Specs& out) const {
  const Shape& x = in[0].shape;
  if (in[0].dtype != DType::f32 || out[0].dtype != DType::f32 || !target().is_cpu()) return {};
  const auto [first, last] = run_of(reduced_axes("reduce", axis, x));
  const bool lanes = last == static_cast<int>(x.size());
  const int64_t chunk = lanes ? ReduceArgs::lane_chunk : ReduceArgs::column_chunk;
  const Dim reduced = product(x, static_cast<size_t>(first), static_cast<size_t>(last));
  if (reduced.is_constant() && reduced.constant() <= chunk) return {};
  const Dim chunks = floordiv(reduced + Dim(chunk - 1), Dim(chunk));
  return {product(x, 0, static_cast<size_t>(first)) * chunks * product(x, static_cast<size_t>(last)) *
          Dim(int64_t{sizeof(float)})};
}

void Reduction::bind_as(Fold fold, const Bind& b, const KernelRow& row, ReduceArgs& a) const {
  const BoundValue& x = b.in(0);
  Shape shape;
  for (int i = 0; i < x.rank; ++i) shape.push_back(Dim(x.shape[i]));
  const auto reduced = reduced_axes("reduce", axis, shape);
  const auto [first, last] = run_of(reduced);
  a.x = x.data;
  a.y = b.write(0);
  a.dtype = x.dtype;
  a.result = b.out().dtype;
  a.fold = fold;
  a.vector = row.isa != Isa::none && row.isa != Isa::cuda;
  a.outer = x.size(0, first);
  a.reduced = x.size(first, last);
  a.inner = x.size(last, x.rank);
  a.lanes = last == x.rank;
  a.chunk = row.dtype == DType::f64 ? std::max<int64_t>(a.reduced, 1)
            : a.lanes               ? ReduceArgs::lane_chunk
                                    : ReduceArgs::column_chunk;
  a.chunks = std::max<int64_t>((a.reduced + a.chunk - 1) / a.chunk, 1);
  a.partial = a.vector && a.chunks > 1 ? b.workspace<float>() : nullptr;
}

int64_t Reduction::units(const ReduceArgs& a, int64_t phase) const {
  if (!a.vector) return a.outer * a.inner;
  if (a.lanes) return phase ? a.outer : a.outer * a.chunks;
  if (phase) return a.outer * ((a.inner + 15) / 16);
  return a.outer * a.chunks * ((a.inner + ReduceArgs::column_block - 1) / ReduceArgs::column_block);
}

double Reduction::work(const ReduceArgs& a) const {
  const auto results = static_cast<double>(a.outer * a.inner);
  return a.vector ? results * (0.5 + 0.1 * static_cast<double>(a.reduced))
                  : results * (2 + static_cast<double>(a.reduced));
}

Nodes Reduction::gradient_as(Fold fold, const Node& y, const Node& dy) const {
  const Node& x = y.input(0);
  const auto reduced = reduced_axes("reduce", axis, x.shape());
  const Shape kept = kept_shape(x.shape(), reduced, true);
  const Node dk = maas::reshape(dy, kept), yk = maas::reshape(y, kept);
  std::vector<int64_t> axes = normalize_axes("reduce", axis, x.shape());
  switch (fold) {
    case Fold::sum:
      return {broadcast_to(dk, x.shape())};
    case Fold::mean:
      return {broadcast_to(dk / element_count(x, axis, x.dtype()), x.shape())};
    case Fold::max:
    case Fold::min: {
      // Equal extremes share the gradient.
      const Node hit = cast(binary("equal", x, yk), x.dtype());
      return {hit * (dk / (axes.empty() ? hit : sum(hit, axes, true)))};
    }
    case Fold::prod: {
      // The product of the others: y / x where nothing is 0, and with one 0 only that place has a gradient.
      const Node zero = binary("equal", x, 0.0), ones = full(x.shape(), x.dtype(), 1);
      const Node safe = where(zero, ones, x);
      const Node zeros = axes.empty() ? cast(zero, x.dtype()) : sum(cast(zero, x.dtype()), axes, true);
      const Node others = axes.empty() ? safe : op("prod", {safe}, {{"axis", axes}, {"keepdims", true}});
      const Node none = broadcast_to(binary("equal", zeros, 0.0), x.shape());
      const Node here = binary("logical_and", zero, binary("equal", zeros, 1.0));
      const Node share = where(binary("logical_or", none, here), others / safe, zeros_like(x));
      return {dk * share};
    }
    default:
      return {Node()};
  }
}

// ---- element_count

Specs ElementCount::infer(const Inputs& in) const {
  check(in.size() == 1, "element_count: one operand is needed, received ", in.size());
  Dim count(1);
  for (int64_t a : normalize_axes("element_count", axis, in[0].shape))
    count = count * in[0].shape[static_cast<size_t>(a)];
  return {Spec{dtype, {}, std::vector<Dim>{count}}};
}

void ElementCount::bind(const Bind& b, Args& a) const {
  const BoundValue& x = b.in(0);
  Shape shape;
  for (int i = 0; i < x.rank; ++i) shape.push_back(Dim(x.shape[i]));
  a = {b.write(0), dtype, 1};
  for (int64_t i : normalize_axes("element_count", axis, shape)) a.count *= x.shape[i];
}

Node element_count(const Node& x, const std::vector<int64_t>& axis, DType dtype) {
  Dim count(1);
  for (int64_t a : normalize_axes("element_count", axis, x.shape())) count = count * x.shape()[static_cast<size_t>(a)];
  if (count.is_constant()) return scalar_node(dtype, static_cast<double>(count.constant()));
  return op("element_count", {x}, {{"axis", axis}, {"dtype", dtype}});
}

}  // namespace maas
