#include "runtime/program.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "core/error.h"
#include "core/interrupt.h"
#include "core/threads.h"
#include "runtime/program_parts.h"

namespace maas {

namespace {

// True if a context of this capacity has room for the sizes.
bool covers(const SymbolValues& capacity, const SymbolValues& sizes) {
  return std::all_of(sizes.items().begin(), sizes.items().end(), [&](const auto& item) {
    const int64_t* room = capacity.find(item.first);
    return room && *room >= item.second;
  });
}

// Several callers, or the members of one run that takes a few rows at a time.
size_t idle_contexts() { return std::max<size_t>(8, static_cast<size_t>(ThreadPool::instance().size()) + 2); }
constexpr size_t kMemoryPlans = 64;
// An arena up to this size is taken for smaller runs too; a run that is spread over a larger one meets more cold pages.
constexpr size_t kRoomyArena = size_t{4} << 20;

bool trains(const Graph& graph) {
  for (const Update& u : graph.updates)
    if (u.variable->initial_trainable) return true;
  for (const auto& node : topological_order(graph.roots())) {
    if (!node->op) continue;
    if (node->op->name() == "conv_kernel_gradient") return true;
    if (const auto control = node->op->control())
      for (const Body& body : control->bodies)
        if (trains(*body.graph)) return true;
  }
  return false;
}

std::string shape_text(const std::vector<int64_t>& shape) { return to_string(to_shape(shape)); }

}  // namespace

SymbolValues round_up(const SymbolValues& symbols) {
  SymbolValues capacity;
  for (const auto& [id, value] : symbols.items())
    capacity.set(id, static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(std::max<int64_t>(value, 1)))));
  return capacity;
}

Program::Program(const Graph& graph, std::string name)
    : graph_(graph),
      name_(std::move(name)),
      numerics_{numerics().exact, numerics().trains || trains(graph)},
      segments_(split(graph)) {
  build();
  LivePrograms::instance().add(this);
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
    if (auto context = take_idle(symbols, capacity)) return context;
    memory = memory_for(capacity);
  }
  if (auto context = make(memory, symbols, claim)) return context;
  auto context = make(std::make_shared<const MemoryPlan>(plan_memory(*plan_, symbols)), symbols, claim);
  if (!context) fail(ErrorKind::runtime, plan_->name, ": sizes do not fit their own plan");
  return context;
}

// One that waits: best the last one given back with these sizes, then one of the capacity asked for, then the smallest
// roomier one. A small arena serves any smaller run: to make a context costs more than to bind one. mutex_ is held.
std::unique_ptr<Context> Program::take_idle(const SymbolValues& symbols, const SymbolValues& capacity) {
  const auto exact = [&](const Context& c) { return c.symbols() == symbols; };
  const auto same = [&](const Context& c) { return c.memory().capacity == capacity; };
  const auto roomy = [&](const Context& c) {
    return c.memory().arena_bytes <= kRoomyArena && covers(c.memory().capacity, capacity);
  };
  size_t best = idle_.size();
  for (size_t i = idle_.size(); i-- > 0;) {
    if (exact(*idle_[i])) {
      best = i;
      break;
    }
    const auto better = [&](const Context& other) {
      return same(*idle_[i]) > same(other) ||
             (!same(other) && idle_[i]->memory().arena_bytes < other.memory().arena_bytes);
    };
    if ((same(*idle_[i]) || roomy(*idle_[i])) && (best == idle_.size() || better(*idle_[best]))) best = i;
  }
  if (best == idle_.size()) return nullptr;
  auto context = std::move(idle_[best]);
  idle_.erase(idle_.begin() + static_cast<std::ptrdiff_t>(best));
  hold(-static_cast<int64_t>(context->held_bytes()));
  return context->bind_sizes(symbols) ? std::move(context) : nullptr;
}

void Program::give(std::unique_ptr<Context> context) {
  std::unique_ptr<Context> dropped;  // freed after the lock
  std::lock_guard guard(mutex_);
  if (idle_.size() >= idle_contexts()) {
    dropped = std::move(idle_.front());
    idle_.erase(idle_.begin());
    hold(-static_cast<int64_t>(dropped->held_bytes()));
  }
  hold(static_cast<int64_t>(context->held_bytes()));
  idle_.push_back(std::move(context));
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
  options.step_ns = options.worker_ns = nullptr;
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

// A context of the host: fresh outputs, addresses, and what the kernels are called with.
void Program::bind(Context& context, const std::vector<Array>& inputs, MemoryClaim& claim,
                   std::vector<Array>& outputs) const {
  outputs.clear();
  outputs.reserve(plan_->outputs.size());
  for (int v : plan_->outputs)
    outputs.emplace_back(plan_->values[static_cast<size_t>(v)].spec.dtype, context.shape_of(v));
  context.bind_io(inputs, outputs);
  context.bind_steps(claim);
}

void Program::run_held(const SymbolValues& symbols, const std::vector<Array>& inputs, const RunOptions& options,
                       std::vector<Array>& outputs) {
  if (plan_->row_symbol && run_rows(symbols, inputs, options, outputs)) return;
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
  std::vector<Array> local;  // operands that lie on a GPU
  const std::vector<Array>* from = &inputs;
  if (std::any_of(inputs.begin(), inputs.end(), [](const Array& a) { return !a.device().is_cpu(); })) {
    for (const Array& a : inputs) local.push_back(a.host());
    from = &local;
  }
  bind(*context, *from, claim, outputs);
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

}  // namespace maas
