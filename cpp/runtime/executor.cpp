#include "runtime/executor.h"

#include <atomic>
#include <chrono>

#include "core/error.h"
#include "core/float_mode.h"
#include "core/interrupt.h"
#include "core/threads.h"
#include "core/wait.h"
#include "runtime/control.h"

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
  std::atomic<int64_t> stop_at{-1};  // the tick at which everybody leaves
  Stop why = Stop::no;
  const Op* last = nullptr;  // what member 0 ran last
  const Op* bad_op = nullptr;
  Clock::time_point last_poll = Clock::now();

  bool bad_data() const { return context.status().position.load(std::memory_order_relaxed) != Status::none; }
  // Called by member 0 before every step, so the first to see bad data names the step that found it.
  void note_bad_data() {
    if (!bad_op && bad_data()) bad_op = last ? last : context.steps()[0].plan->op.get();
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
    note_bad_data();
    return bad_op ? Stop::bad_data : Stop::no;
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

  // One member's walk. Sub-plans are walked by the same members: all of them count the same ticks, one a step.
  struct Member {
    int worker, team;
    Exec exec;
    int64_t tick = 0;
    bool parallel_before = false;
  };

  void member(int worker, int team) {
    Member m{worker, team, {context.scratch(worker), &context.status(), 0, worker}};
    if (walk(context, commit, m, options.step_ns) && team > 1) barrier->wait();
  }

  // All members meet; false if they leave here.
  bool meet(Member& m) {
    m.parallel_before = false;
    if (m.team == 1) return true;
    barrier->wait();
    const int64_t at = stop_at.load(std::memory_order_relaxed);
    return at < 0 || at > m.tick;
  }
  bool leaving() const { return stop_at.load(std::memory_order_relaxed) >= 0; }

  // False: everybody leaves.
  bool walk(Context& where, size_t commit_at, Member& m, std::vector<double>* step_ns) {
    const auto& steps = where.steps();
    for (size_t s = 0; s < steps.size(); ++s) {
      const Context::Step& step = steps[s];
      ++m.tick;
      int members = crowded && step.phases > kManyPhases ? 1 : std::min(step.team, m.team);
      if (step.control && members > 1) members = m.team;
      if (m.worker == 0 && s <= commit_at) {
        const Stop found = look();
        if (found != Stop::no) {
          why = found;
          if (m.team == 1) return false;
          stop_at.store(m.tick, std::memory_order_relaxed);
        }
      }
      const bool parallel = members > 1;
      if (m.team > 1 && (parallel || m.parallel_before || s == commit_at)) {
        if (!meet(m)) return false;
        if (m.worker == 0 && s <= commit_at) note_bad_data();
        // Somebody may have found it after member 0 looked. All see the same: no step behind the commit point reports.
        if (s == commit_at && bad_data()) {
          if (m.worker == 0) why = Stop::bad_data;
          return false;
        }
      } else if (m.worker == 0 && leaving()) {
        // Nobody waits yet: do nothing until the next barrier, where all leave.
        continue;
      }
      m.parallel_before = parallel;
      if (m.worker >= members) {
        if (parallel)
          for (int64_t p = 1; p < step.phases; ++p) barrier->wait();
        continue;
      }
      const bool timed = step_ns && m.worker == 0;
      const auto start = timed ? Clock::now() : Clock::time_point();
      if (step.control) {
        if (!walk_control(*step.control, m, parallel)) return false;
      } else {
        for (int64_t p = 0; p < step.phases; ++p) {
          if (p && parallel) barrier->wait();
          m.exec.phase = p;
          const int64_t units = p ? step.plan->op->units(step.args, p) : step.units;
          const int64_t begin = units * m.worker / members, end = units * (m.worker + 1) / members;
          run_units(step, begin, end, m.exec, s);
        }
        if (m.worker == 0) last = step.plan->op.get();
      }
      if (timed) (*step_ns)[s] += std::chrono::duration<double, std::nano>(Clock::now() - start).count();
    }
    return true;
  }

  // A step that holds sub-Graphs: run by all members, who then meet before the next step, or by member 0 alone.
  bool walk_control(ControlRun& control, Member& m, bool parallel) {
    if (parallel || m.team == 1) {
      m.parallel_before = false;
      const bool on = control.is_branch() ? walk(control.chosen(), SIZE_MAX, m, nullptr) : turns(control, m);
      m.parallel_before = parallel;
      return on;
    }
    Member alone{0, 1, m.exec};
    const bool on = control.is_branch() ? walk(control.chosen(), SIZE_MAX, alone, nullptr) : turns(control, alone);
    if (!on) stop_at.store(m.tick, std::memory_order_relaxed);
    return true;
  }

  // Moves between turns are member 0's, in order with the steps of a team of one.
  bool turns(ControlRun& control, Member& m) {
    const int64_t bound = control.bound();
    const bool moves = m.worker == 0;
    if (moves) control.begin();
    int64_t turn = 0;
    for (; turn < bound; ++turn) {
      if (Context* condition = control.condition(turn)) {
        if (!walk(*condition, SIZE_MAX, m, nullptr) || !meet(m)) return false;
        if (!control.goes_on(turn)) break;
      }
      if (m.parallel_before && !meet(m)) return false;
      if (moves && !leaving()) control.before(turn, bound);
      if (!walk(control.body(turn), SIZE_MAX, m, nullptr)) return false;
      if (m.parallel_before && !meet(m)) return false;
      if (moves && !leaving()) control.after(turn, bound);
    }
    if (moves && !leaving()) control.end(turn);
    return true;
  }
};

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
    fail(ErrorKind::index, run.bad_op->name(), ": index out of range at flat position ",
         context.status().position.load(), ", received ", context.status().value.load());
  }
}

}  // namespace maas
