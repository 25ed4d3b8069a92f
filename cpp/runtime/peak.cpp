#include "runtime/peak.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>

#include "core/allocator.h"
#include "core/isa.h"
#include "core/threads.h"

namespace maas {
namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// Each array of a thread: with its partner far more than an L2, and more than its share of most L3 caches.
constexpr int64_t kElements = int64_t{1} << 24;
constexpr int kSlices = 8;

// Runs `body(worker)` on a team until the time is over, and returns the best total rate of any slice.
template <class Body>
double best_rate(int threads, double seconds, const Body& body) {
  struct Shared {
    const Body& body;
    double slice;
    std::atomic<int64_t> work{0};
    std::atomic<int64_t> longest_ns{0};
  };
  double best = 0;
  for (int s = 0; s < kSlices; ++s) {
    Shared shared{body, seconds / kSlices};
    ThreadPool::instance().run(
        threads,
        [](void* ctx, int worker, int) {
          auto& s = *static_cast<Shared*>(ctx);
          const auto start = Clock::now();
          int64_t done = 0;
          do done += s.body(worker);
          while (seconds_since(start) < s.slice);
          const auto ns = static_cast<int64_t>(seconds_since(start) * 1e9);
          s.work.fetch_add(done, std::memory_order_relaxed);
          int64_t longest = s.longest_ns.load(std::memory_order_relaxed);
          while (longest < ns && !s.longest_ns.compare_exchange_weak(longest, ns, std::memory_order_relaxed)) {
          }
        },
        &shared);
    best = std::max(best, static_cast<double>(shared.work.load()) / static_cast<double>(shared.longest_ns.load()));
  }
  return best;
}

}  // namespace

Peak measure_peak(int threads, double seconds) {
  const Isa isa = active_isa();
  if (!has(isa, Isa::avx2)) return {};
  const bool wide = has(isa, Isa::avx512);
  const auto fma = wide ? peak_fma_avx512 : peak_fma_avx2;
  const auto triad = wide ? peak_triad_avx512 : peak_triad_avx2;
  threads = std::clamp(threads, 1, ThreadPool::instance().size());
  HostBuffer buffer(static_cast<size_t>(threads) * 2 * kElements * sizeof(float));
  auto* const data = static_cast<float*>(buffer.data());
  std::fill_n(data, static_cast<int64_t>(threads) * 2 * kElements, 0.5f);
  Peak peak;
  peak.gflops = best_rate(threads, seconds, [&](int worker) {
    float* const mine = data + int64_t{worker} * 2 * kElements;
    return fma(mine, mine + kElements, 20'000);
  });
  // One pass takes longer than a slice on slow memory, so the time is that of whole pieces.
  peak.gbytes = best_rate(threads, 4 * seconds, [&](int worker) {
    float* const mine = data + int64_t{worker} * 2 * kElements;
    triad(mine, mine + kElements, kElements);
    return kElements * 12;
  });
  return peak;
}

}  // namespace maas
