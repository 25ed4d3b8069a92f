// A thread that asks and waits for the answer, instead of a connection.
#pragma once

#include <condition_variable>
#include <mutex>

#include "serving/service.h"

namespace maas::serving {

class ThreadWaiter final : public Waiter {
 public:
  ~ThreadWaiter() override {
    if (got_) got_->drop();
  }
  void job_done(std::shared_ptr<Pending> request) noexcept override {
    std::lock_guard lock(mutex_);
    got_ = std::move(request);
    changed_.notify_one();
  }
  std::shared_ptr<Pending> take() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return got_ != nullptr; });
    return std::move(got_);
  }
  // Null if nothing has come by then.
  std::shared_ptr<Pending> take(Clock::time_point until) {
    std::unique_lock lock(mutex_);
    changed_.wait_until(lock, until, [this] { return got_ != nullptr; });
    return std::move(got_);
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::shared_ptr<Pending> got_;
};

}  // namespace maas::serving
