// Runs of programs whose rows do not know of each other, some rows at a time: every member of the team takes rows from
// a counter and walks the whole plan with them in a context of its own. Nobody waits for anybody, and what one step
// leaves the next one finds in L2. The bits are those of any other cut, because a row's never depend on its batch.
#include <algorithm>
#include <chrono>
#include <exception>
#include <thread>

#include "core/error.h"
#include "core/interrupt.h"
#include "core/threads.h"
#include "core/wait.h"
#include "runtime/program_parts.h"

namespace maas {
namespace {

// Values between steps that stay in the L2 of a core, beside the weights that pass.
constexpr size_t kArenaInCache = size_t{1} << 20;
// What those that do not cost on top of the steps' own estimates, which are for L2.
constexpr double kSpilledBytesPerNs = 12;
constexpr double kBarrierNs = 1e3, kTurnNs = 1e3;
// Shorter parts than this are not worth a turn of their own.
constexpr double kLeastPartNs = 20e3;
constexpr size_t kChoices = 64;
constexpr int64_t kThreads = -1;  // among sizes, where no symbol has this number
constexpr int64_t kSignalsEveryNs = 10'000'000;

struct Part {
  std::unique_ptr<Context> context;
  std::vector<std::byte*> inputs, outputs;
};

struct Rows {
  const Plan& plan;
  RunOptions options;
  const std::vector<Array>&inputs, &outputs;
  std::vector<int64_t> input_bytes, output_bytes;  // of a row; 0: the same for all rows
  int64_t rows, at_once;
  std::vector<Part> parts;  // by member; the last one takes the rows that are left at the end
  std::vector<std::vector<double>> step_ns;
  std::atomic<int64_t> next{0}, under_way{0};
  std::atomic<bool> given_up{false};
  std::atomic<bool> failed{false};
  std::exception_ptr error;
  int64_t last_look = wait::now_ns();

  int64_t turns() const { return (rows + at_once - 1) / at_once; }
  Part& part(int64_t turn, int member) {
    return (turn + 1) * at_once > rows ? parts.back() : parts[static_cast<size_t>(member)];
  }
  void place(Part& p, int64_t turn, MemoryClaim& claim) {
    const int64_t row = turn * at_once;
    for (size_t i = 0; i < inputs.size(); ++i)
      p.inputs[i] = static_cast<std::byte*>(inputs[i].data()) + row * input_bytes[i];
    for (size_t i = 0; i < outputs.size(); ++i)
      p.outputs[i] = static_cast<std::byte*>(outputs[i].data()) + row * output_bytes[i];
    p.context->bind_addresses(p.inputs, p.outputs);
    p.context->bind_steps(claim);
  }

  void fail_with(std::exception_ptr e) {
    if (!failed.exchange(true, std::memory_order_relaxed)) error = std::move(e);
    given_up.store(true, std::memory_order_relaxed);
  }

  // By the caller alone, between turns: a turn is often shorter than what a run waits before it asks.
  void look() {
    const int64_t now = wait::now_ns();
    if (now - last_look < kSignalsEveryNs) return;
    last_look = now;
    if (!interrupt_requested() && !(options.poll && options.poll())) return;
    clear_interrupt();
    fail(ErrorKind::interrupted, "interrupted; no state was written");
  }

  void member(int worker) {
    RunOptions mine = options;
    mine.given_up = &given_up;
    if (worker) mine.poll = nullptr;
    if (!step_ns.empty()) mine.step_ns = &step_ns[static_cast<size_t>(worker)];
    under_way.fetch_add(1, std::memory_order_relaxed);
    try {
      for (int64_t turn; (turn = next.fetch_add(1, std::memory_order_relaxed)) < turns();) {
        if (given_up.load(std::memory_order_relaxed)) break;
        if (worker == 0) look();
        Part& p = part(turn, worker);
        MemoryClaim claim;
        place(p, turn, claim);
        execute(*p.context, plan.commit, mine);
      }
    } catch (...) {
      fail_with(std::current_exception());
    }
    under_way.fetch_sub(1, std::memory_order_release);
    if (worker == 0) see_others_out();
  }

  // The caller asks for the others while their last turns go on.
  void see_others_out() {
    const auto done = [&] { return under_way.load(std::memory_order_acquire) == 0; };
    while (!wait::poll(done, wait::kForTeam)) {
      try {
        if (!given_up.load(std::memory_order_relaxed)) look();
      } catch (...) {
        fail_with(std::current_exception());
      }
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
  }
};

}  // namespace

// The number of turns is chosen once for all sizes up to the next powers of two, as contexts are.
int64_t Program::rows_at_once(const SymbolValues& symbols, const std::vector<Array>& inputs) {
  const int64_t rows = *symbols.find(*plan_->row_symbol);
  if (rows < 2) return rows;
  SymbolValues key = round_up(symbols);
  key.set(kThreads, ThreadPool::instance().size());
  int64_t turns = 0;
  {
    std::lock_guard guard(mutex_);
    for (const auto& [sizes, choice] : row_choices_)
      if (sizes == key) turns = choice;
  }
  if (!turns) {
    turns = choose_turns(symbols, inputs);
    std::lock_guard guard(mutex_);
    if (row_choices_.size() >= kChoices) row_choices_.erase(row_choices_.begin());
    row_choices_.emplace_back(key, turns);
  }
  return (rows + turns - 1) / turns;
}

int64_t Program::rows_at_once(const std::vector<Array>& inputs) {
  const SymbolValues symbols = bind_symbols(inputs);
  if (plan_->row_symbol) return rows_at_once(symbols, inputs);
  return inputs.empty() || inputs[0].shape.empty() ? 1 : inputs[0].shape[0];
}

// Compares what steps say they cost; sizes are bound for it, nothing runs.
int64_t Program::choose_turns(const SymbolValues& symbols, const std::vector<Array>& inputs) {
  const int64_t rows = *symbols.find(*plan_->row_symbol);
  const int threads = ThreadPool::instance().size();
  struct Cost {
    double alone = 0, team = 0;  // nanoseconds, on one thread and on as many as steps ask for
    bool in_cache = true;
  };
  const auto cost = [&](int64_t n) {
    SymbolValues sizes = symbols;
    sizes.set(*plan_->row_symbol, n);
    // Nothing is read or written, so any address does for memory that only a run needs.
    const auto memory = std::make_shared<const MemoryPlan>(plan_memory(*plan_, sizes));
    const auto anywhere = static_cast<std::byte*>(inputs[0].data());
    Context context(plan_, plan_->steps, memory, prepared_, anywhere);
    Cost c;
    if (!context.bind_sizes(sizes)) return c;
    const std::vector<std::byte*> from(inputs.size(), anywhere), to(plan_->outputs.size(), anywhere);
    context.bind_addresses(from, to);
    MemoryClaim claim;
    context.bind_steps(claim);
    if (context.work_ns() >= kLeastPartNs) c.in_cache = memory->arena_bytes <= kArenaInCache;  // less needs no parts
    for (const Context::Step& step : context.steps()) {
      double ns = step.work_ns;
      for (const auto* list : {&step.plan->in, &step.plan->out})
        for (int v : *list)
          if (v >= 0 && !c.in_cache && plan_->values[static_cast<size_t>(v)].place == Place::arena)
            ns += static_cast<double>(context.bytes_of(v)) / kSpilledBytesPerNs;
      const int team = std::min(step.team, threads);
      c.alone += ns;
      c.team += ns / team + (team > 1 ? kBarrierNs * static_cast<double>(step.phases) : 0);
    }
    return c;
  };
  const Cost whole = cost(rows);
  if (whole.alone < kLeastPartNs) return 1;
  double best = whole.team;
  int64_t best_turns = 1;
  for (int64_t turns = threads > 1 ? threads : 2, n = rows; n > 1; turns *= 2) {
    n = (rows + turns - 1) / turns;
    const Cost c = cost(n);
    if (turns > threads && c.alone < kLeastPartNs) break;
    // The rows that are left at the end go to a member that would wait, if there is one.
    const int64_t full = rows / n, left = full % threads ? 0 : rows % n;
    const double rounds =
        static_cast<double>((full + threads - 1) / threads) + static_cast<double>(left) / static_cast<double>(n);
    const double all = rounds * (c.alone + kTurnNs);
    // Of equal ones the smaller parts: they leave less to wait for at the end.
    if (all <= best) {
      best = all;
      best_turns = turns;
    } else if (c.in_cache && turns >= 2 * threads) {
      break;
    }
  }
  return best_turns;
}

bool Program::run_rows(const SymbolValues& symbols, const std::vector<Array>& inputs, const RunOptions& options,
                       std::vector<Array>& outputs) {
  if (!plan_->device.is_cpu()) return false;
  for (const Array& a : inputs)
    if (!a.device().is_cpu()) return false;
  const int64_t rows = *symbols.find(*plan_->row_symbol), at_once = rows_at_once(symbols, inputs);
  if (at_once >= rows) return false;
  if (!plan_->prepare.empty() && prepared_epoch_.load(std::memory_order_acquire) != Variable::epoch()) prepare(options);

  MemoryClaim claim;
  size_t bytes = 0;
  for (int v : plan_->outputs) bytes += static_cast<size_t>(plan_->values[static_cast<size_t>(v)].bytes.eval(symbols));
  if (bytes > kClaimOutputs) claim.add(bytes, text("Outputs of plan '", plan_->name, "'"));
  std::vector<Array> results;
  for (int v : plan_->outputs) {
    const Spec& spec = plan_->values[static_cast<size_t>(v)].spec;
    results.emplace_back(spec.dtype, eval(spec.shape, symbols));
  }
  Rows run{*plan_, options, inputs, results, {}, {}, rows, at_once, {}, {}, {}, {}, {}, {}, {}};
  run.options.step_ns = run.options.worker_ns = nullptr;
  const int members = static_cast<int>(std::min<int64_t>(ThreadPool::instance().available(), run.turns()));
  const auto add = [&](int64_t n, int64_t turn) {
    SymbolValues sizes = symbols;
    sizes.set(*plan_->row_symbol, n);
    Part p;
    p.context = take(sizes, claim);
    p.context->stay_alone(true);
    if (run.parts.empty()) {
      // What is as large for a few rows as for all belongs to none of them.
      for (size_t i = 0; i < inputs.size(); ++i) {
        const bool counts = p.context->bytes_of(plan_->inputs[i]) != inputs[i].bytes();
        run.input_bytes.push_back(counts ? static_cast<int64_t>(inputs[i].bytes()) / rows : 0);
      }
      for (const Array& y : results) run.output_bytes.push_back(static_cast<int64_t>(y.bytes()) / rows);
    }
    p.inputs.resize(inputs.size());
    p.outputs.resize(results.size());
    run.place(p, turn, claim);
    run.parts.push_back(std::move(p));
  };
  for (int m = 0; m < members; ++m) add(at_once, 0);
  if (rows % at_once) add(rows % at_once, run.turns() - 1);
  work_ns_.store(run.parts[0].context->work_ns() * static_cast<double>(run.turns()), std::memory_order_relaxed);
  if (options.step_ns) run.step_ns.assign(static_cast<size_t>(members), std::vector<double>(plan_->steps.size()));

  const auto job = [](void* r, int worker, int) { static_cast<Rows*>(r)->member(worker); };
  if (members == 1) {
    run.member(0);
  } else {
    ThreadPool::instance().run_elastic(members, job, &run);
  }
  for (Part& p : run.parts) {
    p.context->stay_alone(false);
    give(std::move(p.context));
  }
  if (run.failed) {
    try {
      std::rethrow_exception(run.error);
    } catch (const Error& e) {
      // A place in the batch is one in these rows: the whole run finds it again and names it.
      if (e.kind() == ErrorKind::index) return false;
      throw;
    }
  }
  for (size_t m = 0; m < run.step_ns.size(); ++m)
    for (size_t s = 0; s < run.step_ns[m].size(); ++s) {
      (*options.step_ns)[s] += run.step_ns[m][s] / members;
      if (options.worker_ns) {
        const size_t room = options.worker_ns->size() / plan_->steps.size();
        if (m < room) (*options.worker_ns)[s * room + m] += run.step_ns[m][s];
      }
    }
  outputs = std::move(results);
  return true;
}

}  // namespace maas
