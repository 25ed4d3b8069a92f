#include <algorithm>
#include <map>

#include "core/error.h"
#include "runtime/plan_parts.h"

namespace maas {
namespace {

void lifetimes(Plan& plan) {
  auto use = [&](int v, int step) {
    if (v < 0) return;
    PlanValue& o = plan.values[static_cast<size_t>(plan.values[static_cast<size_t>(v)].root)];
    if (o.first < 0) o.first = step;
    o.last = std::max(o.last, step);
  };
  for (size_t s = 0; s < plan.steps.size(); ++s) {
    for (int v : plan.steps[s].in) use(v, static_cast<int>(s));
    for (int v : plan.steps[s].out) use(v, static_cast<int>(s));
  }
  for (const CommitCopy& c : plan.copies) use(c.value, static_cast<int>(plan.steps.size()));
  for (const PlanStep& step : plan.prepare)
    for (int v : step.in) {
      const auto& variable = plan.values[static_cast<size_t>(v)].variable;
      auto& from = plan.prepared_from;
      if (variable && std::find(from.begin(), from.end(), variable) == from.end()) from.push_back(variable);
    }
}

void collect_symbols(Plan& plan) {
  for (int v : plan.inputs)
    for (const Dim& d : plan.values[static_cast<size_t>(v)].spec.shape) d.collect_symbols(plan.symbols);
}

// Every different unknown size once.
void number_sizes(Plan& plan) {
  std::map<std::string, int> known;
  auto number = [&](const Dim& d) {
    if (d.is_constant()) return -1;
    const auto [it, fresh] = known.try_emplace(d.str(), static_cast<int>(plan.sizes.size()));
    if (fresh) plan.sizes.push_back(d);
    return it->second;
  };
  for (PlanValue& v : plan.values) {
    for (const Dim& d : v.spec.shape) v.size_ids.push_back(number(d));
    for (const Dim& d : v.layout.strides) v.size_ids.push_back(number(d));
    v.size_ids.push_back(number(v.layout.offset));
    v.size_ids.push_back(number(v.bytes));
  }
}

}  // namespace

void complete(Plan& plan) {
  lifetimes(plan);
  collect_symbols(plan);
  number_sizes(plan);
}

std::shared_ptr<const Plan> Plan::outline(const Graph& graph, const std::string& name,
                                          const std::vector<const Plan*>& parts) {
  auto plan = std::make_shared<Plan>();
  plan->name = name;
  plan->device = target();
  plan->isa = active_isa();
  auto add = [&](const Node& n, Place place, size_t slot) {
    PlanValue v;
    v.spec = n.spec();
    v.layout = row_major(v.spec.shape);
    v.place = place;
    v.root = static_cast<int>(plan->values.size());
    v.slot = static_cast<int>(slot);
    plan->values.push_back(std::move(v));
    return plan->values.back().root;
  };
  for (const Node& n : graph.inputs) {
    plan->inputs.push_back(add(n, Place::input, plan->inputs.size()));
    plan->input_names.push_back(n->name);
    for (const Dim& d : n.shape()) d.collect_symbols(plan->symbols);
  }
  for (const Node& n : graph.outputs) plan->outputs.push_back(add(n, Place::output, plan->outputs.size()));
  for (const Plan* part : parts) {
    for (const VariablePtr& v : part->reads)
      if (std::find(plan->reads.begin(), plan->reads.end(), v) == plan->reads.end()) plan->reads.push_back(v);
    plan->writes.insert(plan->writes.end(), part->writes.begin(), part->writes.end());
  }
  return plan;
}

std::string Plan::str() const {
  std::string s;
  auto describe = [&](const std::vector<PlanStep>& list, const char* kind) {
    for (size_t i = 0; i < list.size(); ++i) {
      const PlanStep& step = list[i];
      s += text(kind, " ", i, ": ", step.op->name(), " ", step.kernel_name(), " ->");
      for (int v : step.out)
        if (v >= 0)
          s += text(" ", values[static_cast<size_t>(v)].spec.dtype,
                    to_string(values[static_cast<size_t>(v)].spec.shape));
      s += "\n";
      for (const auto& body : step.bodies) s += "{\n" + body->str() + "}\n";
    }
  };
  describe(prepare, "prepare");
  describe(steps, "step");
  return s + text("commit before step ", commit, ", ", copies.size(), " copied updates\n");
}

}  // namespace maas
