// How a thread waits for a word of memory to change: spin, yield, then sleep in the kernel.
#pragma once

#include <immintrin.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <climits>
#include <cstdint>

namespace maas::wait {

inline int64_t now_ns() { return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1); }

// Sleeps while word == expected; may wake early.
inline void sleep_while(std::atomic<uint32_t>& word, uint32_t expected) noexcept {
  syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, expected, nullptr, nullptr, 0);
}
inline void wake(std::atomic<uint32_t>& word, int how_many) noexcept {
  syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, how_many, nullptr, nullptr, 0);
}

// Until when spinning is a waste, because a yield showed that something else wants our cores. Shared by all waiters.
inline std::atomic<int64_t> crowded_until{0};
inline constexpr int64_t kCrowdedFor = 50'000'000;

struct Patience {
  int64_t spin_ns, yield_ns;
};
// A worker between two runs: to be woken costs 30 us and more, and a caller that works through Python comes back in
// less than 100. Yielding costs a neighbour nothing.
inline constexpr Patience kForWork{5'000, 100'000};
// A member that waits for its team: the others are at work, at most a slice longer.
inline constexpr Patience kForTeam{10'000, 300'000};

// Polls done() for a while; false: go to sleep. On a crowded machine it sleeps almost at once, since a sleeper that is
// woken is scheduled sooner than a thread that gave its time slice away.
template <class Done>
bool poll(Done done, Patience patience) noexcept {
  for (int i = 0; i < 64; ++i) {
    if (done()) return true;
    _mm_pause();
  }
  int64_t now = now_ns();
  if (now < crowded_until.load(std::memory_order_relaxed)) return done();
  for (const int64_t end = now + patience.spin_ns; now < end; now = now_ns()) {
    for (int i = 0; i < 16; ++i) {
      if (done()) return true;
      _mm_pause();
    }
  }
  // Less than a time slice of another thread, more than what a hypervisor or an interrupt takes now and then.
  constexpr int64_t kSlowYield = 1'000'000;
  for (const int64_t end = now + patience.yield_ns; now < end;) {
    if (done()) return true;
    sched_yield();
    const int64_t after = now_ns();
    if (after - now > kSlowYield) {  // somebody else ran
      crowded_until.store(after + kCrowdedFor, std::memory_order_relaxed);
      return done();
    }
    now = after;
  }
  return done();
}

}  // namespace maas::wait
