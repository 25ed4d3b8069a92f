#pragma once
#include <cstdint>
#include <memory>
#include <vector>

namespace maas {

// Asked now and then by who waits or works for long; true: stop.
using Poll = bool (*)();

// Variables that one Program uses together share a lock: a Program that writes state takes it alone, readers share.
// First come, first served, so that neither calls nor training can keep the other out. In the child of a fork every
// lock is free. Locks form a union-find forest: a merged lock points to the one that replaced it.
class StateLock {
 public:
  // False if `poll`, asked every 10 ms while waiting, or an interrupt said stop; without a poll it waits for ever.
  bool lock(Poll poll = nullptr) { return acquire(false, poll); }
  bool lock_shared(Poll poll = nullptr) { return acquire(true, poll); }
  bool try_lock();
  bool try_lock_shared();
  void unlock();
  void unlock_shared();

  std::shared_ptr<StateLock> replaced_by;  // guarded by a process-wide mutex

 private:
  bool acquire(bool shared, Poll poll);
  void renew();  // after a fork
  bool admits(bool shared) const { return !writer_ && (shared || readers_ == 0); }
  void enter(bool shared);  // whose ticket is served
  void pass_over();         // tickets of who is gone

  // Guarded by one of a few process-wide mutexes.
  uint64_t next_ = 0, serving_ = 0;  // tickets
  std::vector<uint64_t> gone_;       // tickets of who stopped waiting
  int readers_ = 0;
  bool writer_ = false;
  uint32_t forks_ = 0;  // forks seen
};

}  // namespace maas
