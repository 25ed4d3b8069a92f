// The batcher's own thread: closes batches, runs them, ends their jobs. Also what ends jobs that wait: deadlines and
// stop.
#include <array>
#include <cstring>
#include <utility>

#include "core/error.h"
#include "serving/batcher.h"
#include "serving/failure.h"
#include "serving/run_share.h"

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
  count_waiting(-1);
}

void Batcher::notify(Ended& ended) {
  for (auto& job : ended) job->job_done();
  ended.clear();
}

// Moves staged requests of a level, oldest first, into batches that have come back. A request may pass another of other
// row shapes that finds no batch. False: some are left.
bool Batcher::refill(int level, Ended& failed) {
  auto& queue = staged_[static_cast<size_t>(level)];
  size_t kept = 0, looked = 0;
  const std::vector<Shape>* last_left = nullptr;
  if (!queue.empty()) failed.reserve(failed.size() + queue.size());  // before any is taken off
  for (; looked < queue.size(); ++looked) {
    Job& job = *queue[looked];
    bool leaves = true;
    // Those behind one that found no place keep their order.
    if (job.state.load() == JobState::waiting && last_left != nullptr && job.row_shapes == *last_left) {
      leaves = false;
    } else if (job.state.load() == JobState::waiting) {
      try {
        leaves = place(job, level);
        if (leaves) {
          for (size_t i = 0; i < job.source.size(); ++i)
            std::memcpy(input(job, i), job.source[i], static_cast<size_t>(job.rows) * job.buffer->row_bytes[i]);
          job.buffer->entries[job.entry].job = queue[looked];
        }
      } catch (...) {
        JobState expected = JobState::waiting;
        if (job.state.compare_exchange_strong(expected, JobState::expired)) {
          end_waiting(job, 0, "");
          describe_failure(metrics_->model, job.status, job.error);
          failed.push_back(queue[looked]);
        }
      }
    }
    if (leaves) {
      staged_bytes_ -= job.staged_bytes;
      job.staged.clear();
      queue[looked].reset();
    } else {
      last_left = &job.row_shapes;
      if (kept != looked) queue[kept] = std::move(queue[looked]);
      ++kept;
      if (kept >= 64) break;  // far enough for one look
    }
  }
  ++looked;
  size_t end = kept;
  for (; looked < queue.size(); ++looked, ++end) {
    if (end != looked) queue[end] = std::move(queue[looked]);
  }
  queue.resize(std::min(end, queue.size()));
  return queue.empty();
}

// Drops the rows of requests that are gone, and moves the rest together. `ended` has room for all of them.
void Batcher::compact(BatchBuffer& b, Ended& ended) {
  const auto now = Clock::now();
  size_t kept = 0;
  int64_t fill = 0;
  for (auto& e : b.entries) {
    if (!e.job) continue;
    JobState expected = JobState::waiting;
    const bool late = e.job->deadline <= now, gone = e.job->unwanted();
    if (!e.job->state.compare_exchange_strong(expected, late || gone ? JobState::expired : JobState::running)) continue;
    if (late || gone) {
      end_waiting(*e.job, 504, "the request waited longer than its timeout");
      ended.push_back(std::move(e.job));
      continue;
    }
    --waiting_;  // counted below
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
  count_waiting(0);
  b.entries.erase(b.entries.begin() + static_cast<ptrdiff_t>(kept), b.entries.end());
  b.fill = fill;
}

// Closes the open batch that runs next, of a level above `below`: of those whose time has come the oldest of the first
// level. False: there is none, and `due` is when to look again. Without `really` it only looks.
bool Batcher::close_due(int below, Clock::time_point& due, bool really) {
  const auto now = Clock::now();
  auto best = open_.end();
  CloseReason why = CloseReason::immediate;
  for (auto it = open_.begin(); it != open_.end(); ++it) {
    const BatchBuffer& b = **it;
    const auto end = b.oldest + std::chrono::microseconds(options_.max_queue_delay_us);
    const auto& sizes = options_.preferred_batch_size;
    CloseReason reason = CloseReason::immediate;
    if (b.level >= below) continue;
    if (b.fill == b.capacity) {
      reason = CloseReason::full;
    } else if (stopping_) {
      reason = CloseReason::drain;
    } else if (options_.max_queue_delay_us > 0 && !has_staged()) {
      // Where others wait for a batch, those that are taken must not wait for company.
      reason = CloseReason::delay;
      if (now < end) {
        if (std::find(sizes.begin(), sizes.end(), b.fill) == sizes.end()) {
          due = std::min(due, end);
          continue;
        }
        reason = CloseReason::preferred;
      }
    }
    if (best == open_.end() || b.level < (*best)->level || (b.level == (*best)->level && b.oldest < (*best)->oldest)) {
      best = it;
      why = reason;
    }
  }
  if (best == open_.end()) return false;
  if (really) close(best, why);
  return true;
}

// A run needs a core of its own, unless its model may wait for something else than one.
void Batcher::get_core(std::unique_lock<std::mutex>& lock, bool& has_core) const {
  lock.unlock();
  if (servable_->may_run_inline()) RunShare::instance().acquire();
  has_core = true;
  lock.lock();
}

void Batcher::drop_core(bool& has_core) const {
  if (std::exchange(has_core, false) && servable_->may_run_inline()) RunShare::instance().release();
}

// The next batch to run, or null if it is not time yet (after waiting for something to change). Until there is a core
// for the run its batch goes on filling, and deadlines of its jobs go on passing.
Batcher::Buffer Batcher::take(std::unique_lock<std::mutex>& lock, Ended& ended, bool& has_core) {
  if (running_ >= options_.instances || !has_work()) {
    drop_core(has_core);
    changed_.wait(lock);
    return nullptr;
  }
  bool all = staged_writers_ == 0;
  for (int level = 0; level < options_.priority_levels; ++level) all = refill(level, ended) && all;
  if (all) pool_->want(false);
  if (!ended.empty()) return nullptr;  // to be told first
  const auto first = [&] {
    return std::min_element(closed_.begin(), closed_.end(),
                            [](const Buffer& a, const Buffer& b) { return a->level < b->level; });
  };
  auto due = Clock::time_point::max();
  const bool is_due = close_due(closed_.empty() ? options_.priority_levels : (*first())->level, due, has_core);
  if (!has_core && (is_due || (!closed_.empty() && (*first())->writers == 0))) {
    get_core(lock, has_core);
    return nullptr;
  }
  if (closed_.empty() && !open_.empty() && due != Clock::time_point::max()) {
    drop_core(has_core);
    changed_.wait_until(lock, due);
    return nullptr;
  }
  if (closed_.empty() || (*first())->writers > 0) {
    drop_core(has_core);
    // A batch that comes back wakes this thread without the lock, so look again after a short time.
    changed_.wait_for(lock, std::chrono::milliseconds(5));
    return nullptr;
  }
  // For compact, and for the answers after the run: nothing may be in want of memory once the batch is off the list.
  const auto it = first();
  ended.reserve(ended.size() + (*it)->entries.size());
  Buffer b = std::move(*it);
  closed_.erase(it);
  compact(*b, ended);
  return b;
}

void Batcher::worker() {
  bool has_core = false;
  std::unique_lock lock(mutex_);
  while (!(stopping_ && !has_work() && running_ == 0)) {
    Ended ended;
    Buffer b;
    try {
      b = take(lock, ended, has_core);
    } catch (const std::bad_alloc&) {
      drop_core(has_core);
      changed_.wait_for(lock, std::chrono::milliseconds(5));  // others may give memory back
    }
    const bool run = b && !b->entries.empty();
    if (run) ++running_;
    if (run && running_ < options_.instances && has_work()) changed_.notify_one();
    lock.unlock();
    notify(ended);
    if (run) {
      execute(*b);
      drop_core(has_core);
      for (auto& e : b->entries) ended.push_back(std::move(e.job));
      b->entries.clear();
    }
    b.reset();
    // The next run must not wait for the answers of this one, and the answers not for the lock.
    notify(ended);
    lock.lock();
    if (run) --running_;
    if (stopping_) changed_.notify_all();
  }
  drop_core(has_core);
}

void Batcher::execute(BatchBuffer& b) {
  const auto start = Clock::now();
  metrics_->batch_close[static_cast<size_t>(b.reason)].fetch_add(1, kRelaxed);
  metrics_->batch_size.observe_rows(b.fill);
  int status = 200;
  std::string text;
  try {
    servable_->run(*b.memory, b.fill);
    stats_->ran(b.fill, Clock::now() - start);
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
    e.job->compute = took;
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
      const auto start = Clock::now();
      servable_->run(*own->memory, e.rows);
      e.job->compute = Clock::now() - start;
      stats_->ran(e.rows, e.job->compute);
      e.job->buffer = std::move(own);
      e.job->begin = 0;
      e.job->status = 200;
      e.job->error.clear();
    } catch (...) {
      describe_failure(metrics_->model, e.job->status, e.job->error);
    }
  }
}

void Batcher::warm_up() {
  const ModelInfo& info = servable_->info();
  std::vector<Shape> shapes;
  for (const TensorSpec& t : info.inputs) {
    shapes.emplace_back(t.shape.begin() + (info.batched() ? 1 : 0), t.shape.end());
    for (const int64_t d : shapes.back()) {
      if (d < 0) return;  // nothing says which sizes will come
    }
  }
  try {
    const Buffer b = pool_->acquire(shapes);  // kept for the requests to come
    if (!b) return;                           // they have come already
    for (size_t i = 0; i < shapes.size(); ++i)
      std::memset(b->memory->input(i), 0, b->row_bytes[i] * static_cast<size_t>(b->capacity));
    for (const int64_t rows : {int64_t{1}, b->capacity, int64_t{1}}) {
      const auto start = Clock::now();
      servable_->run(*b->memory, rows);
      // The first run of a size also finds its kernels and memory; the second one of a single row tells its cost.
      const int64_t ns = std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start).count();
      if (rows == 1) cost_of(1).store(ns, kRelaxed);
    }
  } catch (const Error& e) {
    if (e.kind() != ErrorKind::value && e.kind() != ErrorKind::index) throw;
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
        if (count == ended.size() || !job || (job->deadline > until && !job->unwanted())) return;
        if (!job->state.compare_exchange_strong(expected, JobState::expired)) return;
        end_waiting(*job, status, error);
        ended[count++] = job;
      };
      for (const auto& b : closed_) {
        for (const auto& e : b->entries) look(e.job);
      }
      for (const auto& b : open_) {
        for (const auto& e : b->entries) look(e.job);
      }
      for (const auto& queue : staged_) {
        for (const auto& job : queue) look(job);
      }
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
  for (auto& t : threads_) {
    if (t.joinable()) t.join();
  }
}

}  // namespace maas::serving
