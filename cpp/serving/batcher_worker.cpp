// The batcher's own thread: closes batches, runs them, ends their jobs. Also what ends jobs that wait: deadlines and
// stop.
#include <array>
#include <cstring>
#include <utility>

#include "serving/batcher.h"
#include "serving/failure.h"

namespace maas::serving {
namespace {

// Without memory for the text the answer has none.
void set_error(Job& job, std::string_view text) noexcept {
  try {
    job.error = text;
  } catch (...) {
    job.error.clear();
  }
}
}  // namespace

void Batcher::end_waiting(Job& job, int status, const char* error) {
  job.status = status;
  set_error(job, error);
  --waiting_;
  metrics_->queue_depth.store(waiting_, kRelaxed);
}

void Batcher::notify(Ended& ended) {
  for (auto& job : ended) job->job_done();
  ended.clear();
}

// Moves staged requests, oldest first, into batches that have come back.
void Batcher::refill(Ended& failed) {
  while (!staged_.empty()) {
    const std::shared_ptr<Job> job = staged_.front();
    if (job->state.load() == JobState::waiting) {
      if (failed.size() == failed.capacity()) failed.reserve(2 * failed.size() + 8);  // before it is taken off
      try {
        if (!place(*job, job->rows, job->row_shapes)) return;
        for (size_t i = 0; i < job->staged.size(); ++i) {
          std::memcpy(input(*job, i), job->staged[i].data(), job->staged[i].size());
        }
        open_->entries[job->entry].job = job;
      } catch (...) {
        JobState expected = JobState::waiting;
        if (job->state.compare_exchange_strong(expected, JobState::expired)) {
          end_waiting(*job, 0, "");
          describe_failure(metrics_->model, job->status, job->error);
          failed.push_back(job);
        }
      }
    }
    for (const auto& s : job->staged) staged_bytes_ -= static_cast<int64_t>(s.size());
    job->staged.clear();
    staged_.pop_front();
  }
  pool_->want(staged_writers_ > 0);
}

// Drops the rows of requests that are gone, and moves the rest together. `ended` has room for all of them.
void Batcher::compact(BatchBuffer& b, Ended& ended) {
  const auto now = Clock::now();
  size_t kept = 0;
  int64_t fill = 0;
  for (auto& e : b.entries) {
    if (!e.job) continue;
    JobState expected = JobState::waiting;
    const bool late = e.job->deadline <= now;
    if (!e.job->state.compare_exchange_strong(expected, late ? JobState::expired : JobState::running)) continue;
    if (late) {
      end_waiting(*e.job, 504, "the request waited longer than its timeout");
      ended.push_back(std::move(e.job));
      continue;
    }
    --waiting_;
    if (fill != e.begin) {
      for (size_t i = 0; i < b.row_bytes.size(); ++i) {
        char* base = static_cast<char*>(b.memory->input(i));
        const size_t n = b.row_bytes[i];
        std::memmove(base + static_cast<size_t>(fill) * n, base + static_cast<size_t>(e.begin) * n,
                     static_cast<size_t>(e.rows) * n);
      }
      e.job->begin = e.begin = fill;
    }
    fill += e.rows;
    if (&b.entries[kept] != &e) b.entries[kept] = std::move(e);
    ++kept;
  }
  metrics_->queue_depth.store(waiting_, kRelaxed);
  b.entries.erase(b.entries.begin() + static_cast<ptrdiff_t>(kept), b.entries.end());
  b.fill = fill;
}

// The next batch to run, or null if it is not time yet (after waiting for something to change).
Batcher::Buffer Batcher::take(std::unique_lock<std::mutex>& lock, Ended& ended) {
  if (running_ || !has_work()) {
    changed_.wait(lock);
    return nullptr;
  }
  refill(ended);
  if (closed_.empty() && open_ && !open_->entries.empty()) {
    const auto due = open_->oldest + std::chrono::microseconds(options_.max_queue_delay_us);
    CloseReason reason = CloseReason::immediate;
    if (open_->fill == open_->capacity) {
      reason = CloseReason::full;
    } else if (stopping_) {
      reason = CloseReason::drain;
    } else if (options_.max_queue_delay_us > 0) {
      if (Clock::now() < due) {
        changed_.wait_until(lock, due);
        return nullptr;
      }
      reason = CloseReason::delay;
    }
    close_open(reason);
  }
  if (closed_.empty() || closed_.front()->writers > 0) {
    // A batch that comes back wakes this thread without the lock, so look again after a short time.
    changed_.wait_for(lock, std::chrono::milliseconds(5));
    return nullptr;
  }
  // For compact, and for the answers after the run: nothing may be in want of memory once the batch is off the list.
  ended.reserve(ended.size() + closed_.front()->entries.size());
  Buffer b = std::move(closed_.front());
  closed_.pop_front();
  compact(*b, ended);
  return b;
}

void Batcher::worker() {
  std::unique_lock lock(mutex_);
  while (!(stopping_ && !has_work() && !running_)) {
    Ended ended;
    Buffer b;
    try {
      b = take(lock, ended);
    } catch (const std::bad_alloc&) {
      changed_.wait_for(lock, std::chrono::milliseconds(5));  // others may give memory back
    }
    const bool run = b && !b->entries.empty();
    if (run) running_ = true;
    lock.unlock();
    notify(ended);
    if (run) {
      execute(*b);
      for (auto& e : b->entries) ended.push_back(std::move(e.job));
      b->entries.clear();
    }
    b.reset();
    // The next run must not wait for the answers of this one, and the answers not for the lock.
    notify(ended);
    lock.lock();
    if (run) running_ = false;
  }
}

void Batcher::execute(BatchBuffer& b) {
  const auto start = Clock::now();
  metrics_->batch_close[static_cast<size_t>(b.reason)].fetch_add(1, kRelaxed);
  metrics_->batch_size.observe_rows(b.fill);
  int status = 200;
  std::string text;
  try {
    servable_->run(*b.memory, b.fill);
  } catch (...) {
    describe_failure(metrics_->model, status, text);
  }
  const auto took = Clock::now() - start;
  auto& cost = cost_of(b.fill);
  const int64_t ns = std::chrono::duration_cast<std::chrono::nanoseconds>(took).count();
  const int64_t old = cost.load(kRelaxed);
  cost.store(old < 0 ? ns : old + (ns - old) / 4, kRelaxed);
  for (auto& e : b.entries) {
    metrics_->queue.observe_seconds(start - e.job->enqueued);
    metrics_->compute.observe_seconds(took);
    e.job->started = start;
    e.job->status = status;
    set_error(*e.job, text);
  }
  // One bad request must not fail its neighbours: after an error each runs again on its own.
  if (status != 200 && b.entries.size() > 1) run_alone(b);
  for (auto& e : b.entries) e.job->state.store(JobState::done);
}

void Batcher::run_alone(BatchBuffer& b) {
  for (auto& e : b.entries) {
    try {
      auto own = std::make_shared<BatchBuffer>();
      own->row_shapes = b.row_shapes;
      own->row_bytes = b.row_bytes;
      own->capacity = own->fill = e.rows;
      own->memory = servable_->make_batch(e.rows, b.row_shapes);
      for (size_t i = 0; i < b.row_bytes.size(); ++i) {
        std::memcpy(own->memory->input(i),
                    static_cast<char*>(b.memory->input(i)) + static_cast<size_t>(e.begin) * b.row_bytes[i],
                    static_cast<size_t>(e.rows) * b.row_bytes[i]);
      }
      servable_->run(*own->memory, e.rows);
      e.job->buffer = std::move(own);
      e.job->begin = 0;
      e.job->status = 200;
      e.job->error.clear();
    } catch (...) {
      describe_failure(metrics_->model, e.job->status, e.job->error);
    }
  }
}

// ---- deadlines and the end

// Ends the waiting jobs whose deadline is not behind `until`. Some at a time and without asking for memory: a job that
// is taken off is answered.
void Batcher::end_due(Clock::time_point until, int status, const char* error) {
  std::array<std::shared_ptr<Job>, 32> ended;
  size_t count;
  do {
    count = 0;
    {
      std::lock_guard lock(mutex_);
      const auto look = [&](const std::shared_ptr<Job>& job) {
        JobState expected = JobState::waiting;
        if (count == ended.size() || !job || job->deadline > until) return;
        if (!job->state.compare_exchange_strong(expected, JobState::expired)) return;
        end_waiting(*job, status, error);
        ended[count++] = job;
      };
      for (const auto& b : closed_) {
        for (const auto& e : b->entries) look(e.job);
      }
      if (open_) {
        for (const auto& e : open_->entries) look(e.job);
      }
      for (const auto& job : staged_) look(job);
    }
    for (size_t i = 0; i < count; ++i) std::exchange(ended[i], nullptr)->job_done();
  } while (count == ended.size());
}

void Batcher::expire(Clock::time_point now) { end_due(now, 504, "the request waited longer than its timeout"); }

void Batcher::stop(Clock::duration drain) {
  const auto limit = Clock::now() + drain;
  {
    std::unique_lock lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  while (Clock::now() < limit && metrics_->in_flight.load(kRelaxed) > 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  end_due(Clock::time_point::max(), 503, "the server is shutting down");
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

}  // namespace maas::serving
