#include "serving/run_share.h"

#include "core/threads.h"

namespace maas::serving {

RunShare& RunShare::instance() {
  static RunShare share;
  return share;
}

RunShare::RunShare() : slots_(static_cast<uint64_t>(ThreadPool::instance().size())) {}

void RunShare::acquire() {
  std::unique_lock lock(mutex_);
  const uint64_t mine = next_++;
  changed_.wait(lock, [&] { return mine < ended_ + slots_; });
}

bool RunShare::try_acquire() {
  std::lock_guard lock(mutex_);
  if (next_ >= ended_ + slots_) return false;
  ++next_;
  return true;
}

void RunShare::release() {
  {
    std::lock_guard lock(mutex_);
    ++ended_;
    if (next_ < ended_ + slots_) return;  // nobody waits
  }
  changed_.notify_all();
}

}  // namespace maas::serving
