#include "runtime/executor.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <new>
#include <shared_mutex>
#include <utility>

#include "core/error.h"
#include "core/float_mode.h"
#include "core/fork.h"
#include "core/interrupt.h"
#include "core/out_of_memory.h"
#include "core/threads.h"
#include "core/wait.h"
#include "runtime/control.h"
#include "runtime/gpu_run.h"

namespace maas {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kPollEvery = std::chrono::milliseconds(10);

// On a crowded machine a barrier may cost a time slice: steps of many phases, and whole runs this short, stay on one
// thread. The bits are the same.
constexpr int64_t kManyPhases = 8;
constexpr double kShortRunNs = 1e6;
// A run that is over before a sleeper is awake does without it.
constexpr double kBriefRunNs = 3e4;
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

// Runs share it while they write state; a fork takes it alone. Reset in the child, where other runs are gone.
std::shared_mutex writing_mutex;
const bool fork_handlers = [] {
  at_fork(ForkOrder::commits, {[] { writing_mutex.lock(); }, [] { writing_mutex.unlock(); },
                               [] { new (&writing_mutex) std::shared_mutex; }});
  return true;
}();

enum class Stop : int { no, interrupted, bad_data };

// Units of a step that takes longer than this are handed out in slices, so that a request to stop is seen in between
// and a member that lost its core delays the others by one slice only. The bits are the same for every cut.
constexpr double kSliceNs = 4e6, kLeastSliceNs = 0.25e6;
// Memory that is touched for the first time may cost a hundred times the estimate, in bursts. So the first slice is
// tiny, and slices at most double.
constexpr double kFirstSliceNs = 0.02e6;
// The clock is read after so much estimated work: estimates may be wrong by a lot.
constexpr double kLookEveryNs = 0.25e6;

// All members walk the list of steps together. A step of a team of one is run by member 0; a barrier stands before and
// after every step that several run, and between phases. Barriers are counted: whoever stops a run says at which one
// everybody leaves.
// Bodies of branches and loops are lists of steps like any, walked by the same members.
struct Run {
  static constexpr int64_t kNever = INT64_MAX;

  Context& context;
  size_t commit;
  RunOptions options;
  Commit* writing;
  TeamBarrier* barrier;
  bool crowded = false;  // something else wants our cores, so barriers are dear
  std::atomic<int64_t> leave_at{kNever};
  // Of sliced phases: every member has a range of units and, when it is through, helps others with theirs. So a member
  // stays near what it has in its cache. Even and odd barriers take turns.
  static constexpr int kRanges = 16;
  struct alignas(64) Taken {
    std::atomic<int64_t> units[2] = {0, 0};
  } taken[kRanges] = {};
  Stop why = Stop::no;
  std::atomic<const Op*> bad_op{nullptr};  // what found bad data
  Clock::time_point last_poll = Clock::now();

  struct Member {
    Run* run;
    int worker, team;
    Exec exec;
    int64_t met = 0;  // barriers behind us
    bool parallel_before = false;
    bool committed = false;  // behind the commit point nobody stops
    double not_looked = 0;   // estimated nanoseconds since member 0 last read the clock
  };

  bool bad_data() const { return context.status().position.load(std::memory_order_relaxed) != Status::none; }
  // Every member that ran a part of a step, after it, so that the op named is the one that found bad data: all who run,
  // run the same step.
  void note_bad_data(const Op* op) {
    const Op* none = nullptr;
    if (bad_data()) bad_op.compare_exchange_strong(none, op, std::memory_order_relaxed);
  }
  bool stopping() const { return leave_at.load(std::memory_order_relaxed) != kNever; }

  // By member 0 alone and before the commit point. Others learn of it at once, and all leave at its next barrier.
  void stop(Stop reason, const Member& me) {
    why = reason;
    leave_at.store(me.met + 1, std::memory_order_relaxed);
  }

  bool told_to_stop() const {
    return interrupt_requested() || (options.given_up && options.given_up->load(std::memory_order_relaxed));
  }
  bool interrupted(Clock::time_point now) {
    if (told_to_stop()) return true;
    if (!options.poll || now - last_poll <= kPollEvery) return false;
    last_poll = now;
    return options.poll();
  }

  // True if the member must do no more work: member 0 looks for a reason, the others at what it found.
  bool must_stop(Member& me, Clock::time_point now) {
    if (me.worker == 0 && !stopping() && interrupted(now)) stop(Stop::interrupted, me);
    return stopping();
  }
  static bool asked_by_kernel(void* member) {
    auto& me = *static_cast<Member*>(member);
    return me.run->must_stop(me, me.worker == 0 ? Clock::now() : Clock::time_point());
  }

  // False: everybody leaves.
  bool meet(Member& me) {
    if (me.team == 1) return !stopping();
    if (me.worker < kRanges) taken[me.worker].units[(me.met + 1) % 2].store(0, std::memory_order_relaxed);
    barrier->wait();
    return ++me.met < leave_at.load(std::memory_order_relaxed);
  }

  void run_cut(const Context::Step& step, int64_t begin, int64_t end, const Exec& exec, size_t s) const {
    uint64_t state = options.cut_seed + s * 0x9e3779b97f4a7c15ull + static_cast<uint64_t>(exec.phase);
    while (begin < end) {
      state = state * 6364136223846793005ull + 1442695040888963407ull;
      const int64_t next = std::min(end, begin + 1 + static_cast<int64_t>((state >> 33) % 7));
      step.plan->row->run(step.args, begin, next, exec);
      begin = next;
    }
  }

  // Slices of ranges that the members share. The first is short, the next ones follow what was measured.
  void run_slices(const Context::Step& step, int64_t units, int members, double estimate, bool may_stop, Member& me) {
    const auto count = [&](double ns_a_unit, double ns) {
      return std::max<int64_t>(
          1, static_cast<int64_t>(std::min(ns / std::max(ns_a_unit, 1e-3), static_cast<double>(units))));
    };
    const int ranges = std::min(members, kRanges), helpers = (members + ranges - 1) / ranges;
    int64_t size = count(estimate / static_cast<double>(units), kFirstSliceNs);
    auto before = Clock::now();
    for (int r = 0; r < ranges; ++r) {
      const int range = (me.worker + r) % ranges;
      const int64_t first = units * range / ranges, last = units * (range + 1) / ranges;
      std::atomic<int64_t> own{0};
      auto& next = members > 1 ? taken[range].units[me.met % 2] : own;
      for (;;) {
        if (first + next.load(std::memory_order_relaxed) >= last) break;
        const int64_t begin = first + next.fetch_add(size, std::memory_order_relaxed);
        if (begin >= last) break;
        const int64_t end = std::min(last, begin + size);
        step.plan->row->run(step.args, begin, end, me.exec);
        const auto now = Clock::now();
        if (may_stop && must_stop(me, now)) return;
        const double measured =
            std::chrono::duration<double, std::nano>(now - before).count() / static_cast<double>(end - begin);
        before = now;
        // Units that are long by themselves are not gathered: the last ones are for whoever is free.
        const int64_t least = measured > kFirstSliceNs ? 1 : count(measured, kLeastSliceNs),
                      most = std::max(least, count(measured, kSliceNs));
        // Smaller towards the end, so that all members are done at about the same time.
        size = std::min(2 * size, std::clamp((last - end) / (2 * helpers), least, most));
      }
    }
  }

  void run_phase(const Context::Step& step, size_t s, bool may_stop, int members, Member& me) {
    const int64_t units = me.exec.phase ? step.plan->op->units(step.args, me.exec.phase) : step.units;
    const double estimate = step.work_ns / static_cast<double>(step.phases), part = estimate / members;
    if (part > kLeastSliceNs && units > 1 && !options.cut_seed) {
      run_slices(step, units, members, estimate, may_stop, me);
    } else {
      const int64_t begin = units * me.worker / members, end = units * (me.worker + 1) / members;
      if (begin < end) {
        if (options.cut_seed)
          run_cut(step, begin, end, me.exec, s);
        else
          step.plan->row->run(step.args, begin, end, me.exec);
      }
    }
    if (me.worker || !may_stop || (me.not_looked += part) < kLookEveryNs) return;
    me.not_looked = 0;
    must_stop(me, Clock::now());
  }

  void member(int worker, int team) {
    Member me{this, worker, team, Exec{context.scratch(worker), &context.status(), 0, worker}};
    me.exec.stopper = &me;
    if (walk(context, commit, me) && team > 1) meet(me);
  }

  // A step's time as the caller's thread sees it, and the part of it that each member worked, of the outermost list.
  void note_step(size_t s, Clock::time_point start) const {
    (*options.step_ns)[s] += std::chrono::duration<double, std::nano>(Clock::now() - start).count();
  }
  void note_worker(size_t s, const Member& me, Clock::time_point start) const {
    const size_t members = options.worker_ns->size() / context.steps().size();
    (*options.worker_ns)[s * members + static_cast<size_t>(me.worker)] +=
        std::chrono::duration<double, std::nano>(Clock::now() - start).count();
  }

  // False: everybody leaves.
  bool walk(Context& where, size_t commit_at, Member& me) {
    const auto& steps = where.steps();
    const bool outer = &where == &context;
    for (size_t s = 0; s < steps.size(); ++s) {
      const Context::Step& step = steps[s];
      const bool may_stop = s < commit_at && !me.committed;
      int members = crowded && step.phases > kManyPhases ? 1 : std::min(step.team, me.team);
      if (step.control && members > 1) members = me.team;
      if (me.worker == 0 && s <= commit_at && !me.committed && !stopping()) {
        if (bad_data())
          stop(Stop::bad_data, me);
        else if (told_to_stop())
          stop(Stop::interrupted, me);
      }
      if (me.team == 1 && stopping()) return false;
      if (me.worker == 0 && s == commit_at && writing && !stopping()) writing->begin();
      const bool parallel = members > 1;
      if (me.team > 1 && (parallel || me.parallel_before || s == commit_at)) {
        if (!meet(me)) return false;
        // Somebody may have found it after member 0 looked. All see the same: no step behind the commit point reports.
        if (s == commit_at && bad_data()) {
          if (me.worker == 0) why = Stop::bad_data;
          return false;
        }
      }
      if (s == commit_at) me.committed = true;
      me.parallel_before = parallel;
      me.exec.stop = may_stop ? asked_by_kernel : nullptr;
      const bool timed = outer && options.step_ns && me.worker == 0;
      const bool worker_timed = outer && options.worker_ns && (parallel ? me.worker < members : me.worker == 0);
      const auto now = [](bool wanted) { return wanted ? Clock::now() : Clock::time_point(); };
      const auto start = now(timed);
      if (step.control) {
        const auto began = now(worker_timed);
        if (!walk_control(*step.control, parallel, me)) return false;
        if (worker_timed) note_worker(s, me, began);
      } else {
        for (int64_t p = 0; p < step.phases; ++p) {
          if (p && parallel && !meet(me)) return false;
          me.exec.phase = p;
          const auto began = now(worker_timed);
          if (me.worker < members && !(may_stop && stopping())) run_phase(step, s, may_stop, members, me);
          if (worker_timed) note_worker(s, me, began);
          if (me.team == 1 && stopping()) return false;
        }
        if (me.worker < members) note_bad_data(step.plan->op.get());
      }
      if (timed) note_step(s, start);
    }
    return true;
  }

  // A step that holds sub-Graphs. All members walk the bodies, or member 0 alone as a team of one: then it meets
  // nobody, and if it stops in there, all leave at the next barrier.
  bool walk_control(ControlRun& control, bool parallel, Member& me) {
    if (!parallel && (me.worker || stopping())) return me.team > 1;
    me.parallel_before = false;  // all have just met
    const int team = parallel ? me.team : std::exchange(me.team, 1);
    const bool on = control.is_branch() ? walk(control.chosen(), SIZE_MAX, me) : turns(control, me);
    me.team = team;
    me.parallel_before = parallel;
    return on || (!parallel && team > 1);
  }

  // Member 0 moves values between turns, in order with the steps it runs alone.
  bool turns(ControlRun& control, Member& me) {
    const auto settle = [&] { return !std::exchange(me.parallel_before, false) || meet(me); };
    const int64_t bound = control.bound();
    const bool moves = me.worker == 0;
    if (moves) control.begin();
    int64_t turn = 0;
    for (; turn < bound; ++turn) {
      if (moves && !me.committed) must_stop(me, Clock::now());
      // The next barrier is where all leave, wherever in the walk each of them meets it.
      if (stopping()) return meet(me);
      if (Context* condition = control.condition(turn)) {
        if (!walk(*condition, SIZE_MAX, me) || !meet(me)) return false;
        me.parallel_before = false;
        if (!control.goes_on(turn)) break;
      }
      if (moves) control.before(turn, bound);
      if (!walk(control.body(turn), SIZE_MAX, me) || !settle()) return false;
      if (moves && !stopping()) control.after(turn, bound);
    }
    if (moves && !stopping()) control.end(turn);
    return true;
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

Commit::~Commit() {
  if (held_) writing_mutex.unlock_shared();
}

void Commit::begin() {
  writing_mutex.lock_shared();
  held_ = true;
}

void execute(Context& context, size_t commit, const RunOptions& options, Commit* writing) {
  if (GpuRun* gpu = context.gpu_run()) return gpu->execute(context, commit, options, writing);
  const auto& steps = context.steps();
  context.status().position.store(Status::none, std::memory_order_relaxed);
  Run run{context, commit, options, writing, nullptr};
  int64_t crowded_until = wait::crowded_until.load(std::memory_order_relaxed);
  const int64_t crowded_for = crowded_until - wait::now_ns();
  run.crowded = crowded_for > 0;
  const bool is_short = context.team() > 1 && context.work_ns() < kShortRunNs;
  const bool alone = crowded_for > wait::kCrowdedFor - short_run_alone.load(std::memory_order_relaxed);
  if (is_short && run.crowded && !alone) {
    // A short run that tries its team again has to spin: to be woken costs more than the run.
    wait::crowded_until.compare_exchange_strong(crowded_until, 0, std::memory_order_relaxed);
    run.crowded = false;
    crowded_until = 0;
  }
  if (context.team() == 1 || (is_short && alone)) {
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
    const auto run_job = context.work_ns() < kBriefRunNs ? &ThreadPool::run_brief : &ThreadPool::run;
    (ThreadPool::instance().*run_job)(
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
    if (run.bad_data())
      run.why = Stop::bad_data;
    else if (interrupt_requested())
      run.why = Stop::interrupted;
    else if (writing)
      writing->begin();
  }
  if (run.why == Stop::interrupted) {
    clear_interrupt();
    throw Error(ErrorKind::interrupted, "interrupted; no state was written");
  }
  if (run.why == Stop::bad_data) {
    fail_bad_index(*run.bad_op.load(), context.status().position.load(), context.status().value.load());
  }
}

void fail_bad_index(const Op& op, int64_t position, int64_t value) {
  if (position == kOutOfMemory) fail(ErrorKind::memory, op.name(), ": memory ran out inside the kernel");
  if (const std::string rule = rule_of(op); !rule.empty())
    fail(ErrorKind::index, rule, ", received ", value, " (flat position ", position, " in the batch)");
  fail(ErrorKind::index, op.name(), ": index out of range at flat position ", position, ", received ", value);
}

}  // namespace maas
