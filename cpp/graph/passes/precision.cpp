// Casts cancel, merge, and move to where they touch fewer elements. A cast to a type that holds every value of the old
// one loses nothing, so what follows may read the old value: bfloat16 -> float32 -> bfloat16 is nothing. The other way
// round a cast rounds, and stays. No bit changes.
#include <algorithm>

#include "graph/op.h"
#include "graph/passes/passes.h"
#include "graph/primitives.h"

namespace maas::passes {
namespace {

// Whether `wide` holds every value of `type`.
bool holds(DType wide, DType type) {
  if (wide == type || type == DType::b8) return bit_size(wide) >= 8 && wide != DType::f8 && wide != DType::f8e5;
  auto any = [&](std::initializer_list<DType> list) { return std::find(list.begin(), list.end(), wide) != list.end(); };
  using enum DType;
  switch (type) {
    case i8:
      return any({i16, i32, i64, bf16, f16, f32, f64});
    case u8:
      return any({i16, i32, i64, u32, bf16, f16, f32, f64});
    case i16:
      return any({i32, i64, f32, f64});
    case i32:
    case u32:
      return any({i64, f64});
    case bf16:
    case f16:
      return any({f32, f64});
    case f32:
      return wide == f64;
    default:
      return false;
  }
}

bool is_cast(const Node& n) {
  if (!n->op || n->inputs.size() != 1 || n->op->elementwise_fn() < 0 || n.dtype() == n.input(0).dtype()) return false;
  return n->op->equals(*cast(n.input(0), n.dtype())->op);
}

// Whether type -> through -> to is the same as type -> to. Floats out of an integer's range are left alone.
bool skips(DType type, DType through, DType to) {
  if (!holds(through, type)) return false;
  return to == type || to == DType::b8 || holds(to, type) || is_floating(to);
}

Node with_input(const Node& n, const Node& x) {
  Nodes inputs = n->inputs;
  inputs[0] = x;
  return apply(n->op, std::move(inputs));
}

// A cast of a cast, also where views lie between.
Node merged(const Node& n) {
  std::vector<Node> views;
  Node x = n.input(0);
  for (; x->op && x->op->is_view() && x->inputs.size() == 1; x = x.input(0)) views.push_back(x);
  if (!is_cast(x) || !skips(x.input(0).dtype(), x.dtype(), n.dtype())) return {};
  Node y = cast(x.input(0), n.dtype());
  for (size_t i = views.size(); i-- > 0;) y = with_input(views[i], y);
  return y;
}

// int4 lies two to a byte, where no element moves alone.
bool whole_bytes(const Node& n) { return bit_size(n.dtype()) >= 8; }
bool moves_elements(const Node& n) { return n->op && (n->op->is_view() || moves(n->op->name())); }

}  // namespace

Graph precision(const Graph& graph) {
  const Users users(graph);
  return rewrite(graph, [&](const Node& old, const Nodes& inputs) -> Nodes {
    if (old->outputs.size() != 1 || old->inputs.empty()) return {};
    if (is_cast(old)) {
      const Node n = with_input(old, inputs[0]);
      if (const Node y = merged(n)) return {y};
      // A value that is repeated is cast before.
      const Node& x = n.input(0);
      if (moves_elements(x) && whole_bytes(n) && users.count(old.input(0)) == 1 && elements(x.input(0)) < elements(n))
        return {with_input(x, cast(x.input(0), n.dtype()))};
      return {};
    }
    // A part is cast after it was taken.
    const Node& x = inputs[0];
    if (!moves_elements(old) || !is_cast(x) || users.count(old.input(0)) != 1 || users.is_root(old.input(0))) return {};
    if (elements(old) >= elements(x) || x.dtype() != old.dtype() || !whole_bytes(x.input(0))) return {};
    Nodes operands = inputs;
    operands[0] = x.input(0);
    return {cast(apply(old->op, std::move(operands)), old.dtype())};
  });
}

}  // namespace maas::passes
