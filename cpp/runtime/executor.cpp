#include "runtime/executor.h"

#include <atomic>
#include <chrono>

#include "core/error.h"
#include "core/float_mode.h"
#include "core/interrupt.h"
#include "core/threads.h"
#include "core/wait.h"

namespace maas {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kPollEvery = std::chrono::milliseconds(10);

// On a crowded machine a barrier may cost a time slice: steps of many phases, and whole runs this short, stay on one
// thread. The bits are the same.
constexpr int64_t kManyPhases = 8;
constexpr double kShortRunNs = 1e6;
// How long after a lost time slice short runs stay alone, in nanoseconds. Doubles when a team loses a slice again, up
// to what all waiters use, and shrinks with every team that did not: idle machines try at once, busy ones seldom.
constexpr int64_t kLeastAlone = 1'000'000;
std::atomic<int64_t> short_run_alone{kLeastAlone};

void learn(int64_t crowded_before) {
  const int64_t alone = short_run_alone.load(std::memory_order_relaxed);
  const bool lost = wait::crowded_until.load(std::memory_order_relaxed) != crowded_before;
  const int64_t next = lost ? std::min(2 * alone, wait::kCrowdedFor) : std::max(alone - alone / 16, kLeastAlone);
  short_run_alone.store(next, std::memory_order_relaxed);
}

enum class Stop : int { no, interrupted, bad_data };

// All members walk the list of steps together. A step of a team of one is run by member 0; a barrier stands before and
// after every step that several run, and between phases.
struct Run {
  Context& context;
  size_t commit;
  RunOptions options;
  TeamBarrier* barrier;
  bool crowded = false;              // something else wants our cores, so barriers are dear
  std::atomic<int64_t> stop_at{-1};  // the step before which everybody leaves
  Stop why = Stop::no;
  std::atomic<int64_t> bad_step{-1};  // whose data is bad
  Clock::time_point last_poll = Clock::now();

  bool bad_data() const { return context.status().position.load(std::memory_order_relaxed) != Status::none; }
  // Every member after its part of a step, so that the step named is the one that found bad data: all who run, run the
  // same step.
  void note_bad_data(size_t step) {
    int64_t none = -1;
    if (bad_data()) bad_step.compare_exchange_strong(none, static_cast<int64_t>(step), std::memory_order_relaxed);
  }

  // Member 0 looks; the others learn of it at the next barrier.
  Stop look() {
    if (interrupt_requested()) return Stop::interrupted;
    if (options.poll) {
      const auto now = Clock::now();
      if (now - last_poll > kPollEvery) {
        last_poll = now;
        if (options.poll()) return Stop::interrupted;
      }
    }
    return bad_data() ? Stop::bad_data : Stop::no;
  }

  void run_units(const Context::Step& step, int64_t begin, int64_t end, const Exec& exec, size_t s) const {
    if (begin >= end) return;
    if (!options.cut_seed) return step.plan->row->run(step.args, begin, end, exec);
    uint64_t state = options.cut_seed + s * 0x9e3779b97f4a7c15ull + static_cast<uint64_t>(exec.phase);
    while (begin < end) {
      state = state * 6364136223846793005ull + 1442695040888963407ull;
      const int64_t next = std::min(end, begin + 1 + static_cast<int64_t>((state >> 33) % 7));
      step.plan->row->run(step.args, begin, next, exec);
      begin = next;
    }
  }

  void member(int worker, int team) {
    const auto& steps = context.steps();
    Exec exec{context.scratch(worker), &context.status(), 0, worker};
    bool parallel_before = false;
    for (size_t s = 0; s < steps.size(); ++s) {
      const Context::Step& step = steps[s];
      const int members = crowded && step.phases > kManyPhases ? 1 : std::min(step.team, team);
      if (worker == 0 && s <= commit) {
        const Stop found = look();
        if (found != Stop::no) {
          why = found;
          stop_at.store(static_cast<int64_t>(s), std::memory_order_relaxed);
          if (team == 1) return;
        }
      }
      const bool parallel = members > 1;
      if (team > 1 && (parallel || parallel_before || s == commit)) {
        barrier->wait();
        const int64_t at = stop_at.load(std::memory_order_relaxed);
        if (at >= 0 && at <= static_cast<int64_t>(s)) return;
        // Somebody may have found it after member 0 looked. All see the same: no step behind the commit point reports.
        if (s == commit && bad_data()) {
          if (worker == 0) why = Stop::bad_data;
          return;
        }
      } else if (worker == 0 && stop_at.load(std::memory_order_relaxed) >= 0) {
        // Nobody waits yet: do nothing until the next barrier, where all leave.
        continue;
      }
      parallel_before = parallel;
      if (worker >= members) {
        if (parallel)
          for (int64_t p = 1; p < step.phases; ++p) barrier->wait();
        continue;
      }
      const bool timed = options.step_ns && worker == 0;
      const auto start = timed ? Clock::now() : Clock::time_point();
      for (int64_t p = 0; p < step.phases; ++p) {
        if (p && parallel) barrier->wait();
        exec.phase = p;
        const int64_t units = p ? step.plan->op->units(step.args, p) : step.units;
        const int64_t begin = units * worker / members, end = units * (worker + 1) / members;
        run_units(step, begin, end, exec, s);
      }
      note_bad_data(s);
      if (timed) (*options.step_ns)[s] += std::chrono::duration<double, std::nano>(Clock::now() - start).count();
    }
    if (team > 1) barrier->wait();
  }
};

// What the layer or loss that made the op wants said of a bad index: "Embedding 'words': ids must be in [0, 10)".
std::string rule_of(const Op& op) {
  for (const auto& [name, value] : op.params())
    if (name == "rule")
      if (const auto* rule = std::get_if<std::string>(&value)) return *rule;
  return "";
}

}  // namespace

void execute(Context& context, size_t commit, const RunOptions& options) {
  const auto& steps = context.steps();
  context.status().position.store(Status::none, std::memory_order_relaxed);
  Run run{context, commit, options, nullptr};
  const int64_t crowded_until = wait::crowded_until.load(std::memory_order_relaxed);
  const int64_t crowded_for = crowded_until - wait::now_ns();
  run.crowded = crowded_for > 0;
  const bool just_crowded = crowded_for > wait::kCrowdedFor - short_run_alone.load(std::memory_order_relaxed);
  if (context.team() == 1 || (just_crowded && context.work_ns() < kShortRunNs)) {
    FlushDenormals flush;
    run.member(0, 1);
  } else {
    // The team's size is known only inside: member 0 makes the barrier, the others wait for it to appear.
    alignas(TeamBarrier) std::byte room[sizeof(TeamBarrier)];
    struct Shared {
      Run* run;
      std::byte* room;
      std::atomic<bool> ready{false};
    } shared{&run, room};
    ThreadPool::instance().run(
        context.team(),
        [](void* ctx, int worker, int team) {
          auto& s = *static_cast<Shared*>(ctx);
          if (worker == 0) {
            if (team > 1) s.run->barrier = new (s.room) TeamBarrier(team);
            s.ready.store(true, std::memory_order_release);
          } else {
            while (!s.ready.load(std::memory_order_acquire)) _mm_pause();
          }
          s.run->member(worker, team);
        },
        &shared);
    learn(crowded_until);
  }
  if (run.why == Stop::no && commit >= steps.size()) {
    const Stop found = run.look();
    run.why = found;
  }
  if (run.why == Stop::interrupted) {
    clear_interrupt();
    throw Error(ErrorKind::interrupted, "interrupted; no state was written");
  }
  if (run.why == Stop::bad_data) {
    const auto& op = steps[static_cast<size_t>(run.bad_step.load())].plan->op;
    const int64_t position = context.status().position.load(), value = context.status().value.load();
    if (const std::string rule = rule_of(*op); !rule.empty())
      fail(ErrorKind::index, rule, ", received ", value, " (flat position ", position, " in the batch)");
    fail(ErrorKind::index, op->name(), ": index out of range at flat position ", position, ", received ", value);
  }
}

}  // namespace maas
