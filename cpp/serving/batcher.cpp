#include "serving/batcher.h"

#include <cstring>
#include <utility>

#include "core/error.h"
#include "serving/run_share.h"

namespace maas::serving {

Batcher::Batcher(std::shared_ptr<Servable> servable, BatcherOptions options, std::shared_ptr<ModelMetrics> metrics,
                 std::shared_ptr<ModelStats> stats)
    : servable_(std::move(servable)),
      options_(std::move(options)),
      metrics_(std::move(metrics)),
      stats_(std::move(stats)) {
  if (!servable_->info().batched()) options_.max_batch_size = 1;
  if (options_.default_priority == 0) options_.default_priority = (options_.priority_levels + 1) / 2;
  pool_ = std::make_shared<BatchPool>(servable_, std::max(options_.max_batches, options_.instances + 2),
                                      options_.max_batch_size, options_.max_batch_bytes, &changed_);
  staged_.resize(static_cast<size_t>(options_.priority_levels));
  for (auto& c : cost_ns_) c = -1;
  for (int i = 0; i < options_.instances; ++i) threads_.emplace_back([this] { worker(); });
}

Batcher::~Batcher() {
  stop(Clock::duration::zero());
  pool_->forget_owner();
}

int Batcher::level_of(int64_t priority) const {
  const bool known = priority >= 1 && priority <= options_.priority_levels;
  return static_cast<int>(known ? priority : options_.default_priority) - 1;
}

void Batcher::count_waiting(int64_t change) {
  waiting_ += change;
  has_waiting_.store(waiting_ > 0, kRelaxed);
  // A model that was replaced shares its metrics with the new one.
  metrics_->queue_depth.fetch_add(waiting_ - shown_waiting_, kRelaxed);
  shown_waiting_ = waiting_;
}

// ---- admission (I/O threads)

Batcher::Buckets::iterator Batcher::bucket(int level, const std::vector<Shape>& row_shapes) {
  return std::find_if(open_.begin(), open_.end(),
                      [&](const Buffer& b) { return b->level == level && b->row_shapes == row_shapes; });
}

void Batcher::close(Buckets::iterator it, CloseReason reason) {
  closed_.push_back(*it);  // first what may fail
  closed_.back()->reason = reason;
  open_.erase(it);
}

// Finds rows for the job in the open batch of its kind or a new one; false if every batch is taken.
bool Batcher::place(Job& job, int level) {
  auto it = bucket(level, job.row_shapes);
  if (it == open_.end() || (*it)->fill + job.rows > (*it)->capacity) {
    open_.reserve(open_.size() + 1);
    Buffer next = pool_->acquire(job.row_shapes);
    if (!next) return false;
    next->level = level;
    it = bucket(level, job.row_shapes);
    if (it != open_.end()) close(it, CloseReason::full);
    open_.push_back(std::move(next));
    it = open_.end() - 1;
  }
  BatchBuffer& b = **it;
  if (b.entries.empty()) b.oldest = job.enqueued;
  b.entries.push_back({nullptr, b.fill, job.rows});
  job.buffer = *it;
  job.begin = b.fill;
  job.entry = b.entries.size() - 1;
  b.fill += job.rows;
  return true;
}

// Counts the bytes of a job that waits outside of a batch; false if the queue has no room for them. No memory is asked
// for yet, so that a request that is refused costs none.
bool Batcher::count_staged(Job& job) {
  int64_t row = 0;
  for (size_t i = 0; i < job.row_shapes.size(); ++i)
    row += static_cast<int64_t>(row_bytes(job.row_shapes[i], servable_->info().inputs[i].datatype));
  if (job.rows > (options_.max_queue_bytes - staged_bytes_) / std::max<int64_t>(1, row)) return false;
  job.staged_bytes = row * job.rows;
  staged_bytes_ += job.staged_bytes;
  ++staged_writers_;
  pool_->want(true);
  return true;
}

// Takes back what count_staged counted.
void Batcher::forget_staged(Job& job) noexcept {
  --staged_writers_;
  staged_bytes_ -= job.staged_bytes;
}

// Memory of its own for the rows of a job, without the lock: clearing it takes long.
void Batcher::stage(Job& job) {
  for (size_t i = 0; i < job.row_shapes.size(); ++i) {
    const size_t row = row_bytes(job.row_shapes[i], servable_->info().inputs[i].datatype);
    job.staged.emplace_back(row * static_cast<size_t>(job.rows));
    job.source.push_back(job.staged.back().data());
  }
}

void Batcher::stage_or_abandon(Job& job) {
  try {
    stage(job);
  } catch (...) {
    abandon(job);
    throw;
  }
}

Batcher::Admission Batcher::reserve(Job& job, int64_t rows, std::vector<Shape> row_shapes) {
  const int64_t capacity = pool_->capacity(row_shapes);
  job.rows = rows;
  job.row_shapes = std::move(row_shapes);
  if (rows > capacity) return reserve_parts(job, capacity);
  {
    std::lock_guard lock(mutex_);
    if (stopping_) return Admission::stopping;
    if (waiting_ >= options_.max_queue_size) return Admission::queue_full;
    // The client's priority may come after its rows; submit() moves them then.
    if (staged_writers_ == 0 && !has_staged() && place(job, level_of(0))) {
      ++job.buffer->writers;
    } else if (!count_staged(job)) {
      return Admission::queue_full;
    }
    count_waiting(1);
    metrics_->in_flight.fetch_add(1, kRelaxed);
  }
  if (!job.buffer) stage_or_abandon(job);
  return Admission::ok;
}

void* Batcher::input(Job& job, size_t i) const {
  if (!job.buffer) return job.source[i];
  return static_cast<char*>(job.buffer->memory->input(i)) + static_cast<size_t>(job.begin) * job.buffer->row_bytes[i];
}

// Takes the rows out of their batch; a gap is closed before the run.
void Batcher::give_rows_back(Job& job) noexcept {
  BatchBuffer& b = *job.buffer;
  --b.writers;
  if (job.entry + 1 == b.entries.size()) {
    b.fill = b.entries.back().begin;
    b.entries.pop_back();
  }
  if (!b.entries.empty()) return;
  const auto it = std::find(open_.begin(), open_.end(), job.buffer);
  if (it != open_.end()) open_.erase(it);
}

void Batcher::abandon(Job& job) noexcept {
  Buffer keep = job.buffer;  // its last reference must not go under the lock
  {
    std::lock_guard lock(mutex_);
    count_waiting(-job.parts);
    metrics_->in_flight.fetch_sub(1, kRelaxed);
    if (keep) {
      give_rows_back(job);
    } else {
      forget_staged(job);
    }
    job.buffer.reset();
  }
  job.staged.clear();
  changed_.notify_one();
}

// Moves the rows of a job whose level is not that of its batch into memory of its own. False: the queue has no room for
// them and the job has ended.
bool Batcher::set_level(Job& job, int level) {
  Buffer from = job.buffer;  // its last reference must not go under the lock
  if (!from || from->level == level) return true;
  {
    std::lock_guard lock(mutex_);
    if (!count_staged(job)) {
      end_waiting(job, 429, "the queue of the model is full");
      give_rows_back(job);
      job.buffer.reset();
      job.state.store(JobState::done);
      changed_.notify_one();
      return false;
    }
  }
  try {
    stage(job);
  } catch (...) {
    std::lock_guard lock(mutex_);
    forget_staged(job);
    throw;
  }
  for (size_t i = 0; i < job.source.size(); ++i)
    std::memcpy(job.source[i], input(job, i), static_cast<size_t>(job.rows) * from->row_bytes[i]);
  std::lock_guard lock(mutex_);
  give_rows_back(job);
  job.buffer.reset();
  return true;
}

// Whether the job's batch is the only work, and short enough for a thread that serves connections.
bool Batcher::is_short(const Job& job) const {
  if (options_.inline_budget_ns <= 0 || options_.max_queue_delay_us != 0 || running_ != 0 || stopping_) return false;
  if (!closed_.empty() || has_staged() || open_.size() != 1 || job.buffer != open_[0]) return false;
  if (!servable_->may_run_inline()) return false;
  const int64_t cost = cost_of(open_[0]->fill).load(kRelaxed);
  return cost >= 0 && cost <= options_.inline_budget_ns;
}

Batcher::Submitted Batcher::submit(const std::shared_ptr<Job>& job, bool has_rounds) {
  if (job->parts > 1) {
    submit_parts(job);
    return Submitted::later;
  }
  const int level = level_of(job->priority);
  if (!set_level(*job, level)) return Submitted::ended;
  Buffer mine;
  {
    std::lock_guard lock(mutex_);
    if (!job->buffer) {
      staged_[static_cast<size_t>(level)].push_back(job);
      --staged_writers_;
    } else {
      --job->buffer->writers;
      job->buffer->entries[job->entry].job = job;
      const bool is_full = job->buffer->fill == job->buffer->capacity;
      if (has_rounds && is_short(*job)) return is_full ? Submitted::full : Submitted::deferred;
      if (!has_rounds && job->buffer->entries.size() == 1 && is_short(*job) && RunShare::instance().try_acquire()) {
        ++running_;
        mine = std::move(open_[0]);
        open_.clear();
        mine->reason = CloseReason::inline_run;
        count_waiting(-1);
        job->state.store(JobState::running);
      } else if (is_full) {
        const auto it = std::find(open_.begin(), open_.end(), job->buffer);
        try {
          if (it != open_.end()) close(it, CloseReason::full);
        } catch (const std::bad_alloc&) {  // the worker closes it, then
        }
      }
    }
    if (!mine && running_ < options_.instances) changed_.notify_one();
  }
  if (!mine) return Submitted::later;
  execute(*mine);
  RunShare::instance().release();
  mine->entries.clear();
  std::lock_guard lock(mutex_);
  --running_;
  if (has_work() || stopping_) changed_.notify_all();
  return Submitted::ended;
}

void Batcher::run_deferred() noexcept {
  Buffer b;
  Ended ended;
  {
    std::lock_guard lock(mutex_);
    if (!has_work()) return;  // the worker was quicker
    const bool mine = running_ == 0 && closed_.empty() && open_.size() == 1 && open_[0]->writers == 0;
    const int64_t cost = mine ? cost_of(open_[0]->fill).load(kRelaxed) : -1;
    try {
      if (cost >= 0 && cost <= options_.inline_budget_ns) ended.reserve(open_[0]->entries.size());
    } catch (...) {
    }
    if (ended.capacity() == 0 || !RunShare::instance().try_acquire()) {
      changed_.notify_one();
      return;
    }
    ++running_;
    b = std::move(open_[0]);
    open_.clear();
    b->reason = CloseReason::inline_run;
    compact(*b, ended);
  }
  if (!b->entries.empty()) execute(*b);
  RunShare::instance().release();
  // As many as `ended` has room for: those that ran and those that were late.
  for (auto& e : b->entries) ended.push_back(std::move(e.job));
  b->entries.clear();
  b.reset();
  {
    std::lock_guard lock(mutex_);
    --running_;
    if (has_work() || stopping_) changed_.notify_all();
  }
  notify(ended);
}

}  // namespace maas::serving
