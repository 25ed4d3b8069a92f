#include "core/threads.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>

#include "core/cgroup.h"
#include "core/error.h"
#include "core/float_mode.h"
#include "core/fork.h"
#include "core/wait.h"

namespace maas {
namespace {

// What a worker is doing. The caller that claimed it may add kWaited and sleep on the word until it is idle again.
enum Status : uint32_t { kIdle, kParked, kPosted, kRunning, kLeave, kWaited = 16 };

struct alignas(128) Worker {  // two lines: the adjacent line is prefetched
  std::atomic<uint32_t> status{kIdle};
  Job job = nullptr;
  void* ctx = nullptr;
  int index = 0, team = 0;
  int caller_cpu = -1;
  int64_t moved_at = 0;
  pthread_t thread = {};
};

thread_local bool in_job = false;

// A worker that was woken on its caller's core would take turns with it, each waiting for the other; the kernel leaves
// two threads that yield to each other where they are. So it asks for the other cores, and then for all of them again.
void leave_callers_core(Worker& w) {
  constexpr int64_t kSeldom = 1'000'000;
  if (w.caller_cpu < 0 || sched_getcpu() != w.caller_cpu) return;
  const int64_t now = wait::now_ns();
  if (now - w.moved_at < kSeldom) return;
  w.moved_at = now;
  cpu_set_t all;
  if (w.caller_cpu >= CPU_SETSIZE || pthread_getaffinity_np(pthread_self(), sizeof(all), &all)) return;
  cpu_set_t others = all;
  CPU_CLR(w.caller_cpu, &others);
  if (CPU_COUNT(&others) == 0 || pthread_setaffinity_np(pthread_self(), sizeof(others), &others)) return;
  pthread_setaffinity_np(pthread_self(), sizeof(all), &all);
}

void work(Worker& w) {
  leave_callers_core(w);
  FlushDenormals flush;
  in_job = true;
  w.job(w.ctx, w.index, w.team);
  in_job = false;
}

void* worker_main(void* arg) {
  Worker& w = *static_cast<Worker*>(arg);
  for (;;) {
    uint32_t s = w.status.load(std::memory_order_acquire);
    if ((s & ~kWaited) == kPosted) {
      if (!w.status.compare_exchange_weak(s, kRunning | (s & kWaited), std::memory_order_acq_rel)) continue;
      work(w);
      if (w.status.exchange(kIdle, std::memory_order_acq_rel) & kWaited) wait::wake(w.status, 1);
    } else if (s == kLeave) {
      return nullptr;
    } else if (s == kParked) {
      wait::sleep_while(w.status, kParked);
    } else if (!wait::poll([&] { return w.status.load(std::memory_order_acquire) != kIdle; }, wait::kForWork)) {
      w.status.compare_exchange_strong(s, kParked, std::memory_order_acq_rel);  // fails if work came
    }
  }
}

void post(Worker& w, Status what) {
  if (w.status.exchange(what, std::memory_order_acq_rel) == kParked) wait::wake(w.status, 1);
}

bool resting(uint32_t status) { return status == kIdle || status == kParked; }

// Returns when the worker has done its part, or was called off before it began.
void join(Worker& w, bool call_off) {
  auto& status = w.status;
  uint32_t s = kPosted;
  if (call_off && status.compare_exchange_strong(s, kIdle, std::memory_order_acq_rel)) return;
  while (!wait::poll([&] { return resting(status.load(std::memory_order_acquire)); }, wait::kForTeam)) {
    s = status.load(std::memory_order_acquire);
    while (!resting(s) && !(s & kWaited)) {
      if (status.compare_exchange_weak(s, s | kWaited, std::memory_order_acq_rel)) s |= kWaited;
    }
    if (s & kWaited) wait::sleep_while(status, s);
  }
}

int configured_threads() {
  const char* text = std::getenv("MAAS_NUM_THREADS");
  if (!text || !*text) return default_threads();
  int n = 0;
  const char* end = text + std::strlen(text);
  const auto [stop, error] = std::from_chars(text, end, n);
  if (error != std::errc() || stop != end || n < 1 || n > ThreadPool::max_size) {
    throw Error(ErrorKind::value, "MAAS_NUM_THREADS must be an integer in [1, " + std::to_string(ThreadPool::max_size) +
                                      "], received '" + text + "'");
  }
  return n;
}

std::mutex start_mutex;  // guards the making of state and threads; held across fork

}  // namespace

struct ThreadPool::State {
  static constexpr int kWords = max_size / 64;

  std::atomic<int> size{1};     // threads that may work at once, callers included
  std::atomic<int> started{0};  // workers 0 .. started-1 have a thread
  std::atomic<int> busy{0};     // callers in a run, and the workers they claimed
  std::atomic<uint64_t> free[kWords] = {};
  std::atomic<int64_t> brief_run_ended{0};
  std::atomic<Worker*> workers[max_size] = {};

  struct Team {
    uint64_t bits[kWords];
    int words = 0, count = 0;  // bits[0 .. words-1] are valid
  };

  // Claims up to `want` free workers.
  void claim(int want, Team& team) {
    const int words = (started.load(std::memory_order_acquire) + 63) / 64;
    while (team.words < words && team.count < want) {
      const int i = team.words++;
      uint64_t have = free[i].load(std::memory_order_relaxed), take;
      do {
        take = 0;
        int n = team.count;
        for (uint64_t left = have; left && n < want; left &= left - 1, ++n) take |= left & -left;
      } while (take && !free[i].compare_exchange_weak(have, have & ~take, std::memory_order_acq_rel));
      team.bits[i] = take;
      team.count += std::popcount(take);
    }
  }

  template <class F>
  void for_each(const Team& team, F f) {
    for (int i = 0; i < team.words; ++i) {
      for (uint64_t left = team.bits[i]; left; left &= left - 1) {
        f(*workers[i * 64 + std::countr_zero(left)].load(std::memory_order_acquire));
      }
    }
  }

  int count_free() const {
    int n = 0;
    for (int i = 0; i < (started.load(std::memory_order_acquire) + 63) / 64; ++i) {
      n += std::popcount(free[i].load(std::memory_order_relaxed));
    }
    return n;
  }

  // Gives back those of a team that sleep, and wakes them if the next run may be near.
  void leave_sleepers(Team& team) {
    constexpr int64_t kNear = 200'000;
    int near = -1;
    for (int i = 0; i < team.words; ++i)
      for (uint64_t left = team.bits[i]; left; left &= left - 1) {
        const int number = i * 64 + std::countr_zero(left);
        auto& status = workers[number].load(std::memory_order_acquire)->status;
        uint32_t parked = kParked;
        if (status.load(std::memory_order_relaxed) != kParked) continue;
        team.bits[i] &= ~(left & -left);
        --team.count;
        if (near < 0) near = wait::now_ns() - brief_run_ended.load(std::memory_order_relaxed) < kNear;
        if (near && status.compare_exchange_strong(parked, kIdle, std::memory_order_acq_rel)) wait::wake(status, 1);
        release(number);
      }
  }

  void release(int worker) { free[worker / 64].fetch_or(uint64_t(1) << worker % 64, std::memory_order_acq_rel); }

  // Starts threads until `workers` exist. start_mutex is held.
  void start(int count) {
    count = std::min(count, size.load() - 1);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);  // signals belong to the threads of the program
    int failed = 0;
    int i = started.load();
    for (; i < count; ++i) {
      Worker* w = workers[i].load(std::memory_order_relaxed);
      if (!w) workers[i].store(w = new Worker, std::memory_order_release);
      w->status.store(kIdle, std::memory_order_relaxed);
      if ((failed = pthread_create(&w->thread, nullptr, worker_main, w))) break;
      pthread_setname_np(w->thread, "maas-worker");
      started.store(i + 1, std::memory_order_release);
      release(i);
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (failed) {
      throw Error(ErrorKind::runtime, "thread pool: could not start thread " + std::to_string(i + 2) + " of " +
                                          std::to_string(size.load()) + " (" + std::strerror(failed) +
                                          "); set MAAS_NUM_THREADS to fewer");
    }
  }

  // Ends the last worker if it is above `count` and free. False when none is above. start_mutex is held.
  bool stop_one_above(int count) {
    const int i = started.load() - 1;
    if (i < count) return false;
    const uint64_t bit = uint64_t(1) << i % 64;
    if (free[i / 64].fetch_and(~bit, std::memory_order_acq_rel) & bit) {
      Worker& w = *workers[i].load(std::memory_order_relaxed);
      post(w, kLeave);
      pthread_join(w.thread, nullptr);
      started.store(i, std::memory_order_release);
    }
    return true;
  }
};

// A child process has only the thread that forked: it forgets the parent's pool and makes its own on first use.
struct ThreadPoolAccess {
  static void prepare() { start_mutex.lock(); }
  static void parent() { start_mutex.unlock(); }
  static void child() {
    ThreadPool::instance().state_.store(nullptr, std::memory_order_relaxed);
    in_job = false;
    start_mutex.unlock();
  }
};

ThreadPool& ThreadPool::instance() {
  alignas(ThreadPool) static unsigned char storage[sizeof(ThreadPool)];
  static ThreadPool* const pool = [] {
    auto* p = new (storage) ThreadPool;  // never destroyed, so threads and static destructors may use it to the end
    at_fork(ForkOrder::threads, {ThreadPoolAccess::prepare, ThreadPoolAccess::parent, ThreadPoolAccess::child});
    return p;
  }();
  return *pool;
}

ThreadPool::State& ThreadPool::state() {
  if (State* s = state_.load(std::memory_order_acquire)) return *s;
  std::lock_guard lock(start_mutex);
  if (State* s = state_.load(std::memory_order_acquire)) return *s;
  const int size = configured_threads();  // may throw
  auto* s = new State;
  s->size.store(size);
  state_.store(s, std::memory_order_release);
  return *s;
}

int ThreadPool::size() { return state().size.load(std::memory_order_relaxed); }

int ThreadPool::available() {
  State& s = state();
  return in_job ? 1 : std::max(1, s.size.load(std::memory_order_relaxed) - s.busy.load(std::memory_order_relaxed));
}

void ThreadPool::resize(int threads) {
  if (threads < 1 || threads > max_size) {
    throw Error(ErrorKind::value, "number of threads must be in [1, " + std::to_string(max_size) + "], received " +
                                      std::to_string(threads));
  }
  if (in_job)
    throw Error(ErrorKind::runtime,
                "number of threads cannot change inside a job, received " + std::to_string(threads));
  State& s = state();
  {
    std::lock_guard lock(start_mutex);
    s.size.store(threads);
  }
  for (;;) {  // unlocked between tries: a job may fork, and fork takes the lock
    {
      std::lock_guard lock(start_mutex);
      if (!s.stop_one_above(s.size.load() - 1)) return;
    }
    sched_yield();
  }
}

void ThreadPool::run(int want, Job job, void* ctx) { run_team(want, job, ctx, Kind::plain); }
void ThreadPool::run_brief(int want, Job job, void* ctx) { run_team(want, job, ctx, Kind::brief); }
void ThreadPool::run_elastic(int want, Job job, void* ctx) { run_team(want, job, ctx, Kind::elastic); }

void ThreadPool::run_team(int want, Job job, void* ctx, Kind kind) {
  FlushDenormals flush;
  if (in_job) return job(ctx, 0, 1);
  State& s = state();
  State::Team team;
  const int size = s.size.load(std::memory_order_relaxed);
  // Callers count too: two callers on two cores run alone instead of making three threads.
  const int room = std::min(want, size - s.busy.fetch_add(1, std::memory_order_relaxed)) - 1;
  if (room > 0) {
    if (s.started.load(std::memory_order_acquire) < size - 1 && s.count_free() < room) {
      try {
        std::lock_guard lock(start_mutex);
        s.start(s.started.load() + room - s.count_free());
      } catch (...) {
        s.busy.fetch_sub(1, std::memory_order_relaxed);
        throw;
      }
    }
    s.claim(room, team);
    if (kind == Kind::brief) s.leave_sleepers(team);
    if (team.count) s.busy.fetch_add(team.count, std::memory_order_relaxed);
  }
  int index = 1;
  const int cpu = team.count ? sched_getcpu() : -1;
  s.for_each(team, [&](Worker& w) {
    w.caller_cpu = cpu;
    w.job = job;
    w.ctx = ctx;
    w.index = index++;
    w.team = team.count + 1;
    post(w, kPosted);
  });
  in_job = true;
  job(ctx, 0, team.count + 1);
  in_job = false;
  if (state_.load(std::memory_order_relaxed) != &s) return;  // forked inside the job: the workers stayed in the parent
  s.for_each(team, [&](Worker& w) { join(w, kind == Kind::elastic); });
  for (int i = 0; i < team.words; ++i) {
    if (team.bits[i]) s.free[i].fetch_or(team.bits[i], std::memory_order_acq_rel);
  }
  if (kind == Kind::brief) s.brief_run_ended.store(wait::now_ns(), std::memory_order_relaxed);
  s.busy.fetch_sub(team.count + 1, std::memory_order_relaxed);
}

void TeamBarrier::wait() noexcept {
  if (team_ <= 1) return;
  const uint32_t phase = phase_.load(std::memory_order_acquire);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == team_) {
    arrived_.store(0, std::memory_order_relaxed);
    phase_.store(phase + 1, std::memory_order_seq_cst);
    if (sleepers_.load(std::memory_order_seq_cst)) wait::wake(phase_, INT_MAX);
    return;
  }
  const auto passed = [&] { return phase_.load(std::memory_order_seq_cst) != phase; };
  while (!wait::poll(passed, wait::kForTeam)) {
    sleepers_.fetch_add(1, std::memory_order_seq_cst);
    if (!passed()) wait::sleep_while(phase_, phase);
    sleepers_.fetch_sub(1, std::memory_order_relaxed);
  }
}

int default_threads() {
  int n = 0;
  for (int cpus = 1024; cpus <= 1 << 20 && n == 0; cpus *= 4) {  // the kernel wants a set at least as large as its own
    cpu_set_t* set = CPU_ALLOC(cpus);
    const size_t bytes = CPU_ALLOC_SIZE(cpus);
    CPU_ZERO_S(bytes, set);
    if (sched_getaffinity(0, bytes, set) == 0) n = CPU_COUNT_S(bytes, set);
    CPU_FREE(set);
  }
  n = std::max(n, 1);
  if (const auto quota = cgroup_cpus()) n = std::min(n, std::max(1, int(std::ceil(*quota))));
  return std::min(n, ThreadPool::max_size);
}

}  // namespace maas
