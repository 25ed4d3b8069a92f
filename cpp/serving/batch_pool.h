// Memory for the batches of one model, kept while nobody uses it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

#include "serving/metrics.h"
#include "serving/servable.h"

namespace maas::serving {

struct Job;

struct BatchBuffer {
  std::unique_ptr<Batch> memory;
  std::vector<Shape> row_shapes;
  std::vector<size_t> row_bytes;
  int64_t capacity = 0, fill = 0;
  int level = 0;    // of priority; 0 goes first
  int writers = 0;  // reservations not yet submitted
  struct Entry {
    std::shared_ptr<Job> job;  // null until submitted, and for an abandoned reservation
    int64_t begin, rows;
  };
  std::vector<Entry> entries;
  Clock::time_point oldest;
  CloseReason reason = CloseReason::immediate;
};

size_t row_bytes(const Shape& row, Datatype t);

// Buffers in use hold the pool, so one may come back after the batcher is gone.
class BatchPool : public std::enable_shared_from_this<BatchPool> {
 public:
  // At most `max_batches` at a time, of at most `max_rows` rows and `max_bytes` bytes of input each.
  BatchPool(std::shared_ptr<Servable> servable, int max_batches, int64_t max_rows, int64_t max_bytes,
            std::condition_variable* came_back);
  // Rows of one batch for these shapes.
  int64_t capacity(const std::vector<Shape>& row_shapes) const;
  // Null if all are taken. Throws what Servable::make_batch throws.
  std::shared_ptr<BatchBuffer> acquire(const std::vector<Shape>& row_shapes);
  int64_t input_bytes() const { return input_bytes_.load(kRelaxed); }  // of all batches that exist
  // Requests wait outside for a batch to come back: only then is `came_back` notified.
  void want(bool wanted) { wanted_ = wanted; }
  void forget_owner();  // `came_back` is about to go

 private:
  void give_back(BatchBuffer* b);
  std::unique_ptr<BatchBuffer> make(const std::vector<Shape>& row_shapes);

  std::shared_ptr<Servable> servable_;
  int max_batches_;
  int64_t max_rows_, max_bytes_;
  std::mutex mutex_;  // guards free_ and live_
  std::vector<std::unique_ptr<BatchBuffer>> free_;
  int live_ = 0;
  std::atomic<int64_t> input_bytes_{0};
  std::atomic<bool> wanted_{false};
  std::mutex owner_mutex_;
  std::condition_variable* came_back_;  // null when the batcher is gone; guarded by owner_mutex_
};

}  // namespace maas::serving
