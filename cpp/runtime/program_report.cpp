// What tests, profiles and benchmarks ask of a Program.
#include <chrono>

#include "core/error.h"
#include "runtime/program_parts.h"

namespace maas {

std::pair<size_t, size_t> Program::kept() {
  std::lock_guard guard(mutex_);
  return {memory_plans_.size(), idle_.size()};
}

std::vector<double> Program::binding_ns(const std::vector<std::vector<Array>>& calls) {
  using Clock = std::chrono::steady_clock;
  std::vector<double> ns;
  std::vector<Array> outputs;
  for (const auto& inputs : calls) {
    const auto start = Clock::now();
    MemoryClaim claim;
    auto context = take(bind_symbols(inputs), claim);
    bind(*context, inputs, claim, outputs);
    ns.push_back(std::chrono::duration<double, std::nano>(Clock::now() - start).count());
    give(std::move(context));
  }
  return ns;
}

std::vector<StepCost> Program::costs(const std::vector<Array>& inputs) {
  if (!parts_.empty()) return {};
  MemoryClaim claim;
  auto context = take(bind_symbols(inputs), claim);
  std::vector<Array> outputs;
  if (plan_->device.is_cpu())
    bind(*context, inputs, claim, outputs);
  else
    run_gpu(*context, inputs, {}, claim, outputs);
  std::vector<StepCost> costs;
  for (const Context::Step& step : context->steps()) {
    StepCost cost;
    cost.flops = step.plan->host ? -1 : step.plan->op->flops(step.args);
    cost.team = step.team;
    for (const auto* list : {&step.plan->in, &step.plan->out})
      for (int v : *list)
        if (v >= 0) cost.bytes += static_cast<int64_t>(context->bytes_of(v));
    if (!step.plan->out.empty() && step.plan->out[0] >= 0) cost.shape = context->shape_of(step.plan->out[0]);
    costs.push_back(std::move(cost));
  }
  give(std::move(context));
  return costs;
}

MemoryReport Program::memory_report(const std::vector<Array>& inputs) {
  if (!parts_.empty())
    fail(ErrorKind::not_implemented, plan_->name,
         ": only a run knows the memory of shapes that depend on values, received a program of ", parts_.size(),
         " segments");
  const SymbolValues symbols = bind_symbols(inputs);
  std::shared_ptr<const MemoryPlan> memory;
  {
    std::lock_guard guard(mutex_);
    memory = memory_for(round_up(symbols));
  }
  return report_memory(*plan_, *memory);
}

}  // namespace maas
