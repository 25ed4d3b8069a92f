#include "serving/batcher.h"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstring>
#include <utility>

#include "core/error.h"

namespace maas::serving {
namespace {
constexpr auto kRelaxed = std::memory_order_relaxed;

size_t bytes_of(const Shape& row, Datatype t) {
  size_t n = datatype_size(t);
  for (const int64_t d : row) n *= static_cast<size_t>(d);
  return n;
}

size_t width(int64_t rows) { return std::min<size_t>(23, std::bit_width(static_cast<uint64_t>(rows))); }
}  // namespace

// Batches at rest. Buffers in use hold the pool, so one may come back after the batcher is gone.
struct Batcher::Pool : std::enable_shared_from_this<Pool> {
  std::mutex mutex;
  std::vector<std::unique_ptr<BatchBuffer>> free;
  int live = 0;
  std::atomic<bool> wanted{false};  // requests wait outside for a batch to come back
  Batcher* owner = nullptr;         // null when the batcher is gone; guarded by owner_mutex
  std::mutex owner_mutex;

  void give_back(BatchBuffer* b) {
    b->entries.clear();
    b->fill = 0;
    b->writers = 0;
    {
      std::lock_guard lock(mutex);
      free.emplace_back(b);
    }
    // Waking the worker costs more than a small run, so only when it has a use for the batch.
    if (!wanted.load()) return;
    std::lock_guard lock(owner_mutex);
    if (owner != nullptr) owner->changed_.notify_all();
  }
};

void describe_failure(const std::string& model, int& status, std::string& text) {
  try {
    throw;
  } catch (const Error& e) {
    switch (e.kind()) {
      case ErrorKind::value:
      case ErrorKind::type:
      case ErrorKind::index:
        status = 400;
        break;
      case ErrorKind::memory:
        status = 503;
        break;
      case ErrorKind::not_implemented:
        status = 501;
        break;
      default:
        status = 500;
        break;
    }
    text = status < 500 || status == 501 ? e.what() : "model '" + model + "' failed";
    if (status == 500) std::fprintf(stderr, "maas: model '%s' failed: %s\n", model.c_str(), e.what());
  } catch (const std::bad_alloc&) {
    status = 503;
    text = "not enough memory to run model '" + model + "'";
  } catch (const std::exception& e) {
    status = 500;
    text = "model '" + model + "' failed";
    std::fprintf(stderr, "maas: model '%s' failed: %s\n", model.c_str(), e.what());
  } catch (...) {
    status = 500;
    text = "model '" + model + "' failed";
  }
}

Batcher::Batcher(std::shared_ptr<Servable> servable, BatcherOptions options, std::shared_ptr<ModelMetrics> metrics)
    : servable_(std::move(servable)), options_(options), metrics_(std::move(metrics)), pool_(std::make_shared<Pool>()) {
  if (!servable_->info().batched()) options_.max_batch_size = 1;
  pool_->owner = this;
  for (auto& c : cost_ns_) c = -1;
  thread_ = std::thread([this] { worker(); });
}

Batcher::~Batcher() {
  stop(Clock::duration::zero());
  std::lock_guard lock(pool_->owner_mutex);
  pool_->owner = nullptr;
}

// ---- admission (I/O threads)

Batcher::Buffer Batcher::acquire(const std::vector<Shape>& row_shapes) {
  std::unique_ptr<BatchBuffer> b;
  {
    std::lock_guard lock(pool_->mutex);
    auto& free = pool_->free;
    auto it = std::find_if(free.begin(), free.end(), [&](const auto& f) { return f->row_shapes == row_shapes; });
    if (it != free.end()) {
      b = std::move(*it);
      free.erase(it);
    } else if (pool_->live < options_.max_batches) {
      ++pool_->live;
    } else if (!free.empty()) {
      free.erase(free.begin());  // the one unused for longest makes room
    } else {
      return nullptr;
    }
  }
  if (!b) {
    try {
      b = std::make_unique<BatchBuffer>();
      b->row_shapes = row_shapes;
      size_t bytes = 0;
      for (size_t i = 0; i < row_shapes.size(); ++i) {
        b->row_bytes.push_back(bytes_of(row_shapes[i], servable_->info().inputs[i].datatype));
        bytes += b->row_bytes.back();
      }
      const auto fits =
          static_cast<int64_t>(static_cast<size_t>(options_.max_batch_bytes) / std::max<size_t>(1, bytes));
      b->capacity = std::clamp<int64_t>(fits, 1, options_.max_batch_size);
      b->memory = servable_->make_batch(b->capacity, row_shapes);
    } catch (...) {
      std::lock_guard lock(pool_->mutex);
      --pool_->live;
      throw;
    }
  }
  return Buffer(b.release(), [pool = pool_](BatchBuffer* p) { pool->give_back(p); });
}

void Batcher::close_open(CloseReason reason) {
  open_->reason = reason;
  closed_.push_back(std::move(open_));
  open_.reset();
}

// Finds rows for the job in the open batch or a new one; false if every batch is taken.
bool Batcher::place(Job& job, int64_t rows, const std::vector<Shape>& row_shapes) {
  const bool same = open_ && open_->row_shapes == row_shapes;
  if (!same || open_->fill + rows > open_->capacity) {
    Buffer next = acquire(row_shapes);
    if (!next) return false;
    if (rows > next->capacity) {
      throw Error(ErrorKind::value, "a request may have at most " + std::to_string(next->capacity) +
                                        " rows (max_batch_size), received " + std::to_string(rows));
    }
    if (open_ && !open_->entries.empty()) close_open(same ? CloseReason::full : CloseReason::shape);
    open_ = std::move(next);
  }
  job.buffer = open_;
  job.begin = open_->fill;
  job.entry = open_->entries.size();
  if (open_->entries.empty()) open_->oldest = job.enqueued;
  open_->entries.push_back({nullptr, job.begin, rows});
  open_->fill += rows;
  return true;
}

Batcher::Admission Batcher::reserve(Job& job, int64_t rows, std::vector<Shape> row_shapes) {
  if (rows > options_.max_batch_size) {
    throw Error(ErrorKind::value, "a request may have at most " + std::to_string(options_.max_batch_size) +
                                      " rows (max_batch_size), received " + std::to_string(rows));
  }
  Buffer displaced;  // released after the lock
  std::lock_guard lock(mutex_);
  if (stopping_) return Admission::stopping;
  if (waiting_ >= options_.max_queue_size) return Admission::queue_full;
  job.rows = rows;
  displaced = open_;
  if (staged_.empty() && staged_writers_ == 0 && place(job, rows, row_shapes)) {
    ++job.buffer->writers;
  } else {
    size_t bytes = 0;
    std::vector<size_t> sizes;
    for (size_t i = 0; i < row_shapes.size(); ++i) {
      sizes.push_back(bytes_of(row_shapes[i], servable_->info().inputs[i].datatype) * static_cast<size_t>(rows));
      bytes += sizes.back();
    }
    if (staged_bytes_ + static_cast<int64_t>(bytes) > options_.max_queue_bytes) return Admission::queue_full;
    for (const size_t n : sizes) job.staged.emplace_back(n);
    staged_bytes_ += static_cast<int64_t>(bytes);
    ++staged_writers_;
    pool_->wanted = true;
  }
  job.row_shapes = std::move(row_shapes);
  ++waiting_;
  metrics_->queue_depth.store(waiting_, kRelaxed);
  metrics_->in_flight.fetch_add(1, kRelaxed);
  return Admission::ok;
}

void* Batcher::input(Job& job, size_t i) const {
  if (!job.buffer) return job.staged[i].data();
  return static_cast<char*>(job.buffer->memory->input(i)) + static_cast<size_t>(job.begin) * job.buffer->row_bytes[i];
}

void Batcher::abandon(Job& job) noexcept {
  Buffer keep = std::move(job.buffer);  // its last reference must not go under the lock
  std::lock_guard lock(mutex_);
  --waiting_;
  metrics_->queue_depth.store(waiting_, kRelaxed);
  metrics_->in_flight.fetch_sub(1, kRelaxed);
  if (keep) {
    --keep->writers;
    if (job.entry + 1 == keep->entries.size()) {
      keep->fill = keep->entries.back().begin;
      keep->entries.pop_back();
    }
  } else {
    --staged_writers_;
    for (const auto& s : job.staged) staged_bytes_ -= static_cast<int64_t>(s.size());
    job.staged.clear();
  }
  changed_.notify_one();
}

bool Batcher::runs_inline(const Job& job) const {
  if (options_.inline_budget_ns <= 0 || options_.max_queue_delay_us != 0 || running_ || stopping_) return false;
  if (!closed_.empty() || !staged_.empty() || job.buffer != open_ || open_->entries.size() != 1) return false;
  if (!servable_->may_run_inline()) return false;
  const int64_t cost = cost_ns_[width(job.rows)].load(kRelaxed);
  return cost >= 0 && cost <= options_.inline_budget_ns;
}

bool Batcher::submit(const std::shared_ptr<Job>& job) {
  Buffer mine;
  {
    std::lock_guard lock(mutex_);
    if (!job->buffer) {
      --staged_writers_;
      staged_.push_back(job);
    } else {
      --job->buffer->writers;
      job->buffer->entries[job->entry].job = job;
      if (runs_inline(*job)) {
        running_ = true;
        open_->reason = CloseReason::inline_run;
        mine = std::move(open_);
        open_.reset();
        --waiting_;
        metrics_->queue_depth.store(waiting_, kRelaxed);
        job->state.store(JobState::running);
      } else if (job->buffer == open_ && open_->fill == open_->capacity) {
        close_open(CloseReason::full);
      }
    }
    if (!mine && !running_) changed_.notify_one();
  }
  if (!mine) return false;
  execute(*mine);
  mine->entries.clear();
  std::lock_guard lock(mutex_);
  running_ = false;
  if (has_work() || stopping_) changed_.notify_one();
  return true;
}

// ---- the worker thread

void Batcher::end_waiting(Job& job, int status, const char* error) {
  job.status = status;
  job.error = error;
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
  pool_->wanted = staged_writers_ > 0;
}

// Drops the rows of requests that are gone, and moves the rest together.
void Batcher::compact(BatchBuffer& b, Ended& ended) {
  const auto now = Clock::now();
  std::vector<BatchBuffer::Entry> kept;
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
    kept.push_back(std::move(e));
  }
  metrics_->queue_depth.store(waiting_, kRelaxed);
  b.entries = std::move(kept);
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
  Buffer b = std::move(closed_.front());
  closed_.pop_front();
  compact(*b, ended);
  return b;
}

void Batcher::worker() {
  std::unique_lock lock(mutex_);
  while (!(stopping_ && !has_work() && !running_)) {
    Ended ended;
    Buffer b = take(lock, ended);
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
  auto& cost = cost_ns_[width(b.fill)];
  const int64_t ns = std::chrono::duration_cast<std::chrono::nanoseconds>(took).count();
  const int64_t old = cost.load(kRelaxed);
  cost.store(old < 0 ? ns : old + (ns - old) / 4, kRelaxed);
  for (auto& e : b.entries) {
    metrics_->queue.observe_seconds(start - e.job->enqueued);
    metrics_->compute.observe_seconds(took);
    e.job->started = start;
    e.job->status = status;
    e.job->error = text;
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

void Batcher::expire(Clock::time_point now) {
  Ended ended;
  {
    std::lock_guard lock(mutex_);
    const auto look = [&](const std::shared_ptr<Job>& job) {
      JobState expected = JobState::waiting;
      if (!job || job->deadline > now || !job->state.compare_exchange_strong(expected, JobState::expired)) return;
      end_waiting(*job, 504, "the request waited longer than its timeout");
      ended.push_back(job);
    };
    for (const auto& b : closed_) {
      for (const auto& e : b->entries) look(e.job);
    }
    if (open_) {
      for (const auto& e : open_->entries) look(e.job);
    }
    for (const auto& job : staged_) look(job);
  }
  notify(ended);
}

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
  Ended ended;
  {
    std::lock_guard lock(mutex_);
    const auto end = [&](const std::shared_ptr<Job>& job) {
      JobState expected = JobState::waiting;
      if (!job || !job->state.compare_exchange_strong(expected, JobState::expired)) return;
      end_waiting(*job, 503, "the server is shutting down");
      ended.push_back(job);
    };
    for (const auto& b : closed_) {
      for (const auto& e : b->entries) end(e.job);
    }
    if (open_) {
      for (const auto& e : open_->entries) end(e.job);
    }
    for (const auto& job : staged_) end(job);
    changed_.notify_all();
  }
  notify(ended);
  if (thread_.joinable()) thread_.join();
}

}  // namespace maas::serving
