#include "ops/transform/transform.h"

#include <unordered_map>
#include <unordered_set>

#include "graph/graph.h"
#include "graph/op_model.h"
#include "graph/rebuild.h"
#include "ops/build.h"

namespace maas {
namespace {

Specs first_specs(const Inputs& in, int count) {
  Specs out;
  for (int i = 0; i < count; ++i)
    out.push_back({in[static_cast<size_t>(i)].dtype, in[static_cast<size_t>(i)].shape, {}});
  return out;
}

Nodes part(const Node& y, int begin, int end) {
  const auto first = y->inputs.begin();
  return {first + begin, first + end};
}

// Where a walk up from results ends, and what stands there instead.
class Replaced {
 public:
  void put(const Node& old, const Node& fresh) {
    Nodes& slots = of_[old.data()];
    slots.resize(old->outputs.size());
    slots[static_cast<size_t>(old.index())] = fresh;
  }
  // The roots computed anew from the replaced values. Nodes that depend on none of them stay what they are.
  Nodes rebuild(const Nodes& roots) const {
    return maas::rebuild(roots, [&](const Node& n) {
      const auto it = of_.find(n.data());
      return it == of_.end() ? Node() : it->second[static_cast<size_t>(n.index())];
    });
  }

 private:
  std::unordered_map<const NodeData*, Nodes> of_;
};

Node barrier(const Node& x, const Nodes& after) {
  Nodes inputs{x};
  inputs.insert(inputs.end(), after.begin(), after.end());
  return apply(Barrier{}, std::move(inputs));
}

}  // namespace

Nodes boundary(const Nodes& roots, int64_t start) {
  Nodes found;
  std::unordered_set<const NodeData*> seen;
  std::vector<Node> stack(roots.rbegin(), roots.rend());
  while (!stack.empty()) {
    const Node n = stack.back();
    stack.pop_back();
    if (n->leaf == Leaf::constant) continue;
    if (!n->op || n->id < start) {
      if (std::find(found.begin(), found.end(), n) == found.end()) found.push_back(n);
      continue;
    }
    if (!seen.insert(n.data()).second) continue;
    for (auto in = n->inputs.rbegin(); in != n->inputs.rend(); ++in) stack.push_back(*in);
  }
  return found;
}

// ---- barrier

MAAS_DEFINE_OP(barrier, Barrier)

Specs Barrier::infer(const Inputs& in) const {
  check(!in.empty(), "barrier: at least one operand is needed, received 0");
  return {in[0]};
}

bool Barrier::view(const Specs&, const Spec&, const Layout& input, Layout& output) const {
  output = input;
  return true;
}

Nodes Barrier::lower(const Node& y) const { return y->inputs.size() == 1 ? Nodes{y.input(0)} : Nodes{}; }

Nodes Barrier::gradient(const Node&, const Nodes& dys, const Needs&) const { return {dys[0]}; }

// ---- assigned

MAAS_DEFINE_OP(assigned, Assigned)

Specs Assigned::infer(const Inputs& in) const {
  check(in.size() == 2, "assigned: a value and the one before are needed, received ", in.size(), " operands");
  check(in[0].dtype == in[1].dtype, "assigned: one dtype is needed, received ", in[0].dtype, " and ", in[1].dtype);
  return {in[0]};
}

Nodes Assigned::gradient(const Node&, const Nodes& dys, const Needs&) const { return {Node(), dys[0]}; }

// ---- remat

MAAS_DEFINE_OP(remat, Remat)

Specs Remat::infer(const Inputs& in) const {
  check(outputs >= 1 && static_cast<size_t>(outputs) <= in.size(), "remat: ", outputs, " results are needed, received ",
        in.size(), " operands");
  return first_specs(in, outputs);
}

Nodes Remat::lower(const Node& y) const { return part(y, 0, outputs); }

Nodes Remat::gradient(const Node& y, const Nodes& dys, const Needs& needs) const {
  const Nodes results = part(y, 0, outputs), from = part(y, outputs, static_cast<int>(y->inputs.size()));
  // Nothing is computed again before the gradient has arrived. What depends on weights alone is shared with the
  // forward pass.
  Nodes arrived;
  for (const Node& dy : dys)
    if (dy) arrived.push_back(dy);
  Replaced again;
  Nodes values, targets;
  for (size_t i = 0; i < from.size(); ++i) {
    const bool weight = from[i]->leaf == Leaf::state && is_floating(from[i].dtype());
    values.push_back(barrier(from[i], weight ? Nodes{} : arrived));
    again.put(from[i], values.back());
    if (needs[i + static_cast<size_t>(outputs)]) targets.push_back(values.back());
  }
  const Nodes recomputed = again.rebuild(results);
  const Nodes gradient = gradients(recomputed, dys, targets);
  // Gradients leave together: else those of weights would wait for the end of the backward pass, and keep what was
  // computed again alive till then.
  Nodes all;
  for (const Node& g : gradient)
    if (g) all.push_back(g);
  Nodes dxs(y->inputs.size());
  for (size_t i = 0, j = 0; i < from.size(); ++i) {
    if (!needs[i + static_cast<size_t>(outputs)]) continue;
    const Node& g = gradient[j++];
    if (g) dxs[i + static_cast<size_t>(outputs)] = barrier(g, all);
  }
  return dxs;
}

// ---- custom gradient

MAAS_DEFINE_OP(cotangent, Cotangent)
MAAS_DEFINE_OP(custom_gradient, CustomGradient)

Specs Cotangent::infer(const Inputs& in) const {
  check(in.size() == 1, "cotangent: one operand is needed, received ", in.size());
  return {Spec{in[0].dtype, in[0].shape, {}}};
}

Specs CustomGradient::infer(const Inputs& in) const {
  check(outputs >= 1 && operands >= 0 && in.size() == 2 * static_cast<size_t>(outputs + operands),
        "custom_gradient: ", 2 * (outputs + operands), " operands are needed, received ", in.size());
  for (int i = 0; i < operands; ++i) {
    const Spec& x = in[static_cast<size_t>(outputs + i)];
    const Spec& dx = in[static_cast<size_t>(2 * outputs + operands + i)];
    check(x.shape == dx.shape && x.dtype == dx.dtype, "custom_gradient: the gradient of operand ", i, " must be ",
          x.dtype, to_string(x.shape), ", received ", dx.dtype, to_string(dx.shape));
  }
  return first_specs(in, outputs);
}

Nodes CustomGradient::lower(const Node& y) const { return part(y, 0, outputs); }

Nodes CustomGradient::gradient(const Node& y, const Nodes& dys, const Needs& needs) const {
  const int cotangents = outputs + operands, dx = cotangents + outputs;
  Replaced arrived;
  for (int i = 0; i < outputs; ++i) {
    const size_t k = static_cast<size_t>(i);
    arrived.put(y.input(cotangents + i), dys[k] ? dys[k] : zeros_like(y.input(i)));
  }
  Nodes wanted;
  for (int i = 0; i < operands; ++i)
    if (needs[static_cast<size_t>(outputs + i)]) wanted.push_back(y.input(dx + i));
  const Nodes given = arrived.rebuild(wanted);
  Nodes dxs(y->inputs.size());
  for (int i = 0, j = 0; i < operands; ++i)
    if (needs[static_cast<size_t>(outputs + i)])
      dxs[static_cast<size_t>(outputs + i)] = given[static_cast<size_t>(j++)];
  return dxs;
}

}  // namespace maas
