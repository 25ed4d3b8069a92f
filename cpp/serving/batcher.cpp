#include "serving/batcher.h"

#include <utility>

#include "core/error.h"

namespace maas::serving {
namespace {
}  // namespace

Batcher::Batcher(std::shared_ptr<Servable> servable, BatcherOptions options, std::shared_ptr<ModelMetrics> metrics)
    : servable_(std::move(servable)), options_(options), metrics_(std::move(metrics)) {
  if (!servable_->info().batched()) options_.max_batch_size = 1;
  pool_ = std::make_shared<BatchPool>(servable_, options_.max_batches, options_.max_batch_size,
                                      options_.max_batch_bytes, &changed_);
  for (auto& c : cost_ns_) c = -1;
  thread_ = std::thread([this] { worker(); });
}

Batcher::~Batcher() {
  stop(Clock::duration::zero());
  pool_->forget_owner();
}

// ---- admission (I/O threads)

void Batcher::close_open(CloseReason reason) {
  open_->reason = reason;
  closed_.push_back(std::move(open_));
  open_.reset();
}

// Finds rows for the job in the open batch or a new one; false if every batch is taken.
bool Batcher::place(Job& job, int64_t rows, const std::vector<Shape>& row_shapes) {
  const bool same = open_ && open_->row_shapes == row_shapes;
  if (!same || open_->fill + rows > open_->capacity) {
    Buffer next = pool_->acquire(row_shapes);
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
      sizes.push_back(row_bytes(row_shapes[i], servable_->info().inputs[i].datatype) * static_cast<size_t>(rows));
      bytes += sizes.back();
    }
    if (staged_bytes_ + static_cast<int64_t>(bytes) > options_.max_queue_bytes) return Admission::queue_full;
    for (const size_t n : sizes) job.staged.emplace_back(n);
    staged_bytes_ += static_cast<int64_t>(bytes);
    ++staged_writers_;
    pool_->want(true);
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
  const int64_t cost = cost_of(job.rows).load(kRelaxed);
  return cost >= 0 && cost <= options_.inline_budget_ns;
}

bool Batcher::submit(const std::shared_ptr<Job>& job) {
  Buffer mine;
  {
    std::lock_guard lock(mutex_);
    if (!job->buffer) {
      staged_.push_back(job);
      --staged_writers_;
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
        try {
          close_open(CloseReason::full);
        } catch (const std::bad_alloc&) {  // the worker closes it, then
        }
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

}  // namespace maas::serving
