#include "core/variable.h"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <shared_mutex>

#include "core/error.h"
#include "core/fork.h"
#include "core/gpu.h"
#include "core/state_lock.h"

namespace maas {
namespace {
std::atomic<int64_t> g_epoch{0};
std::atomic<int64_t> g_merges{0};
std::atomic<int64_t> g_moves{0};
std::mutex g_locks;  // guards every Variable's lock_ and every lock's replaced_by; held across fork
const bool g_fork_handlers = [] {
  at_fork(ForkOrder::variables, {[] { g_locks.lock(); }, [] { g_locks.unlock(); }, [] { g_locks.unlock(); }});
  return true;
}();

std::shared_ptr<StateLock> root(std::shared_ptr<StateLock> lock) {
  while (lock->replaced_by) lock = lock->replaced_by;
  return lock;
}
}  // namespace

// An array that somebody else holds too is copied where it lies, or by the way to where new Variables do.
Variable::Variable(Array value, std::string name, bool trainable)
    : Variable(Take{}, value, std::move(name), trainable) {}

Variable::Variable(Take, Array value, std::string name, bool trainable)
    : name(std::move(name)),
      initial_trainable(trainable),
      value_(value.device() != current_device() ? value.to(current_device())
             : value.storage.use_count() == 1   ? std::move(value)
                                                : value.clone()),
      lock_(std::make_shared<StateLock>()) {}

std::shared_ptr<StateLock> Variable::lock() const {
  std::lock_guard guard(g_locks);
  return lock_ = root(lock_);
}

int64_t Variable::epoch() { return g_epoch.load(std::memory_order_acquire); }
int64_t Variable::merges() { return g_merges.load(std::memory_order_acquire); }

void Variable::touch() {
  version_.fetch_add(1, std::memory_order_acq_rel);
  g_epoch.fetch_add(1, std::memory_order_acq_rel);
}

// The lock may be exchanged by a merge while we wait for it; then wait for the new one.
Array Variable::read_here() const {
  for (;;) {
    auto held = lock();
    std::shared_lock guard(*held);
    if (held == lock()) return value_.clone();
  }
}

Array Variable::read() const { return read_here().host(); }

void Variable::write(const Array& value) {
  auto shape_text = [](const std::vector<int64_t>& s) {
    std::string out = "(";
    for (size_t i = 0; i < s.size(); ++i) out += (i ? ", " : "") + std::to_string(s[i]);
    return out + (s.size() == 1 ? ",)" : ")");
  };
  check(value.dtype == dtype() && value.shape == shape(), "variable '", name, "' holds ", dtype(), " of shape ",
        shape_text(shape()), ", received ", value.dtype, " of shape ", shape_text(value.shape));
  for (;;) {
    auto held = lock();
    std::unique_lock guard(*held);
    if (held != lock()) continue;
    const Device here = device();
    if (here.is_cpu())
      std::memcpy(value_.data(), value.host().data(), value.bytes());
    else if (value.device() == here)
      gpu().copy(here.index, value_.data(), value.data(), value.bytes());
    else
      gpu().upload(here.index, value_.data(), value.host().data(), value.bytes());
    touch();
    return;
  }
}

int64_t Variable::moves() { return g_moves.load(std::memory_order_acquire); }

void Variable::move_to(Device device) {
  // Programs that hold the lock ask for what is there already.
  if (device == value_.device()) return;
  for (;;) {
    auto held = lock();
    std::unique_lock guard(*held);
    if (held != lock()) continue;
    if (device == value_.device()) return;
    value_ = value_.to(device);
    g_moves.fetch_add(1, std::memory_order_acq_rel);
    touch();
    return;
  }
}

std::shared_ptr<StateLock> Variable::share_lock(const std::vector<VariablePtr>& variables) {
  if (variables.empty()) return std::make_shared<StateLock>();
  for (;;) {
    auto distinct = [&] {
      std::lock_guard guard(g_locks);
      std::vector<std::shared_ptr<StateLock>> locks;
      for (const auto& v : variables) locks.push_back(v->lock_ = root(v->lock_));
      std::sort(locks.begin(), locks.end());
      locks.erase(std::unique(locks.begin(), locks.end()), locks.end());
      return locks;
    };
    auto locks = distinct();
    if (locks.size() == 1) return locks[0];
    // Nobody may run under an old lock while it is replaced: take all of them, in one order.
    for (auto& l : locks) l->lock();
    const bool current = distinct() == locks;
    if (current) {
      std::lock_guard guard(g_locks);
      auto fresh = std::make_shared<StateLock>();
      for (auto& l : locks) l->replaced_by = fresh;
      g_merges.fetch_add(1, std::memory_order_acq_rel);
    }
    for (auto& l : locks) l->unlock();
  }
}

}  // namespace maas
