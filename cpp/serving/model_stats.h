// What the statistics routes tell of one model.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "serving/metrics.h"
#include "serving/servable.h"

namespace maas::serving {

struct Duration {
  Counter count{0}, ns{0};
  void add(Clock::duration d) {
    count.fetch_add(1, std::memory_order_relaxed);
    ns.fetch_add(static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(d).count()),
                 std::memory_order_relaxed);
  }
};

struct ModelStats {
  struct Runs {
    uint64_t count = 0, ns = 0;
  };
  Duration success, fail, queue, read, write;     // per request
  Duration run;                                   // per batch
  Counter rows{0};                                // of runs that ended well
  std::atomic<int64_t> last_ms{0};                // of the last answer, since 1970
  void ran(int64_t batch, Clock::duration time);  // a run for clients that ended well
  std::map<int64_t, Runs> batches() const;        // by rows

 private:
  mutable std::mutex mutex_;
  std::map<int64_t, Runs> batches_;
};

std::string stats_json(const ModelInfo& info, const ModelStats& stats);  // one entry of "model_stats"

}  // namespace maas::serving
