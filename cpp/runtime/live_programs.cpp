#include <new>

#include "core/fork.h"
#include "runtime/program_parts.h"

namespace maas {

LivePrograms& LivePrograms::instance() {
  static LivePrograms* const live = [] {
    at_fork(ForkOrder::programs, {prepare, [] { after(false); }, [] { after(true); }});
    return new LivePrograms;  // never destroyed: statics may hold programs to the end
  }();
  return *live;
}

void LivePrograms::add(Program* p) {
  std::lock_guard guard(mutex);
  p->next_live_ = first;
  if (first) first->previous_live_ = p;
  first = p;
}

void LivePrograms::remove(Program* p) {
  std::lock_guard guard(mutex);
  (p->previous_live_ ? p->previous_live_->next_live_ : first) = p->next_live_;
  if (p->next_live_) p->next_live_->previous_live_ = p->previous_live_;
}

void LivePrograms::prepare() {
  instance().mutex.lock();
  for (Program* p = instance().first; p; p = p->next_live_) p->mutex_.lock();
}

void LivePrograms::after(bool child) {
  for (Program* p = instance().first; p; p = p->next_live_) {
    if (child) forget_others(*p);
    p->mutex_.unlock();
  }
  instance().mutex.unlock();
}

// Another thread may have been preparing: what it was binding is left alone.
void LivePrograms::forget_others(Program& p) {
  if (p.prepare_mutex_.try_lock()) return p.prepare_mutex_.unlock();
  new (&p.prepare_mutex_) std::mutex;
  (void)p.prepare_context_.release();
  p.was_prepared_ = false;
  p.prepared_epoch_.store(-1, std::memory_order_relaxed);
}

}  // namespace maas
