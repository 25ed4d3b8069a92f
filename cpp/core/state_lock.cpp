#include "core/state_lock.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <new>

#include "core/fork.h"
#include "core/interrupt.h"

namespace maas {
namespace {

constexpr auto kPollEvery = std::chrono::milliseconds(10);

// Where threads meet that use a lock. A few for all locks, so that a fork can hold all of them.
struct alignas(64) Place {
  std::mutex mutex;
  std::condition_variable changed;
  int waiting = 0;
};
constexpr size_t kPlaces = 16;

struct Places {
  Place list[kPlaces];
  uint32_t forks = 0;

  static Places& instance() {
    alignas(Places) static unsigned char storage[sizeof(Places)];
    static Places* const places = [] {
      auto* p = new (storage) Places;  // never destroyed: statics may hold state to the end
      at_fork(ForkOrder::state, {[] {
                                   for (Place& p : instance().list) p.mutex.lock();
                                 },
                                 [] {
                                   for (Place& p : instance().list) p.mutex.unlock();
                                 },
                                 [] {
                                   ++instance().forks;
                                   for (Place& p : instance().list) new (&p) Place;
                                 }});
      return p;
    }();
    return *places;
  }
  static Place& of(const StateLock* lock) {
    return instance().list[reinterpret_cast<uintptr_t>(lock) / sizeof(StateLock) % kPlaces];
  }
};

}  // namespace

void StateLock::renew() {
  const uint32_t forks = Places::instance().forks;
  if (forks_ == forks) return;
  forks_ = forks;
  next_ = serving_ = 0;
  gone_.clear();
  readers_ = 0;
  writer_ = false;
}

void StateLock::enter(bool shared) {
  if (shared)
    ++readers_;
  else
    writer_ = true;
  ++serving_;
  pass_over();
}

void StateLock::pass_over() {
  for (;;) {
    const auto it = std::find(gone_.begin(), gone_.end(), serving_);
    if (it == gone_.end()) return;
    gone_.erase(it);
    ++serving_;
  }
}

bool StateLock::acquire(bool shared, Poll poll) {
  Place& place = Places::of(this);
  std::unique_lock guard(place.mutex);
  renew();
  uint64_t ticket = next_++;
  while (serving_ != ticket || !admits(shared)) {
    ++place.waiting;
    if (poll)
      place.changed.wait_for(guard, kPollEvery);
    else
      place.changed.wait(guard);
    --place.waiting;
    if (!poll || (serving_ == ticket && admits(shared))) continue;
    const uint32_t forks = forks_;
    guard.unlock();
    const bool stop = interrupt_requested() || poll();
    guard.lock();
    renew();
    if (stop) {
      if (forks != forks_) return false;
      gone_.push_back(ticket);
      if (serving_ == ticket) pass_over();
      if (place.waiting) place.changed.notify_all();
      return false;
    }
    if (forks != forks_) ticket = next_++;  // a signal handler forked, and this is the child
  }
  enter(shared);
  if (place.waiting) place.changed.notify_all();  // the next reader may come too
  return true;
}

bool StateLock::try_lock() {
  std::lock_guard guard(Places::of(this).mutex);
  renew();
  if (next_ != serving_ || !admits(false)) return false;
  ++next_;
  enter(false);
  return true;
}

bool StateLock::try_lock_shared() {
  std::lock_guard guard(Places::of(this).mutex);
  renew();
  if (next_ != serving_ || !admits(true)) return false;
  ++next_;
  enter(true);
  return true;
}

void StateLock::unlock() {
  Place& place = Places::of(this);
  std::lock_guard guard(place.mutex);
  renew();
  writer_ = false;
  if (place.waiting) place.changed.notify_all();
}

void StateLock::unlock_shared() {
  Place& place = Places::of(this);
  std::lock_guard guard(place.mutex);
  renew();
  if (readers_ > 0) --readers_;  // none if taken before a fork
  if (place.waiting) place.changed.notify_all();
}

}  // namespace maas
