#include "core/fork.h"

#include <pthread.h>

#include <atomic>
#include <mutex>

namespace maas {
namespace {

constexpr int kCount = static_cast<int>(ForkOrder::count);
ForkHandlers handlers[kCount];
std::atomic<bool> present[kCount];

void prepare() {
  for (int i = 0; i < kCount; ++i)
    if (present[i].load(std::memory_order_acquire)) handlers[i].prepare();
}
void after(void (*ForkHandlers::*what)()) {
  for (int i = kCount; i-- > 0;)
    if (present[i].load(std::memory_order_acquire)) (handlers[i].*what)();
}

}  // namespace

void at_fork(ForkOrder order, const ForkHandlers& h) {
  static const int registered =
      pthread_atfork(prepare, [] { after(&ForkHandlers::parent); }, [] { after(&ForkHandlers::child); });
  (void)registered;
  handlers[static_cast<int>(order)] = h;
  present[static_cast<int>(order)].store(true, std::memory_order_release);
}

}  // namespace maas
