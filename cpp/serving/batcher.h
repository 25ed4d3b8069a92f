// Collects the rows of several requests into one run of a model.
//
// A request reserves rows of the open batch for its row shapes, writes them in place and submits; the next batches fill
// while one runs. When every batch is taken the rows wait in memory of the request and are copied in when a batch comes
// back. A request of more rows than a batch holds becomes several that way, and is answered when all of them ended.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "serving/batch_pool.h"
#include "serving/metrics.h"
#include "serving/model_stats.h"
#include "serving/servable.h"

namespace maas::serving {

struct BatcherOptions {
  int64_t max_batch_size = 32;
  std::vector<int64_t> preferred_batch_size;  // a batch of such a size does not wait for its delay
  int64_t max_queue_delay_us = 0;             // 0: run at once what is there
  int64_t max_queue_size = 1024;              // requests that wait; more are refused
  int64_t max_queue_bytes = int64_t{1} << 28;
  int64_t max_batch_bytes = int64_t{1} << 28;  // input bytes of one batch; lowers its capacity for large rows
  int max_batches = 3;                         // one runs, one fills, one is being answered
  int instances = 1;                           // runs at the same time
  int priority_levels = 1;                     // a request may ask for 1, the first, up to this
  int default_priority = 0;                    // of requests that ask for none; 0: the middle
  int64_t inline_budget_ns = 40'000;           // longest run that an I/O thread may do itself; 0 turns it off
};

enum class JobState : uint8_t { waiting, running, done, expired };

// One request's rows. The owner of the request derives from it.
struct Job : std::enable_shared_from_this<Job> {
  virtual ~Job() = default;
  // Called once on another thread when the job ended there; never for a job that submit() finished itself.
  virtual void job_done() noexcept = 0;
  // Nobody waits for the answer any more: rows that have not started are not run.
  virtual bool unwanted() const noexcept { return false; }

  std::atomic<JobState> state{JobState::waiting};
  int64_t begin = 0, rows = 0;
  int64_t priority = 0;                 // as the client asks; 0: the model's default
  std::shared_ptr<BatchBuffer> buffer;  // holds inputs, then outputs; drop it as soon as the answer is written
  size_t entry = 0;
  std::vector<Shape> row_shapes;
  // Rows that wait outside of a batch, one per input, and the memory for them (the whole request's, for a part of it).
  std::vector<std::byte*> source;
  std::vector<std::vector<std::byte>> staged;
  int64_t staged_bytes = 0;
  int64_t parts = 1;  // runs that the request is cut into
  Clock::time_point enqueued, deadline, started;
  Clock::duration compute{};  // of the runs it rode in
  int status = 200;
  std::string error;
};

class Batcher {
 public:
  Batcher(std::shared_ptr<Servable> servable, BatcherOptions options, std::shared_ptr<ModelMetrics> metrics,
          std::shared_ptr<ModelStats> stats);
  ~Batcher();

  enum class Admission : uint8_t { ok, queue_full, stopping };
  // Gives `job` its rows. Every ok is followed by exactly one submit or abandon.
  Admission reserve(Job& job, int64_t rows, std::vector<Shape> row_shapes);
  // Throws Error(value) if a request has more rows than could ever be admitted, where a batch holds `capacity`.
  void check_rows(int64_t rows, int64_t capacity) const;
  void* input(Job& job, size_t i) const;
  void abandon(Job& job) noexcept;
  // later: the worker runs it. ended: it ran on this thread, or was refused with 429. deferred, only if the caller
  // `has_rounds`: it waits in a batch for others of this round of the caller's, who calls run_deferred at its end;
  // full: and now, as the batch takes no more.
  enum class Submitted : uint8_t { later, ended, deferred, full };
  Submitted submit(const std::shared_ptr<Job>& job, bool has_rounds = false);
  // Runs the batch of deferred jobs on this thread, or leaves it to the worker where that is better. Its jobs hear of
  // their end by job_done.
  void run_deferred() noexcept;

  // Runs the model on zeros, with one row and with a full batch, so that no client pays for the first runs. Before
  // requests come. Throws what the model throws, unless it finds fault with the zeros.
  void warm_up();
  void expire(Clock::time_point now);  // ends waiting jobs whose deadline passed, and those nobody waits for
  void stop(Clock::duration drain);    // refuses new jobs, finishes the waiting ones, then ends the threads
  // Whether a request that came now would be refused; a hint, so that no time goes into reading it.
  bool is_full() const { return metrics_->queue_depth.load(std::memory_order_relaxed) >= options_.max_queue_size; }
  bool has_waiting() const { return has_waiting_.load(std::memory_order_relaxed); }
  int64_t memory_bytes() const { return pool_->input_bytes(); }
  const BatcherOptions& options() const { return options_; }

 private:
  using Buffer = std::shared_ptr<BatchBuffer>;
  using Ended = std::vector<std::shared_ptr<Job>>;
  using Buckets = std::vector<Buffer>;

  int level_of(int64_t priority) const;
  Buckets::iterator bucket(int level, const std::vector<Shape>& row_shapes);
  void close(Buckets::iterator it, CloseReason reason);
  bool place(Job& job, int level);
  bool count_staged(Job& job);
  void forget_staged(Job& job) noexcept;
  void stage(Job& job);
  void stage_or_abandon(Job& job);
  Admission reserve_parts(Job& job, int64_t capacity);
  bool splits() const;
  void submit_parts(const std::shared_ptr<Job>& job);
  bool set_level(Job& job, int level);
  void give_rows_back(Job& job) noexcept;
  void count_waiting(int64_t change);
  bool refill(int level, Ended& failed);
  Buffer take(std::unique_lock<std::mutex>& lock, Ended& ended, bool& has_core);
  void get_core(std::unique_lock<std::mutex>& lock, bool& has_core) const;
  void drop_core(bool& has_core) const;
  bool close_due(int below, Clock::time_point& due, bool really);
  void compact(BatchBuffer& b, Ended& ended);
  void execute(BatchBuffer& b);
  void run_alone(BatchBuffer& b);
  void worker();
  bool is_short(const Job& job) const;
  std::atomic<int64_t>& cost_of(int64_t rows) const {
    return cost_ns_[std::min<size_t>(23, std::bit_width(static_cast<uint64_t>(rows)))];
  }
  bool has_staged() const {
    return std::any_of(staged_.begin(), staged_.end(), [](const auto& q) { return !q.empty(); });
  }
  bool has_work() const { return !closed_.empty() || !open_.empty() || staged_writers_ > 0 || has_staged(); }
  void end_waiting(Job& job, int status, const char* error);
  void end_due(Clock::time_point until, int status, const char* error);
  static void notify(Ended& ended);

  std::shared_ptr<Servable> servable_;
  BatcherOptions options_;
  std::shared_ptr<ModelMetrics> metrics_;
  std::shared_ptr<ModelStats> stats_;
  std::shared_ptr<BatchPool> pool_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Buckets open_;  // batches that fill: one for each level and row shapes. None is empty for long
  std::deque<Buffer> closed_;
  std::vector<std::deque<std::shared_ptr<Job>>> staged_;  // by level
  int staged_writers_ = 0;
  int64_t waiting_ = 0, shown_waiting_ = 0, staged_bytes_ = 0;
  std::atomic<bool> has_waiting_{false};
  int running_ = 0;
  bool stopping_ = false;
  mutable std::array<std::atomic<int64_t>, 24> cost_ns_;  // by bit width of the number of rows; -1: not measured yet
  std::vector<std::thread> threads_;
};

}  // namespace maas::serving
