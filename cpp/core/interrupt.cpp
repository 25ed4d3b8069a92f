#include "core/interrupt.h"

#include <atomic>

namespace maas {
namespace {
std::atomic<bool> requested{false};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler must not lock");
}  // namespace

bool interrupt_requested() noexcept { return requested.load(std::memory_order_relaxed); }
void request_interrupt() noexcept { requested.store(true, std::memory_order_relaxed); }
bool clear_interrupt() noexcept { return requested.exchange(false, std::memory_order_relaxed); }

}  // namespace maas
