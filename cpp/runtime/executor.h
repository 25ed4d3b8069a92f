#pragma once
#include <vector>

#include "runtime/context.h"

namespace maas {

// Asked now and then during a long run, by the caller's thread; true stops the run before its commit point.
using Poll = bool (*)();

struct RunOptions {
  Poll poll = nullptr;
  // Tests: every member's range of units is cut at random places drawn from this seed, to show that cuts change no bit.
  uint64_t cut_seed = 0;
  // Profiles: adds each step's nanoseconds, as the caller's thread saw them, to (*step_ns)[step].
  std::vector<double>* step_ns = nullptr;
};

// Runs the bound steps of a context. Between [0, commit) and [commit, end) lies the commit point: an interrupt or bad
// data found before it throws and no state is written. Throws Error(interrupted), Error(index) naming op, position and
// value.
void execute(Context& context, size_t commit, const RunOptions& options);

}  // namespace maas
