#include <algorithm>
#include <unordered_set>

#include "core/device.h"
#include "core/error.h"
#include "graph/op.h"
#include "graph/passes/passes.h"
#include "graph/primitives.h"

namespace maas::passes {
namespace {

bool is_elementwise(const Node& n) { return n->op && n->op->elementwise_fn() >= 0; }

// Chains compute in float32, or on the CPU all of them in float64; bool operands are read and written as bytes. On the
// CPU 16-bit floats are rounded where a chain stores them or a cast names them. On a GPU a chain of one 16-bit type is
// rounded once, at its end; casts stay outside, so that they round.
bool chain_type(DType t) {
  const bool half = t == DType::bf16 || t == DType::f16;
  return t == DType::f32 || t == DType::b8 || (half && target().is_cpu());
}
// What a chain may hold, one bit a rule: some rule fits all its members. Bools alone fit several, and a bool that came
// of float64 must not bring it into a chain that rounds every step to float32.
unsigned chain_rules(const Node& n) {
  if (!is_elementwise(n)) return 0;
  auto all = [&](auto fits) {
    return fits(n.dtype()) &&
           std::all_of(n->inputs.begin(), n->inputs.end(), [&](const Node& in) { return fits(in.dtype()); });
  };
  auto only = [&](DType one) { return all([one](DType t) { return t == one || t == DType::b8; }); };
  const unsigned rules = all(chain_type) ? 1 : 0;
  if (target().is_cpu()) return rules | (n->op->elementwise_in_f64() && only(DType::f64) ? 2 : 0);
  return rules | (only(DType::bf16) ? 2 : 0) | (only(DType::f16) ? 4 : 0);
}
bool fusable(const Node& n) { return chain_rules(n) != 0; }

struct Group {
  std::vector<Node> members;  // root last in execution order
  Nodes inputs;               // what the members read from outside, each once
};

constexpr size_t kMaxInputs = 8;

// Grows a group upwards from its root: an elementwise operand joins if only members use it, it has the root's shape and
// computes like the others.
Group grow(const Node& root, const Users& users, const std::unordered_map<const NodeData*, int>& rank) {
  Group g;
  std::unordered_set<const NodeData*> in_group{root.data()};
  std::vector<Node> members{root};
  auto outside = [&] {
    Nodes inputs;
    for (const Node& m : members)
      for (const Node& in : m->inputs)
        if (!in_group.count(in.data()) && std::find(inputs.begin(), inputs.end(), in) == inputs.end())
          inputs.push_back(in);
    return inputs;
  };
  unsigned rules = chain_rules(root);
  bool grown = enabled() && rules;
  while (grown && members.size() < Chain::max_steps) {
    grown = false;
    for (const Node& candidate : outside()) {
      if (!(rules & chain_rules(candidate)) || candidate.shape() != root.shape() || users.is_root(candidate)) continue;
      int uses = 0;
      for (const Node& m : members) uses += static_cast<int>(std::count(m->inputs.begin(), m->inputs.end(), candidate));
      if (uses != users.count(candidate)) continue;
      members.push_back(candidate);
      in_group.insert(candidate.data());
      if (outside().size() > kMaxInputs) {
        members.pop_back();
        in_group.erase(candidate.data());
        continue;
      }
      rules &= chain_rules(candidate);
      grown = true;
      break;
    }
  }
  std::sort(members.begin(), members.end(),
            [&](const Node& a, const Node& b) { return rank.at(a.data()) < rank.at(b.data()); });
  g.inputs = outside();
  g.members = std::move(members);
  std::sort(g.inputs.begin(), g.inputs.end(), [&](const Node& a, const Node& b) {
    return std::pair(rank.at(a.data()), a.index()) < std::pair(rank.at(b.data()), b.index());
  });
  return g;
}

Chain make_chain(const Group& g, const Nodes& inputs) {
  Chain chain;
  chain.inputs = static_cast<int>(inputs.size());
  std::unordered_map<const NodeData*, int> step_value;
  for (const Node& m : g.members) {
    ChainStep step{static_cast<int16_t>(m->op->elementwise_fn()), {-1, -1, -1}};
    for (size_t i = 0; i < m->inputs.size(); ++i) {
      auto it = step_value.find(m->inputs[i].data());
      const auto position = std::find(inputs.begin(), inputs.end(), m->inputs[i]) - inputs.begin();
      step.arg[i] = static_cast<int16_t>(it != step_value.end() ? it->second : position);
    }
    step_value[m.data()] = chain.inputs + static_cast<int>(chain.steps.size());
    chain.steps.push_back(step);
  }
  return chain;
}

}  // namespace

Graph fuse(const Graph& graph) {
  const Users users(graph);
  const auto order = topological_order(graph.roots());
  std::unordered_map<const NodeData*, int> rank;
  for (const auto& n : order) rank.emplace(n.get(), static_cast<int>(rank.size()));

  // Decide groups from the last node back, so that a root takes in as much as it can.
  std::unordered_map<const NodeData*, Group> groups;
  std::unordered_set<const NodeData*> absorbed;
  for (auto it = order.rbegin(); it != order.rend(); ++it) {
    const Node node(*it, 0);
    if (!is_elementwise(node) || absorbed.count(node.data())) continue;
    Group g = grow(node, users, rank);
    for (const Node& m : g.members) absorbed.insert(m.data());
    groups.emplace(node.data(), std::move(g));
  }

  std::unordered_map<const NodeData*, Nodes> renewed;
  return rewrite(graph, [&](const Node& old, const Nodes& inputs) -> Nodes {
    auto keep = [&](Nodes outputs) {
      renewed[old.data()] = outputs;
      return outputs;
    };
    auto found = groups.find(old.data());
    if (found == groups.end()) {
      if (is_elementwise(old)) return keep({old});  // absorbed: nobody will read it
      bool same = true;
      for (size_t i = 0; i < inputs.size(); ++i) same = same && inputs[i] == old->inputs[i];
      const Node fresh = same ? old : apply(old->op, inputs);
      Nodes outputs;
      for (size_t i = 0; i < old->outputs.size(); ++i) outputs.push_back(fresh.output(static_cast<int>(i)));
      return keep(std::move(outputs));
    }
    const Group& g = found->second;
    auto renew = [&](const Node& n) {
      auto r = renewed.find(n.data());
      return r == renewed.end() ? n : r->second[static_cast<size_t>(n.index())];
    };
    // The producer of an operand may take the chain as its epilogue.
    if (enabled() && fusable(old) && old.dtype() != DType::f64) {
      for (const Node& operand : g.inputs) {
        int uses = 0;
        for (const Node& m : g.members)
          uses += static_cast<int>(std::count(m->inputs.begin(), m->inputs.end(), operand));
        if (!operand->op || operand.index() != 0 || users.count(operand) != uses || users.is_root(operand) ||
            operand.shape() != old.shape() || operand.dtype() != old.dtype())
          continue;
        const Node producer = renew(operand);
        if (!producer->op) continue;
        Nodes ordered{operand}, extra;
        for (const Node& in : g.inputs)
          if (!(in == operand)) {
            ordered.push_back(in);
            extra.push_back(renew(in));
          }
        Specs in_specs, extra_specs;
        for (const Node& n : producer->inputs) in_specs.push_back(n.spec());
        for (const Node& n : extra) extra_specs.push_back(n.spec());
        OpPtr fused = producer->op->with_epilogue(make_chain(g, ordered), in_specs, extra_specs, producer.spec());
        if (!fused) continue;
        Nodes all = producer->inputs;
        all.insert(all.end(), extra.begin(), extra.end());
        return keep({apply(std::move(fused), std::move(all))});
      }
    }
    Nodes chain_inputs;
    for (const Node& in : g.inputs) chain_inputs.push_back(renew(in));
    return keep({chain(make_chain(g, g.inputs), std::move(chain_inputs), old.dtype())});
  });
}

}  // namespace maas::passes
