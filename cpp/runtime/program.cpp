#include "runtime/program.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstring>
#include <new>

#include "core/error.h"
#include "core/fork.h"
#include "core/interrupt.h"

namespace maas {

// All programs, so that a fork can hold their locks and a child can forget what other threads were doing.
struct LivePrograms {
  std::mutex mutex;
  Program* first = nullptr;

  static LivePrograms& instance() {
    static LivePrograms* const live = [] {
      at_fork(ForkOrder::programs, {prepare, [] { after(false); }, [] { after(true); }});
      return new LivePrograms;  // never destroyed: statics may hold programs to the end
    }();
    return *live;
  }
  void add(Program* p) {
    std::lock_guard guard(mutex);
    p->next_live_ = first;
    if (first) first->previous_live_ = p;
    first = p;
  }
  void remove(Program* p) {
    std::lock_guard guard(mutex);
    (p->previous_live_ ? p->previous_live_->next_live_ : first) = p->next_live_;
    if (p->next_live_) p->next_live_->previous_live_ = p->previous_live_;
  }
  static void prepare() {
    instance().mutex.lock();
    for (Program* p = instance().first; p; p = p->next_live_) p->mutex_.lock();
  }
  static void after(bool child) {
    for (Program* p = instance().first; p; p = p->next_live_) {
      if (child) forget_others(*p);
      p->mutex_.unlock();
    }
    instance().mutex.unlock();
  }
  // Another thread may have been preparing: what it was binding is left alone.
  static void forget_others(Program& p) {
    if (p.prepare_mutex_.try_lock()) return p.prepare_mutex_.unlock();
    new (&p.prepare_mutex_) std::mutex;
    (void)p.prepare_context_.release();
    p.was_prepared_ = false;
    p.prepared_epoch_.store(-1, std::memory_order_relaxed);
  }
};

namespace {

// Contexts are made for sizes rounded up to a power of two, so that few serve all batches.
SymbolValues round_up(const SymbolValues& symbols) {
  SymbolValues capacity;
  for (const auto& [id, value] : symbols.items())
    capacity.set(id, static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(std::max<int64_t>(value, 1)))));
  return capacity;
}

struct HeldState {
  StateLock& lock;
  bool alone;
  ~HeldState() { alone ? lock.unlock() : lock.unlock_shared(); }
};

constexpr size_t kIdleContexts = 8;
constexpr size_t kMemoryPlans = 64;
constexpr size_t kClaimOutputs = size_t{64} << 20;  // smaller ones come from free lists that were used before

std::string shape_text(const std::vector<int64_t>& shape) { return to_string(to_shape(shape)); }

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

Program::Program(const Graph& graph, std::string name)
    : graph_(graph), name_(std::move(name)), segments_(split(graph)) {
  build();
  LivePrograms::instance().add(this);
}

void Program::build() {
  const std::vector<VariablePtr> state = state_of(graph_);
  const Device device = device_of(state);
  for (const auto& v : state) v->move_to(device);
  moves_.store(Variable::moves(), std::memory_order_relaxed);
  const TargetScope scope(device);
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

Program::~Program() {
  LivePrograms::instance().remove(this);
  if (held_total_) held_total_->fetch_sub(held_bytes_, std::memory_order_relaxed);
}

void Program::count_in(std::atomic<int64_t>& total) {
  for (const auto& part : parts_) part->count_in(total);
  std::lock_guard guard(mutex_);
  held_total_ = &total;
  total.fetch_add(held_bytes_, std::memory_order_relaxed);
}

int64_t Program::held_bytes() {
  int64_t bytes = 0;
  for (const auto& part : parts_) bytes += part->held_bytes();
  std::lock_guard guard(mutex_);
  return bytes + held_bytes_;
}

// mutex_ is held.
void Program::hold(int64_t bytes) {
  held_bytes_ += bytes;
  if (held_total_) held_total_->fetch_add(bytes, std::memory_order_relaxed);
}

SymbolValues Program::bind_symbols(const std::vector<Array>& inputs) const {
  check(inputs.size() == plan_->inputs.size(), plan_->name, ": ", plan_->inputs.size(), " inputs are needed, received ",
        inputs.size());
  SymbolValues symbols;
  auto spec = [&](size_t i) -> const Spec& { return plan_->values[static_cast<size_t>(plan_->inputs[i])].spec; };
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Shape& shape = spec(i).shape;
    const auto& sizes = inputs[i].shape;
    if (inputs[i].dtype != spec(i).dtype)
      fail(ErrorKind::type, plan_->name, ": input '", plan_->input_names[i], "' must be ", spec(i).dtype, ", received ",
           inputs[i].dtype);
    check(sizes.size() == shape.size(), plan_->name, ": input '", plan_->input_names[i], "' must have shape ",
          to_string(shape), ", received ", shape_text(sizes));
    for (size_t a = 0; a < sizes.size(); ++a)
      if (const int64_t* symbol = shape[a].as_symbol(); symbol && !symbols.find(*symbol))
        symbols.set(*symbol, sizes[a]);
  }
  for (size_t i = 0; i < inputs.size(); ++i)
    for (size_t a = 0; a < inputs[i].shape.size(); ++a) {
      const int64_t expected = spec(i).shape[a].eval(symbols);
      check(inputs[i].shape[a] == expected, plan_->name, ": axis ", a, " of input '", plan_->input_names[i],
            "' must be ", expected, " (shape ", to_string(spec(i).shape), "), received ", shape_text(inputs[i].shape));
    }
  for (const Guard& g : plan_->guards) {
    const int64_t a = g.a.eval(symbols), b = g.b.eval(symbols);
    check(a == b, plan_->name, ": ", g.text, ", received ", a, " and ", b);
  }
  return symbols;
}

std::shared_ptr<const MemoryPlan> Program::memory_for(const SymbolValues& capacity) {
  for (const auto& m : memory_plans_)
    if (m->capacity == capacity) return m;
  if (memory_plans_.size() >= kMemoryPlans) memory_plans_.erase(memory_plans_.begin());
  memory_plans_.push_back(std::make_shared<const MemoryPlan>(plan_memory(*plan_, capacity)));
  return memory_plans_.back();
}

// A new context, its arena and the run's outputs claimed before anything is allocated; null if the sizes do not fit.
std::unique_ptr<Context> Program::make(std::shared_ptr<const MemoryPlan> memory, const SymbolValues& symbols,
                                       MemoryClaim& claim) {
  size_t bytes = memory->arena_bytes;
  for (int v : plan_->outputs) bytes += static_cast<size_t>(plan_->values[static_cast<size_t>(v)].bytes.eval(symbols));
  if (plan_->device.is_cpu()) claim.add(bytes, text("Plan '", plan_->name, "'"));
  auto context = std::make_unique<Context>(plan_, plan_->steps, std::move(memory), prepared_);
  if (context->bind_sizes(symbols)) return context;
  context.reset();
  claim.release();
  return nullptr;
}

std::unique_ptr<Context> Program::take(const SymbolValues& symbols, MemoryClaim& claim) {
  const SymbolValues capacity = round_up(symbols);
  std::shared_ptr<const MemoryPlan> memory;
  {
    std::lock_guard guard(mutex_);
    // The last one given back fits best: same sizes first, then same capacity.
    for (int exact = 1; exact >= 0; --exact)
      for (size_t i = idle_.size(); i-- > 0;)
        if (exact ? idle_[i]->symbols() == symbols : idle_[i]->memory().capacity == capacity) {
          auto context = std::move(idle_[i]);
          idle_.erase(idle_.begin() + static_cast<std::ptrdiff_t>(i));
          hold(-static_cast<int64_t>(context->held_bytes()));
          if (context->bind_sizes(symbols)) return context;
        }
    memory = memory_for(capacity);
  }
  if (auto context = make(memory, symbols, claim)) return context;
  auto context = make(std::make_shared<const MemoryPlan>(plan_memory(*plan_, symbols)), symbols, claim);
  if (!context) fail(ErrorKind::runtime, plan_->name, ": sizes do not fit their own plan");
  return context;
}

void Program::give(std::unique_ptr<Context> context) {
  std::unique_ptr<Context> dropped;  // freed after the lock
  std::lock_guard guard(mutex_);
  if (idle_.size() >= kIdleContexts) {
    dropped = std::move(idle_.front());
    idle_.erase(idle_.begin());
    hold(-static_cast<int64_t>(dropped->held_bytes()));
  }
  hold(static_cast<int64_t>(context->held_bytes()));
  idle_.push_back(std::move(context));
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

// The lock that all state of this program shares, made one if other programs made it several. Waits for their runs, so
// never under mutex_, which runs need to end.
std::shared_ptr<StateLock> Program::state_lock(bool wait) {
  {
    std::lock_guard guard(mutex_);
    if (state_lock_ && (plan_->reads.empty() || merges_ == Variable::merges())) return state_lock_;
  }
  if (!wait) return nullptr;
  const int64_t merges = Variable::merges();
  auto lock = plan_->reads.empty() ? std::make_shared<StateLock>() : Variable::share_lock(plan_->reads);
  std::lock_guard guard(mutex_);
  merges_ = merges;
  return state_lock_ = std::move(lock);
}

std::vector<Array> Program::run(const std::vector<Array>& inputs, const RunOptions& options) {
  std::vector<Array> outputs;
  while (!run_locked(inputs, options, true, outputs)) {
  }
  return outputs;
}

bool Program::try_run(const std::vector<Array>& inputs, const RunOptions& options, std::vector<Array>& outputs) {
  return run_locked(inputs, options, false, outputs);
}

bool Program::run_locked(const std::vector<Array>& inputs, const RunOptions& options, bool wait,
                         std::vector<Array>& outputs) {
  if (moves_.load(std::memory_order_relaxed) != Variable::moves()) {
    if (!wait) return false;
    relocate(options);
  }
  const SymbolValues symbols = bind_symbols(inputs);
  const auto lock = state_lock(wait);
  if (!lock) return false;
  const bool writes = !plan_->writes.empty();
  if (!wait) {
    if (!(writes ? lock->try_lock() : lock->try_lock_shared())) return false;
  } else if (!(writes ? lock->lock(options.poll) : lock->lock_shared(options.poll))) {
    clear_interrupt();
    fail(ErrorKind::interrupted, "interrupted while another run held the state; no state was written");
  }
  const HeldState held{*lock, writes};
  if (lock->replaced_by) return false;  // merged while we waited

  if (parts_.empty())
    run_held(symbols, inputs, options, outputs);
  else
    run_segments(inputs, options, outputs);
  return true;
}

void Program::run_segments(const std::vector<Array>& inputs, RunOptions options, std::vector<Array>& outputs) {
  options.step_ns = nullptr;
  std::vector<std::vector<Array>> results(parts_.size());
  std::vector<Array> cuts;
  auto value = [&](const SegmentValue& v) -> const Array& {
    const auto at = static_cast<size_t>(v.index);
    if (v.from == SegmentValue::input) return inputs[at];
    return v.from == SegmentValue::trimmed ? cuts[at] : results[static_cast<size_t>(v.segment)][at];
  };
  double work = 0;
  for (size_t k = 0; k < parts_.size(); ++k) {
    const Segment& s = segments_.list[k];
    while (cuts.size() < static_cast<size_t>(s.cuts)) {
      const Cut& cut = segments_.cuts[cuts.size()];
      Array rows = value(cut.padded);  // the first rows of a dense array are a dense array
      rows.shape[0] = std::clamp<int64_t>(*value(cut.count).host().as<int32_t>(), 0, rows.shape[0]);
      cuts.push_back(std::move(rows));
    }
    std::vector<Array> in;
    for (const SegmentValue& v : s.inputs) in.push_back(value(v));
    parts_[k]->run_held(parts_[k]->bind_symbols(in), in, options, results[k]);
    work += parts_[k]->work_ns();
  }
  work_ns_.store(work, std::memory_order_relaxed);
  outputs.clear();
  for (const SegmentValue& v : segments_.outputs) outputs.push_back(value(v));
}

void Program::run_held(const SymbolValues& symbols, const std::vector<Array>& inputs, const RunOptions& options,
                       std::vector<Array>& outputs) {
  MemoryClaim claim;
  auto context = take(symbols, claim);
  if (claim.empty()) {
    size_t bytes = 0;
    for (int v : plan_->outputs) bytes += context->bytes_of(v);
    if (bytes > kClaimOutputs) claim.add(bytes, text("Outputs of plan '", plan_->name, "'"));
  }
  if (!plan_->device.is_cpu()) {
    try {
      run_gpu(*context, inputs, options, claim, outputs);
    } catch (...) {
      give(std::move(context));
      throw;
    }
    return give(std::move(context));
  }
  outputs.clear();
  outputs.reserve(plan_->outputs.size());
  for (int v : plan_->outputs)
    outputs.emplace_back(plan_->values[static_cast<size_t>(v)].spec.dtype, context->shape_of(v));
  std::vector<Array> local;  // operands that lie on a GPU
  const std::vector<Array>* from = &inputs;
  if (std::any_of(inputs.begin(), inputs.end(), [](const Array& a) { return !a.device().is_cpu(); })) {
    for (const Array& a : inputs) local.push_back(a.host());
    from = &local;
  }
  context->bind_io(*from, outputs);
  context->bind_steps(claim);
  work_ns_.store(context->work_ns(), std::memory_order_relaxed);
  if (!plan_->prepare.empty() && prepared_epoch_.load(std::memory_order_acquire) != Variable::epoch()) prepare(options);
  Commit writing;
  try {
    execute(*context, plan_->commit, options, plan_->writes.empty() ? nullptr : &writing);
  } catch (...) {
    give(std::move(context));
    throw;
  }
  for (const CommitCopy& c : plan_->copies)
    std::memcpy(c.variable->raw().data(), context->address(c.value), context->bytes_of(c.value));
  for (const auto& v : plan_->writes) v->touch();
  give(std::move(context));
}

std::pair<size_t, size_t> Program::kept() {
  std::lock_guard guard(mutex_);
  return {memory_plans_.size(), idle_.size()};
}

double Program::binding_ns(const std::vector<std::vector<Array>>& calls, int repeats) {
  using Clock = std::chrono::steady_clock;
  SymbolValues capacity;
  for (const auto& inputs : calls) {
    const SymbolValues symbols = round_up(bind_symbols(inputs));
    for (const auto& [id, value] : symbols.items()) {
      const int64_t* known = capacity.find(id);
      capacity.set(id, known ? std::max(*known, value) : value);
    }
  }
  MemoryClaim claim;
  Context context(plan_, plan_->steps, std::make_shared<const MemoryPlan>(plan_memory(*plan_, capacity)), prepared_);
  double total = 0;
  for (int r = 0; r < repeats; ++r)
    for (const auto& inputs : calls) {
      const auto start = Clock::now();
      if (!context.bind_sizes(bind_symbols(inputs)))
        fail(ErrorKind::runtime, plan_->name, ": sizes do not fit their own plan");
      std::vector<Array> none(plan_->outputs.size());
      context.bind_io(inputs, none);
      context.bind_steps(claim);
      total += std::chrono::duration<double, std::nano>(Clock::now() - start).count();
    }
  return total / static_cast<double>(repeats) / static_cast<double>(calls.size());
}

std::vector<StepCost> Program::costs(const std::vector<Array>& inputs) {
  if (!parts_.empty()) return {};
  MemoryClaim claim;
  auto context = take(bind_symbols(inputs), claim);
  std::vector<Array> outputs;
  for (int v : plan_->outputs)
    outputs.emplace_back(plan_->values[static_cast<size_t>(v)].spec.dtype, context->shape_of(v));
  if (plan_->device.is_cpu()) {
    context->bind_io(inputs, outputs);
    context->bind_steps(claim);
  } else {
    run_gpu(*context, inputs, {}, claim, outputs);
  }
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
