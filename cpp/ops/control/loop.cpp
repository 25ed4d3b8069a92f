#include "graph/op_model.h"
#include "graph/passes/passes.h"
#include "ops/build.h"
#include "ops/control/control.h"

namespace maas {

MAAS_DEFINE_OP(loop, Loop)

int Loop::visible_outputs() const { return static_cast<int>(bodies[0]->outputs.size()); }

Control Loop::control() const {
  Control c{Control::loop, bodies, carries, slices, stacked(), counted, reverse};
  if (!length.empty()) c.length = length[0];
  return c;
}

namespace {

std::string describe(DType dtype, const Shape& shape) { return text(dtype, to_string(shape)); }
const char* name(const Loop& loop) { return loop.conditional() ? "while_loop" : "scan"; }

void check_input(const char* op, const char* what, size_t i, const Node& wanted, DType dtype, const Shape& shape) {
  if (wanted.dtype() != dtype)
    fail(ErrorKind::type, op, ": ", what, " ", i, " must be ", describe(wanted.dtype(), wanted.shape()), ", received ",
         describe(dtype, shape));
  check(agree(wanted.shape(), shape, op, what), op, ": ", what, " ", i, " must be ",
        describe(wanted.dtype(), wanted.shape()), ", received ", describe(dtype, shape));
}

}  // namespace

Specs Loop::infer(const Inputs& in) const {
  const char* op = name(*this);
  check(!bodies.empty(), op, ": a body is needed, received none");
  check(bodies.size() <= 2 && carries >= 0 && slices >= 0 && length.size() <= 1 && !(conditional() && reverse), op,
        ": a loop has one body and perhaps a condition, received ", bodies.size(), " bodies, carries=", carries,
        ", slices=", slices);
  check(length.empty() || !length[0].is_constant() || length[0].constant() >= 0, op,
        ": length must be at least 0, received ", length.empty() ? Dim(0) : length[0]);
  const Graph& body = *bodies[0].graph;
  const size_t first = counted ? 1 : 0, c = static_cast<size_t>(carries), s = static_cast<size_t>(slices);
  check(in.size() >= first, op, ": operands are missing, received ", in.size());
  check(in.size() == first + body.inputs.size() && body.inputs.size() >= c + s && body.outputs.size() >= c, op,
        ": the body takes ", body.inputs.size(), " values, received ", in.size() - first);
  check(!counted || (in[0].shape.empty() && in[0].dtype == DType::i32), op,
        ": the count must be a scalar int32, received ",
        counted ? describe(in[0].dtype, in[0].shape) : std::string("none"));
  check(!length.empty() || (s == 0 && stacked() == 0 && (counted || conditional())), op,
        ": a loop over slices needs a length, received none");
  Specs out;
  for (size_t i = 0; i < body.inputs.size(); ++i) {
    const Spec& x = in[first + i];
    Shape shape = x.shape;
    if (i >= c && i < c + s) {
      check(!shape.empty() && agree(shape[0], length[0], op, "all xs must have one length"), op, ": xs ", i - c,
            " must have the length ", length[0], ", received shape ", to_string(shape));
      shape.erase(shape.begin());
    }
    check_input(op,
                i < c       ? "carried value"
                : i < c + s ? "xs"
                            : "capture",
                i < c ? i : i - c, body.inputs[i], x.dtype, shape);
  }
  for (size_t i = 0; i < body.outputs.size(); ++i) {
    const Node& y = body.outputs[i];
    if (i < c) {
      check_input(op, "the body must keep shape and dtype: the next carried value", i, body.inputs[i], y.dtype(),
                  y.shape());
      out.push_back({body.inputs[i].dtype(), body.inputs[i].shape(), {}});
    } else {
      out.push_back({y.dtype(), y.shape(), {}});
      out.back().shape.insert(out.back().shape.begin(), length[0]);
    }
  }
  if (conditional()) {
    const Graph& condition = *bodies[1].graph;
    check(condition.inputs.size() == body.inputs.size() - s && condition.outputs.size() == 1 &&
              condition.outputs[0].shape().empty() && condition.outputs[0].dtype() == DType::b8,
          op, ": cond must give a scalar bool, received ",
          condition.outputs.empty() ? std::string("nothing")
                                    : describe(condition.outputs[0].dtype(), condition.outputs[0].shape()));
    for (size_t i = 0; i < condition.inputs.size(); ++i) {
      const Node& same = body.inputs[i < c ? i : i + s];
      check_input(op, "what cond takes: value", i, condition.inputs[i], same.dtype(), same.shape());
    }
  }
  out.push_back({DType::i32, {}, {}});
  if (!length.empty())
    for (size_t i = 0; i < c; ++i) {
      out.push_back({body.inputs[i].dtype(), body.inputs[i].shape(), {}});
      out.back().shape.insert(out.back().shape.begin(), length[0]);
    }
  return out;
}

// A loop the other way round: from the carried values before every turn, each turn computes the body again and pulls
// the gradient through it. Carried: the gradients of the carried values, and of the captures so far.
Nodes Loop::gradient(const Node& y, const Nodes& dys, const Needs& needs) const {
  const Graph& body = *bodies[0].graph;
  const int c = carries, s = slices, first = counted ? 1 : 0, outs = visible_outputs();
  const int captures = static_cast<int>(body.inputs.size()) - c - s;
  if (length.empty())
    fail(ErrorKind::not_implemented, name(*this),
         ": a gradient needs maximum_iterations, so that room for every turn can be kept, received none");
  const auto dy = [&](int i) { return i < static_cast<int>(dys.size()) ? dys[static_cast<size_t>(i)] : Node(); };
  const auto needed = [&](int i) { return needs[static_cast<size_t>(first + i)]; };
  const bool known = !counted && !conditional();  // all turns are taken

  BodyBuilder b;
  Nodes operands;
  if (!known) operands.push_back(y.output(outs));
  // What one turn gets, in order: d(carried), d(captures) so far | saved, slices, d(stacked), d(saved) | captures.
  std::vector<int> float_carries, float_captures;
  Nodes dcarries, sums, saved, slice, dstacked(static_cast<size_t>(outs - c)), dsaved(static_cast<size_t>(c)), outer;
  for (int i = 0; i < c; ++i)
    if (is_floating(body.inputs[static_cast<size_t>(i)].dtype())) {
      float_carries.push_back(i);
      operands.push_back(dy(i) ? dy(i) : zeros_like(y.output(i)));
      dcarries.push_back(b.input(y.output(i).spec()));
    }
  for (int i = 0; i < captures; ++i)
    if (needed(c + s + i)) {
      const Node& k = y.input(first + c + s + i);
      float_captures.push_back(i);
      operands.push_back(zeros_like(k));
      sums.push_back(b.input(k.spec()));
    }
  auto step = [](const Node& stackedvalue) {
    Spec spec = stackedvalue.spec();
    spec.shape.erase(spec.shape.begin());
    return spec;
  };
  int count = 0;
  auto add_slice = [&](const Node& x) {
    operands.push_back(x);
    ++count;
    return b.input(step(x));
  };
  for (int i = 0; i < c; ++i) saved.push_back(add_slice(y.output(outs + 1 + i)));
  for (int i = 0; i < s; ++i) slice.push_back(add_slice(y.input(first + c + i)));
  for (int i = c; i < outs; ++i)
    if (dy(i)) dstacked[static_cast<size_t>(i - c)] = add_slice(dy(i));
  for (int i = 0; i < c; ++i)
    if (dy(outs + 1 + i)) dsaved[static_cast<size_t>(i)] = add_slice(dy(outs + 1 + i));
  for (int i = 0; i < captures; ++i) {
    operands.push_back(y.input(first + c + s + i));
    outer.push_back(b.input(operands.back().spec()));
  }

  Nodes inputs = saved;
  inputs.insert(inputs.end(), slice.begin(), slice.end());
  inputs.insert(inputs.end(), outer.begin(), outer.end());
  const Nodes outputs = call(body, inputs);
  Nodes ds(outputs.size());
  for (size_t k = 0; k < float_carries.size(); ++k) ds[static_cast<size_t>(float_carries[k])] = dcarries[k];
  for (size_t k = 0; k < dstacked.size(); ++k) ds[static_cast<size_t>(c) + k] = dstacked[k];
  Nodes targets;
  for (int i : float_carries) targets.push_back(saved[static_cast<size_t>(i)]);
  for (int i : float_captures) targets.push_back(outer[static_cast<size_t>(i)]);
  std::vector<int> float_slices;
  for (int i = 0; i < s; ++i)
    if (needed(c + i)) {
      float_slices.push_back(i);
      targets.push_back(slice[static_cast<size_t>(i)]);
    }
  Nodes results = gradients(outputs, ds, targets);
  const size_t n = float_carries.size(), m = float_captures.size();
  for (size_t k = 0; k < results.size(); ++k) {
    Node& r = results[k];
    if (k < n) {
      const Node& more = dsaved[static_cast<size_t>(float_carries[k])];
      r = r && more ? r + more : r ? r : more;
    } else if (k < n + m) {
      r = r ? sums[k - n] + r : sums[k - n];
    }
    if (!r) r = zeros_like(targets[k]);
  }

  Loop back{{b.finish(std::move(results))}, static_cast<int>(n + m), count, length, !known, !reverse};
  const Node made = apply(std::move(back), std::move(operands));
  Nodes dxs(y->inputs.size());
  for (size_t k = 0; k < n; ++k) dxs[static_cast<size_t>(first + float_carries[k])] = made.output(static_cast<int>(k));
  for (size_t k = 0; k < m; ++k)
    dxs[static_cast<size_t>(first + c + s + float_captures[k])] = made.output(static_cast<int>(n + k));
  for (size_t k = 0; k < float_slices.size(); ++k)
    dxs[static_cast<size_t>(first + c + float_slices[k])] = made.output(static_cast<int>(n + m + k));
  return dxs;
}

// Bodies end up in kernels, and what is the same in every turn (packed weights) is made before the loop. Integer work
// stays: it is small, and an index out of range must not be read for a turn that never comes.
Nodes Loop::lower(const Node& y) const {
  if (lowered) return {};
  std::vector<Graph> graphs;
  for (const Body& body : bodies) graphs.push_back(passes::simplify(*body.graph));
  const size_t first = counted ? 1 : 0, c = static_cast<size_t>(carries), s = static_cast<size_t>(slices);
  Nodes inputs(y->inputs.begin(), y->inputs.begin() + static_cast<std::ptrdiff_t>(first + c + s));
  Nodes captures(y->inputs.begin() + static_cast<std::ptrdiff_t>(first + c + s), y->inputs.end());
  std::vector<size_t> fixed{c + s};
  if (conditional()) fixed.push_back(c);
  hoist(
      graphs, fixed, captures, [](const Node&) { return false; },
      [](const NodeData& node) {
        if (node.op->control()) return false;
        for (const Node& in : node.inputs)
          if (!is_floating(in.dtype()) && in.dtype() != DType::b8) return false;
        return true;
      });
  drop_unread(graphs, fixed, captures);
  Loop made = *this;
  made.bodies = share(std::move(graphs));
  made.lowered = true;
  inputs.insert(inputs.end(), captures.begin(), captures.end());
  const Node node = apply(std::move(made), std::move(inputs));
  Nodes outputs;
  for (size_t i = 0; i < y->outputs.size(); ++i) outputs.push_back(node.output(static_cast<int>(i)));
  return outputs;
}

}  // namespace maas
