#include "ops/scatter/scatter.h"

#include "graph/op_model.h"
#include "ops/build.h"

#define MAAS_KERNELS "ops/scatter/kernels.inc"
#define MAAS_KERNEL_ARGS ScatterArgs
#define MAAS_KERNEL_TABLE scatter_kernels
#include "core/kernel_table.h"

#define MAAS_KERNELS "ops/scatter/gather_nd_kernels.inc"
#define MAAS_KERNEL_ARGS ScatterArgs
#define MAAS_KERNEL_TABLE gather_nd_kernels
#include "core/kernel_table.h"

namespace maas {

MAAS_DEFINE_OP(scatter, Scatter)
MAAS_DEFINE_OP(scatter_update, ScatterUpdate)
MAAS_DEFINE_OP(gather_nd, GatherNd)
const KernelTable& Scatter::kernels() { return scatter_kernels; }
const KernelTable& ScatterUpdate::kernels() { return scatter_kernels; }
const KernelTable& GatherNd::kernels() { return gather_nd_kernels; }

namespace {

ScatterMode mode_of(const char* op, const std::string& mode) {
  const char* names[] = {"set", "add", "multiply", "max", "min"};
  for (int i = 0; i < 5; ++i)
    if (mode == names[i]) return static_cast<ScatterMode>(i);
  fail(ErrorKind::value, op, ": mode must be 'set', 'add', 'multiply', 'max' or 'min', received '", mode, "'");
}

// The number of axes of `shape` that the indices name.
int64_t depth_of(const char* op, const Spec& indices, const Shape& shape) {
  if (!is_integer(indices.dtype) || bit_size(indices.dtype) < 8)
    fail(ErrorKind::type, op, ": indices must be integers, received ", indices.dtype);
  check(indices.rank() >= 1 && indices.shape.back().is_constant(), op,
        ": indices need a last axis of known size, received ", to_string(indices.shape));
  const int64_t depth = indices.shape.back().constant();
  check(depth >= 1 && depth <= ScatterArgs::max_depth && depth <= static_cast<int64_t>(shape.size()), op,
        ": the last axis of indices names 1 to ", shape.size(), " axes of ", to_string(shape), ", received ",
        to_string(indices.shape));
  return depth;
}

// The shape of what the indices name.
Shape updates_shape(const Spec& indices, int64_t depth, const Shape& shape) {
  Shape out(indices.shape.begin(), indices.shape.end() - 1);
  out.insert(out.end(), shape.begin() + depth, shape.end());
  return out;
}

void check_updates(const char* op, const Spec& indices, const Spec& updates, const Shape& shape) {
  const Shape wanted = updates_shape(indices, depth_of(op, indices, shape), shape);
  check(updates.shape == wanted, op, ": updates must have shape ", to_string(wanted), " for indices of shape ",
        to_string(indices.shape), " and a result of shape ", to_string(shape), ", received ", to_string(updates.shape));
}

// x: the operand or result that the indices name places of.
void bind_places(const BoundValue& x, const BoundValue& indices, bool wrap, ScatterArgs& a) {
  a.indices = indices.data;
  a.index_dtype = indices.dtype;
  a.dtype = x.dtype;
  a.bytes = bit_size(x.dtype) / 8;
  a.wrap = wrap;
  a.depth = static_cast<int>(indices.shape[indices.rank - 1]);
  for (int i = 0; i < a.depth; ++i) a.sizes[i] = x.shape[i];
  a.count = indices.size(0, indices.rank - 1);
  a.rows = x.size(0, a.depth);
  a.inner = x.size(a.depth, x.rank);
}

// On a GPU rows are numbered in 31 bits, and booleans are only set.
bool can_scatter(const KernelRow& row, const std::string& mode, DType dtype) {
  if (row.isa == Isa::cuda && mode != "set" && (dtype == DType::b8 || dtype == DType::f8)) return false;
  // Many updates may meet at one place: on the CPU 16-bit floats are summed in float32, around the op.
  if (row.isa != Isa::cuda && mode != "set" && is_floating(dtype) && bit_size(dtype) == 16) return false;
  return bit_size(dtype) >= 8 && (mode == "set" || !is_floating(dtype) || bit_size(dtype) > 8);
}
int64_t column_units(const ScatterArgs& a) { return (a.inner + ScatterArgs::columns - 1) / ScatterArgs::columns; }
double scatter_work(const ScatterArgs& a) {
  return static_cast<double>(a.count) * (3 * a.depth + 0.5 * static_cast<double>(a.inner)) +
         (a.base && a.base == a.y ? 0 : 0.2 * static_cast<double>(a.rows * a.inner));
}

Node gather_nd(const Node& x, const Node& indices, const ScatterOptions& o) {
  return apply(GatherNd{o.wrap, o.rule}, {x, indices});
}
Node scatter(const Node& indices, const Node& updates, const Shape& shape, const char* mode, const ScatterOptions& o) {
  Scatter s;
  s.mode = mode;
  s.wrap = o.wrap;
  s.rule = o.rule;
  s.shape = shape;
  return apply(s, {indices, updates});
}

// dx (null if there is no x) and d updates.
Nodes scatter_gradient(const ScatterOptions& o, const Node& x, const Node& indices, const Node& updates, const Node& y,
                       const Node& dy) {
  if (o.mode == "add") return {dy, gather_nd(dy, indices, o)};
  const Shape& shape = y.shape();
  if (o.mode == "set") {
    // Only the last update of a place is seen: each finds its own number there, or a later one.
    const Shape places(indices.shape().begin(), indices.shape().end() - 1);
    const int64_t depth = indices.shape().back().constant();
    const Shape grid(shape.begin(), shape.begin() + depth);
    const Node numbers = reshape(op("arange", {}, {{"size", Shape{product(places)}}, {"dtype", DType::i64}}), places);
    const Node last = gather_nd(scatter(indices, numbers, grid, "set", o), indices, o);
    Shape wide = places;
    wide.resize(updates.shape().size(), Dim(1));
    const Node seen = reshape(binary("equal", last, numbers), wide);
    const Node part = gather_nd(dy, indices, o);
    Node dx;
    if (x) {
      ScatterUpdate clear;
      clear.mode = "set";
      clear.wrap = o.wrap;
      clear.rule = o.rule;
      dx = apply(clear, {dy, indices, zeros_like(updates)});
    }
    return {dx, where(seen, part, zeros_like(part))};
  }
  if (o.mode == "multiply")
    fail(ErrorKind::not_implemented, "scatter: mode 'multiply' has no gradient, received a request for one");
  // Equal extremes share the gradient.
  const Node chosen = cast(binary("equal", updates, gather_nd(y, indices, o)), dy.dtype());
  Node count = scatter(indices, chosen, shape, "add", o), kept;
  if (x) {
    kept = cast(binary("equal", x, y), dy.dtype());
    count = count + kept;
  }
  const Node share = dy / binary("maximum", count, 1.0);
  return {x ? kept * share : Node(), chosen * gather_nd(share, indices, o)};
}

}  // namespace

Specs Scatter::infer(const Inputs& in) const {
  check(in.size() == 2, "scatter: indices and updates are needed, received ", in.size(), " operands");
  mode_of("scatter", mode);
  check_updates("scatter", in[0], in[1], shape);
  return {Spec{in[1].dtype, shape, {}}};
}

Nodes Scatter::gradient(const Node& y, const Nodes& dys, const Needs&) const {
  return {Node(), scatter_gradient(*this, Node(), y.input(0), y.input(1), y, dys[0])[1]};
}

bool Scatter::accepts(const KernelRow& row, const Specs& in, const Specs&) const {
  return can_scatter(row, mode, in[1].dtype);
}

void Scatter::bind(const Bind& b, ScatterArgs& a) const {
  a = {};
  bind_places(b.out(), b.in(0), wrap, a);
  a.x = b.read(1);
  a.y = b.write(0);
  a.mode = mode_of("scatter", mode);
}

int64_t Scatter::units(const ScatterArgs& a) const { return column_units(a); }
double Scatter::work(const ScatterArgs& a) const { return scatter_work(a); }

Specs ScatterUpdate::infer(const Inputs& in) const {
  check(in.size() == 3, "scatter_update: x, indices and updates are needed, received ", in.size(), " operands");
  mode_of("scatter_update", mode);
  if (in[0].dtype != in[2].dtype)
    fail(ErrorKind::type, "scatter_update: x and updates must have one dtype, received ", in[0].dtype, " and ",
         in[2].dtype);
  check_updates("scatter_update", in[1], in[2], in[0].shape);
  return {Spec{in[0].dtype, in[0].shape, {}}};
}

Nodes ScatterUpdate::gradient(const Node& y, const Nodes& dys, const Needs&) const {
  const Nodes d = scatter_gradient(*this, y.input(0), y.input(1), y.input(2), y, dys[0]);
  return {d[0], Node(), d[1]};
}

bool ScatterUpdate::accepts(const KernelRow& row, const Specs& in, const Specs&) const {
  return can_scatter(row, mode, in[0].dtype);
}

void ScatterUpdate::bind(const Bind& b, ScatterArgs& a) const {
  a = {};
  bind_places(b.in(0), b.in(1), wrap, a);
  a.base = b.read(0);
  a.x = b.read(2);
  a.y = b.write(0);
  a.mode = mode_of("scatter_update", mode);
}

int64_t ScatterUpdate::units(const ScatterArgs& a) const { return column_units(a); }
double ScatterUpdate::work(const ScatterArgs& a) const { return scatter_work(a); }

Specs GatherNd::infer(const Inputs& in) const {
  check(in.size() == 2, "gather_nd: x and indices are needed, received ", in.size(), " operands");
  return {Spec{in[0].dtype, updates_shape(in[1], depth_of("gather_nd", in[1], in[0].shape), in[0].shape), {}}};
}

Nodes GatherNd::gradient(const Node& y, const Nodes& dys, const Needs&) const {
  const Node &x = y.input(0), &indices = y.input(1);
  ScatterOptions o;
  o.wrap = wrap;
  o.rule = rule;
  return {scatter(indices, dys[0], x.shape(), "add", o), Node()};
}

void GatherNd::bind(const Bind& b, ScatterArgs& a) const {
  a = {};
  bind_places(b.in(0), b.in(1), wrap, a);
  a.x = b.read(0);
  a.y = b.write(0);
}

}  // namespace maas
