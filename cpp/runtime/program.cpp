#include "runtime/program.h"

#include <bit>
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

}  // namespace

Program::Program(const Graph& graph, std::string name) : plan_(Plan::build(graph, name)) {
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
        prepared_[static_cast<size_t>(v.slot)] = Array(v.spec.dtype, eval(v.spec.shape, none));
      else
        bytes += static_cast<size_t>(v.bytes.eval(none));
    }
    if (!allocate && bytes) prepared_claim_.add(bytes, text("Prepared weights of plan '", plan_->name, "'"));
  }
  held_bytes_ = static_cast<int64_t>(bytes);
  LivePrograms::instance().add(this);
}

Program::~Program() {
  LivePrograms::instance().remove(this);
  if (held_total_) held_total_->fetch_sub(held_bytes_, std::memory_order_relaxed);
}

void Program::count_in(std::atomic<int64_t>& total) {
  std::lock_guard guard(mutex_);
  held_total_ = &total;
  total.fetch_add(held_bytes_, std::memory_order_relaxed);
}

int64_t Program::held_bytes() {
  std::lock_guard guard(mutex_);
  return held_bytes_;
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
  claim.add(bytes, text("Plan '", plan_->name, "'"));
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
      size_t end = 0;
      for (size_t s = 0; s < plan_->prepare.size(); ++s)
        for (const Dim& d : plan_->prepare[s].workspace) {
          const auto bytes = (static_cast<size_t>(d.constant()) + 63) / 64 * 64;
          none->workspace_offset[s].push_back(end);
          none->workspace_bytes[s].push_back(bytes);
          end += bytes;
        }
      none->arena_bytes = end;
      prepared_claim_.add(end, text("Preparing weights of plan '", plan_->name, "'"));
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

  MemoryClaim claim;
  auto context = take(symbols, claim);
  if (claim.empty()) {
    size_t bytes = 0;
    for (int v : plan_->outputs) bytes += context->bytes_of(v);
    if (bytes > kClaimOutputs) claim.add(bytes, text("Outputs of plan '", plan_->name, "'"));
  }
  outputs.clear();
  outputs.reserve(plan_->outputs.size());
  for (int v : plan_->outputs)
    outputs.emplace_back(plan_->values[static_cast<size_t>(v)].spec.dtype, context->shape_of(v));
  context->bind_io(inputs, outputs);
  context->bind_steps(claim);
  work_ns_.store(context->work_ns(), std::memory_order_relaxed);
  if (!plan_->prepare.empty() && prepared_epoch_.load(std::memory_order_acquire) != Variable::epoch()) prepare(options);
  Commit writing;
  try {
    execute(*context, plan_->commit, options, writes ? &writing : nullptr);
  } catch (...) {
    give(std::move(context));
    throw;
  }
  for (const CommitCopy& c : plan_->copies)
    std::memcpy(c.variable->raw().data(), context->address(c.value), context->bytes_of(c.value));
  for (const auto& v : plan_->writes) v->touch();
  give(std::move(context));
  return true;
}

std::vector<StepCost> Program::costs(const std::vector<Array>& inputs) {
  MemoryClaim claim;
  auto context = take(bind_symbols(inputs), claim);
  std::vector<Array> outputs;
  for (int v : plan_->outputs)
    outputs.emplace_back(plan_->values[static_cast<size_t>(v)].spec.dtype, context->shape_of(v));
  context->bind_io(inputs, outputs);
  context->bind_steps(claim);
  std::vector<StepCost> costs;
  for (const Context::Step& step : context->steps()) {
    StepCost cost;
    cost.flops = step.plan->op->flops(step.args);
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
  const SymbolValues symbols = bind_symbols(inputs);
  std::shared_ptr<const MemoryPlan> memory;
  {
    std::lock_guard guard(mutex_);
    memory = memory_for(round_up(symbols));
  }
  return report_memory(*plan_, *memory);
}

}  // namespace maas
