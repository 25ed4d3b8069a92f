#include "serving/batch_pool.h"

#include <algorithm>

namespace maas::serving {

size_t row_bytes(const Shape& row, Datatype t) {
  size_t n = datatype_size(t);
  for (const int64_t d : row) n *= static_cast<size_t>(d);
  return n;
}

namespace {

int64_t input_bytes_of(const BatchBuffer& b) {
  size_t row = 0;
  for (const size_t n : b.row_bytes) row += n;
  return static_cast<int64_t>(row) * b.capacity;
}

}  // namespace

BatchPool::BatchPool(std::shared_ptr<Servable> servable, int max_batches, int64_t max_rows, int64_t max_bytes,
                     std::condition_variable* came_back)
    : servable_(std::move(servable)),
      max_batches_(max_batches),
      max_rows_(max_rows),
      max_bytes_(max_bytes),
      came_back_(came_back) {
  // Giving back must not allocate: it happens in a destructor.
  free_.reserve(static_cast<size_t>(max_batches));
}

std::shared_ptr<BatchBuffer> BatchPool::acquire(const std::vector<Shape>& row_shapes) {
  std::unique_ptr<BatchBuffer> b;
  {
    std::lock_guard lock(mutex_);
    auto it = std::find_if(free_.begin(), free_.end(), [&](const auto& f) { return f->row_shapes == row_shapes; });
    if (it != free_.end()) {
      b = std::move(*it);
      free_.erase(it);
    } else if (live_ < max_batches_) {
      ++live_;
    } else if (!free_.empty()) {
      input_bytes_.fetch_sub(input_bytes_of(*free_.front()), kRelaxed);
      free_.erase(free_.begin());  // the one unused for longest makes room
    } else {
      return nullptr;
    }
  }
  if (!b) {
    try {
      b = make(row_shapes);
    } catch (...) {
      std::lock_guard lock(mutex_);
      --live_;
      throw;
    }
  }
  return {b.release(), [pool = shared_from_this()](BatchBuffer* p) { pool->give_back(p); }};
}

int64_t BatchPool::capacity(const std::vector<Shape>& row_shapes) const {
  size_t bytes = 0;
  for (size_t i = 0; i < row_shapes.size(); ++i)
    bytes += row_bytes(row_shapes[i], servable_->info().inputs[i].datatype);
  const auto fits = static_cast<int64_t>(static_cast<size_t>(max_bytes_) / std::max<size_t>(1, bytes));
  return std::clamp<int64_t>(fits, 1, max_rows_);
}

std::unique_ptr<BatchBuffer> BatchPool::make(const std::vector<Shape>& row_shapes) {
  auto b = std::make_unique<BatchBuffer>();
  b->row_shapes = row_shapes;
  for (size_t i = 0; i < row_shapes.size(); ++i)
    b->row_bytes.push_back(row_bytes(row_shapes[i], servable_->info().inputs[i].datatype));
  b->capacity = capacity(row_shapes);
  b->memory = servable_->make_batch(b->capacity, row_shapes);
  input_bytes_.fetch_add(input_bytes_of(*b), kRelaxed);
  return b;
}

void BatchPool::give_back(BatchBuffer* b) {
  b->entries.clear();
  b->fill = 0;
  b->writers = 0;
  {
    std::lock_guard lock(mutex_);
    free_.emplace_back(b);
  }
  // Waking the worker costs more than a small run, so only when it has a use for the batch.
  if (!wanted_.load()) return;
  std::lock_guard lock(owner_mutex_);
  if (came_back_ != nullptr) came_back_->notify_all();
}

void BatchPool::forget_owner() {
  std::lock_guard lock(owner_mutex_);
  came_back_ = nullptr;
}

}  // namespace maas::serving
