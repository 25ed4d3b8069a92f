// What happens around fork(). A child has only the thread that forked: a lock that another thread held would stay held
// in it for ever, and what that lock guards might be half changed. So locks that are held for moments are taken before
// the fork, outer ones first; those that are held for the length of a run are made anew in the child.
#pragma once

namespace maas {

// The order in which handlers run before a fork; afterwards they run the other way round.
enum class ForkOrder { commits, eager, programs, variables, state, threads, allocator, count };

struct ForkHandlers {
  void (*prepare)();
  void (*parent)();
  void (*child)();
};

// Once for each place, before its lock is first taken.
void at_fork(ForkOrder order, const ForkHandlers& handlers);

}  // namespace maas
