#pragma once
#include <atomic>
#include <vector>

#include "core/state_lock.h"
#include "runtime/context.h"

namespace maas {

struct RunOptions {
  // Asked every 10 ms, inside long steps too, by the caller's thread; true stops the run before its commit point.
  Poll poll = nullptr;
  // Tests: every member's range of units is cut at random places drawn from this seed, to show that cuts change no bit.
  uint64_t cut_seed = 0;
  // Profiles: adds each step's nanoseconds, as the caller's thread saw them, to (*step_ns)[step].
  std::vector<double>* step_ns = nullptr;
  // The same as each member of the team saw its own part, without waiting: (*worker_ns)[step * members + member], room
  // for as many members as a team may have.
  std::vector<double>* worker_ns = nullptr;
  // Results of a GPU stay in its memory and may not be there yet; else they come to the host.
  bool keep_on_device = false;
  // Set by another part of the same call that gave up: this one gives up too.
  const std::atomic<bool>* given_up = nullptr;
};

// Held while state is written, from the commit point of a run to its end: a fork waits for it, so that a child never
// has half a step.
class Commit {
 public:
  Commit() = default;
  ~Commit();
  Commit(const Commit&) = delete;
  void begin();

 private:
  bool held_ = false;
};

// Throws Error(index) for a bad index that an op found, in the words of the layer or loss that made it if it has some.
[[noreturn]] void fail_bad_index(const Op& op, int64_t position, int64_t value);

// Runs the bound steps of a context. Between [0, commit) and [commit, end) lies the commit point: an interrupt or bad
// data found before it throws and no state is written. Throws Error(interrupted), Error(index) naming op, position and
// value. `writing` begins at the commit point; null if no state is written.
void execute(Context& context, size_t commit, const RunOptions& options, Commit* writing = nullptr);

}  // namespace maas
