// The cores, shared by the models of a process: as many runs at a time as there are compute threads, and the model
// that has waited longest is next. A model has one place in the line for each of its instances, so the busiest one gets
// no more turns than the others.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace maas::serving {

class RunShare {
 public:
  static RunShare& instance();
  void acquire();
  bool try_acquire();
  void release();

 private:
  RunShare();
  std::mutex mutex_;
  std::condition_variable changed_;
  uint64_t next_ = 0, ended_ = 0;
  uint64_t slots_;
};

}  // namespace maas::serving
