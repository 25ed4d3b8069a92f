#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace maas {

// Where kernels report bad data (an index out of range): the first offender of a run wins. Kernels go on, memory-safe.
struct Status {
  static constexpr int64_t none = -1;
  std::atomic<int64_t> position{none};  // flat position of the offending element in the index tensor
  std::atomic<int64_t> value{0};
  __attribute__((always_inline)) inline void report(int64_t at, int64_t bad) {
    int64_t expected = none;
    if (position.compare_exchange_strong(expected, at, std::memory_order_relaxed))
      value.store(bad, std::memory_order_relaxed);
  }
};

// What a kernel gets besides its arguments. `scratch` is this worker's own, 64-byte aligned, as large as the op asked.
struct Exec {
  void* scratch = nullptr;
  Status* status = nullptr;
  int64_t phase = 0;  // phases of one kernel run one after the other, all units of one before the next
  int worker = 0;
  // Null where the step must not stop.
  bool (*stop)(void* stopper) = nullptr;
  void* stopper = nullptr;
  // A kernel with long units (a whole sequence, a huge row) asks now and then, about 50 ns each time. If true it
  // returns at once and its results are not used.
  __attribute__((always_inline)) inline bool stopped() const { return stop && stop(stopper); }
};

}  // namespace maas
