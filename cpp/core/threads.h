// The one thread pool of the process, and a barrier for the members of a team.
#pragma once

#include <atomic>
#include <cstdint>

namespace maas {

// Runs on every member of a team: worker in [0, team), 0 is the caller. Must not throw.
using Job = void (*)(void* ctx, int worker, int team);

class ThreadPool {
 public:
  // Lives as long as the process. Threads start when a run first needs them.
  static ThreadPool& instance();

  // Threads that may work at once, callers included: MAAS_NUM_THREADS, or the affinity mask cut by the cgroup quota.
  // Throws Error(value) if MAAS_NUM_THREADS is not an integer in [1, max_size].
  int size();

  // Throws Error(value) unless 1 <= threads <= max_size. Waits for workers that leave the pool, so not from a job.
  void resize(int threads);

  // How large a team a run would get now, the caller included; at least 1.
  int available();

  // Runs job on a team of at most `want` threads, the caller included, and returns when all are done. Takes only
  // workers that are free: never waits for a busy one, so the team may be 1. A run inside a job has a team of 1. FTZ
  // and DAZ are set on every member. Throws Error(runtime) before the job starts if a thread cannot be made.
  void run(int want, Job job, void* ctx);

  // The same for a job of so few microseconds that a sleeping worker would come too late: only workers that are awake
  // join. Sleeping ones are woken for the next run if runs follow each other.
  void run_brief(int want, Job job, void* ctx);

  // The same as run for jobs without a barrier whose members take work from a shared counter until it is used up: when
  // the caller's part is done, members that did not start yet are called off, so a sleepy worker delays nobody.
  void run_elastic(int want, Job job, void* ctx);

  static constexpr int max_size = 1024;

 private:
  friend struct ThreadPoolAccess;  // fork handlers
  struct State;
  ThreadPool() = default;
  ~ThreadPool() = delete;
  State& state();
  enum class Kind { plain, brief, elastic };
  void run_team(int want, Job job, void* ctx, Kind kind);
  std::atomic<State*> state_{nullptr};  // never freed: threads may look at it until the process ends
};

// Lets `team` threads meet again and again. What a member wrote before wait() is seen by all after it.
class TeamBarrier {
 public:
  explicit TeamBarrier(int team) noexcept : team_(uint32_t(team)) {}
  void wait() noexcept;
  TeamBarrier(const TeamBarrier&) = delete;
  TeamBarrier& operator=(const TeamBarrier&) = delete;

 private:
  const uint32_t team_;
  std::atomic<uint32_t> sleepers_{0};
  alignas(64) std::atomic<uint32_t> arrived_{0};
  alignas(64) std::atomic<uint32_t> phase_{0};
};

// The default size: threads allowed by the affinity mask and the cgroup quota (rounded up), MAAS_NUM_THREADS set aside.
int default_threads();

}  // namespace maas
