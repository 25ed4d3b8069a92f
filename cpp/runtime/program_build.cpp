// How a Program comes to its plan and prepared weights, and comes to them again when its state moves.
#include <algorithm>

#include "core/error.h"
#include "core/interrupt.h"
#include "runtime/program_parts.h"

namespace maas {
namespace {

std::vector<VariablePtr> state_of(const Graph& graph) {
  std::vector<VariablePtr> state;
  for (const auto& node : topological_order(graph.roots()))
    if (node->leaf == Leaf::state) state.push_back(node->variable);
  for (const Update& u : graph.updates) state.push_back(u.variable);
  return state;
}

Device device_of(const std::vector<VariablePtr>& state) {
  for (const auto& v : state)
    if (!v->device().is_cpu()) return v->device();
  return state.empty() ? current_device() : Device{};
}

}  // namespace

void Program::build() {
  const std::vector<VariablePtr> state = state_of(graph_);
  const Device device = device_of(state);
  for (const auto& v : state) v->move_to(device);
  moves_.store(Variable::moves(), std::memory_order_relaxed);
  const TargetScope scope(device);
  const NumericsScope numerics(numerics_);
  const DeviceScope home(device);
  parts_.clear();
  for (Segment& s : segments_.list) parts_.push_back(std::make_unique<Program>(s.graph, name_));
  if (!parts_.empty()) {
    std::vector<const Plan*> plans;
    for (const auto& part : parts_) plans.push_back(part->plan_.get());
    plan_ = Plan::outline(graph_, name_, plans);
    return;
  }
  plan_ = Plan::build(graph_, name_);
  for (const PlanValue& v : plan_->values)
    if (v.place == Place::prepared && v.slot >= static_cast<int>(prepared_.size()))
      prepared_.resize(static_cast<size_t>(v.slot) + 1);
  const SymbolValues none;
  size_t bytes = 0;
  for (int allocate = 0; allocate < 2; ++allocate) {
    for (size_t i = 0; i < plan_->values.size(); ++i) {
      const PlanValue& v = plan_->values[i];
      if (v.place != Place::prepared || v.root != static_cast<int>(i)) continue;
      if (allocate)
        prepared_[static_cast<size_t>(v.slot)] = Array(v.spec.dtype, eval(v.spec.shape, none), device);
      else
        bytes += static_cast<size_t>(v.bytes.eval(none));
    }
    if (!allocate && bytes && device.is_cpu())
      prepared_claim_.add(bytes, text("Prepared weights of plan '", plan_->name, "'"));
  }
  std::lock_guard guard(mutex_);
  hold(static_cast<int64_t>(bytes) - held_bytes_);
}

// State moved: the plan is made again where it is now. All state is held, so nobody else runs this program.
void Program::relocate(const RunOptions& options) {
  const int64_t moves = Variable::moves();
  const std::vector<VariablePtr> state = state_of(graph_);
  const auto here = [&] {
    return std::all_of(state.begin(), state.end(), [&](const auto& v) { return v->device() == plan_->device; });
  };
  if (here()) {
    moves_.store(moves, std::memory_order_relaxed);
    return;
  }
  const Device device = device_of(state);
  for (const auto& v : state) v->move_to(device);
  const auto lock = state_lock(true);
  if (!lock->lock(options.poll)) {
    clear_interrupt();
    fail(ErrorKind::interrupted, "interrupted while another run held the state; no state was written");
  }
  const HeldState held{*lock, true};
  if (here()) return;  // another thread did it
  std::lock_guard preparing(prepare_mutex_);
  {
    std::lock_guard guard(mutex_);
    idle_.clear();
    memory_plans_.clear();
  }
  prepare_context_.reset();
  prepared_.clear();
  was_prepared_ = false;
  prepared_epoch_.store(-1, std::memory_order_relaxed);
  old_plans_.push_back(plan_);
  build();
}

bool Program::prepared_is_fresh() const {
  if (!was_prepared_) return false;
  for (size_t i = 0; i < prepared_versions_.size(); ++i)
    if (prepared_versions_[i] != plan_->prepared_from[i]->version()) return false;
  return true;
}

// Weights changed since they were prepared. The state lock is held (shared is enough: only prepared buffers are
// written, and prepare_mutex_ keeps other preparers out; runs that read them wait for the epoch).
void Program::prepare(const RunOptions& options) {
  std::lock_guard guard(prepare_mutex_);
  const int64_t epoch = Variable::epoch();
  if (!prepared_is_fresh()) {
    if (!prepare_context_) {
      auto none = std::make_shared<MemoryPlan>();
      none->value_offset.resize(plan_->values.size());
      none->value_bytes.resize(plan_->values.size());
      none->workspace_offset.resize(plan_->prepare.size());
      none->workspace_bytes.resize(plan_->prepare.size());
      none->control.resize(plan_->prepare.size());
      size_t end = 0;
      for (size_t s = 0; s < plan_->prepare.size(); ++s)
        for (const Dim& d : plan_->prepare[s].workspace) {
          const auto bytes = (static_cast<size_t>(d.constant()) + 63) / 64 * 64;
          none->workspace_offset[s].push_back(end);
          none->workspace_bytes[s].push_back(bytes);
          end += bytes;
        }
      none->arena_bytes = end;
      if (plan_->device.is_cpu()) prepared_claim_.add(end, text("Preparing weights of plan '", plan_->name, "'"));
      prepare_context_ = std::make_unique<Context>(plan_, plan_->prepare, none, prepared_);
    }
    prepare_context_->bind_sizes(SymbolValues{});
    prepare_context_->bind_steps(prepared_claim_);
    was_prepared_ = false;  // until all of it is done
    RunOptions preparing;
    preparing.poll = options.poll;
    execute(*prepare_context_, plan_->prepare.size(), preparing);
    prepared_claim_.release();
    prepared_versions_.clear();
    for (const auto& v : plan_->prepared_from) prepared_versions_.push_back(v->version());
    was_prepared_ = true;
  }
  prepared_epoch_.store(epoch, std::memory_order_release);
}

}  // namespace maas
