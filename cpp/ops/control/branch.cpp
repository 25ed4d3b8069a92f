#include "graph/op_model.h"
#include "graph/passes/passes.h"
#include "ops/build.h"
#include "ops/control/control.h"

namespace maas {

MAAS_DEFINE_OP(branch, Branch)

int Branch::visible_outputs() const { return bodies.empty() ? 0 : static_cast<int>(bodies[0]->outputs.size()); }

Specs Branch::infer(const Inputs& in) const {
  check(!bodies.empty(), "branch: at least one body is needed, received 0");
  check(!in.empty() && in[0].shape.empty() && (in[0].dtype == DType::b8 || in[0].dtype == DType::i32),
        "cond: the predicate must be a scalar bool or int32, received ",
        in.empty() ? "nothing" : text(in[0].dtype, to_string(in[0].shape)));
  Specs out;
  for (const Node& n : bodies[0]->outputs) out.push_back({n.dtype(), n.shape(), {}});
  for (const Body& body : bodies) {
    check(body->inputs.size() + 1 == in.size(), "branch: a body takes ", body->inputs.size(), " values, received ",
          in.size() - 1);
    for (size_t i = 1; i < in.size(); ++i)
      check(body->inputs[i - 1].dtype() == in[i].dtype &&
                agree(body->inputs[i - 1].shape(), in[i].shape, "branch", "sizes of an input"),
            "branch: input ", i, " must be ", body->inputs[i - 1].dtype(), to_string(body->inputs[i - 1].shape()),
            ", received ", in[i].dtype, to_string(in[i].shape));
    check(body->outputs.size() == out.size(), "cond: all branches must give the same number of values, received ",
          out.size(), " and ", body->outputs.size());
    for (size_t i = 0; i < out.size(); ++i) {
      const Node& n = body->outputs[i];
      check(n.dtype() == out[i].dtype && agree(n.shape(), out[i].shape, "cond", "all branches must give one shape"),
            "cond: all branches must give values of one shape and dtype, received ", out[i].dtype,
            to_string(out[i].shape), " and ", n.dtype(), to_string(n.shape()), " for output ", i);
    }
  }
  return out;
}

// The gradient of the branch that ran: again a branch on the same index.
Nodes Branch::gradient(const Node& y, const Nodes& dys, const Needs& needs) const {
  const Nodes captures(y->inputs.begin() + 1, y->inputs.end());
  Nodes given, operands{y.input(0)};
  for (const Node& dy : dys)
    if (dy) given.push_back(dy);
  operands.insert(operands.end(), given.begin(), given.end());
  operands.insert(operands.end(), captures.begin(), captures.end());
  Bodies gradients_of;
  for (const Body& body : bodies) {
    BodyBuilder b;
    const Nodes ds = b.inputs(given), inputs = b.inputs(captures), outputs = call(*body.graph, inputs);
    Nodes all(dys.size()), targets, results;
    for (size_t i = 0, k = 0; i < dys.size(); ++i)
      if (dys[i]) all[i] = ds[k++];
    for (size_t i = 0; i < captures.size(); ++i)
      if (needs[i + 1]) targets.push_back(inputs[i]);
    results = gradients(outputs, all, targets);
    for (size_t i = 0; i < results.size(); ++i)
      if (!results[i]) results[i] = zeros_like(targets[i]);
    gradients_of.push_back(b.finish(std::move(results)));
  }
  const Node made = apply(Branch{gradients_of}, std::move(operands));
  Nodes dxs{Node()};
  for (size_t i = 0, k = 0; i < captures.size(); ++i)
    dxs.push_back(needs[i + 1] ? made.output(static_cast<int>(k++)) : Node());
  return dxs;
}

// Bodies end up in kernels. What a branch makes of weights alone (packed panels) is made outside, where it is prepared
// once; all else waits until the branch is taken.
Nodes Branch::lower(const Node& y) const {
  if (lowered) return {};
  std::vector<Graph> graphs;
  for (const Body& body : bodies) graphs.push_back(passes::simplify(*body.graph));
  Nodes captures(y->inputs.begin() + 1, y->inputs.end());
  const std::vector<size_t> fixed(graphs.size(), 0);
  hoist(
      graphs, fixed, captures,
      [](const Node& capture) {
        const NodeData* base = capture.data();
        while (base->op && base->op->is_view()) base = base->inputs[0].data();
        return base->leaf != Leaf::state && base->leaf != Leaf::constant;
      },
      [](const NodeData& node) {
        if (node.inputs.empty() || node.op->elementwise_fn() >= 0 || node.op->control()) return false;
        for (const Node& in : node.inputs)
          if (!is_floating(in.dtype())) return false;
        return true;
      });
  drop_unread(graphs, fixed, captures);
  Branch made{share(std::move(graphs))};
  made.lowered = true;
  Nodes inputs{y.input(0)};
  inputs.insert(inputs.end(), captures.begin(), captures.end());
  const Node node = apply(std::move(made), std::move(inputs));
  Nodes outputs;
  for (int i = 0; i < visible_outputs(); ++i) outputs.push_back(node.output(i));
  return outputs;
}

}  // namespace maas
