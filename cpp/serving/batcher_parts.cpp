// Requests of more rows than a batch holds: parts that wait like other jobs, and one answer gathered from theirs.
#include <cstdint>
#include <cstring>

#include "core/error.h"
#include "serving/batcher.h"
#include "serving/failure.h"

namespace maas::serving {
namespace {

// The outputs of all rows of one request.
struct Gathered final : Batch {
  std::vector<std::vector<std::byte>> outputs;
  std::vector<Shape> shapes;
  void* input(size_t) override { return nullptr; }
  const void* output(size_t i) const override { return outputs[i].data(); }
  Shape output_row_shape(size_t i) const override { return shapes[i]; }
};

struct Whole {
  std::shared_ptr<Job> job;
  std::shared_ptr<Servable> servable;
  std::mutex mutex;
  Gathered* all = nullptr;  // of job->buffer
  int64_t left = 0;         // parts that have not ended
  std::atomic<bool> failed{false};

  void gather(const Job& part, int64_t first);
  void fail(int status, const std::string& text) noexcept;
};

void Whole::gather(const Job& part, int64_t first) {
  const auto& specs = servable->info().outputs;
  std::lock_guard lock(mutex);
  if (failed) return;
  if (all == nullptr) {
    auto memory = std::make_unique<Gathered>();
    for (size_t i = 0; i < specs.size(); ++i) {
      memory->shapes.push_back(part.buffer->memory->output_row_shape(i));
      memory->outputs.emplace_back(static_cast<size_t>(job->rows) *
                                   row_bytes(memory->shapes.back(), specs[i].datatype));
    }
    auto buffer = std::make_shared<BatchBuffer>();
    all = memory.get();
    buffer->memory = std::move(memory);
    job->buffer = std::move(buffer);
    job->begin = 0;
    job->started = part.started;
  }
  job->compute += part.compute;
  for (size_t i = 0; i < specs.size(); ++i) {
    if (part.buffer->memory->output_row_shape(i) != all->shapes[i])
      throw Error(ErrorKind::runtime, "serving: the sizes of an output differ between runs of one request");
    const size_t n = row_bytes(all->shapes[i], specs[i].datatype);
    std::memcpy(all->outputs[i].data() + static_cast<size_t>(first) * n,
                static_cast<const std::byte*>(part.buffer->memory->output(i)) + static_cast<size_t>(part.begin) * n,
                static_cast<size_t>(part.rows) * n);
  }
}

void Whole::fail(int status, const std::string& text) noexcept {
  if (failed.exchange(true)) return;
  job->status = status;
  try {
    job->error = text;
  } catch (...) {
    job->error.clear();
  }
}

struct Part final : Job {
  Part(std::shared_ptr<Whole> w, int64_t f) : whole(std::move(w)), first(f) {}
  std::shared_ptr<Whole> whole;
  int64_t first;  // row of the request
  bool unwanted() const noexcept override { return whole->failed || whole->job->unwanted(); }
  void job_done() noexcept override {
    if (status != 200) {
      whole->fail(status, error);
    } else {
      try {
        whole->gather(*this, first);
      } catch (...) {
        int code = 500;
        std::string text;
        describe_failure(whole->servable->info().name, code, text);
        whole->fail(code, text);
      }
    }
    buffer.reset();
    {
      std::lock_guard lock(whole->mutex);
      if (--whole->left > 0) return;
    }
    whole->job->staged.clear();
    whole->job->state.store(JobState::done);
    whole->job->job_done();
  }
};

}  // namespace

// Texts live in the memory of the batch they came from, which other requests need again.
bool Batcher::splits() const {
  const ModelInfo& info = servable_->info();
  for (const auto* list : {&info.inputs, &info.outputs}) {
    for (const TensorSpec& t : *list) {
      if (datatype_name(t.datatype) == "BYTES") return false;
    }
  }
  return true;
}

void Batcher::check_rows(int64_t rows, int64_t capacity) const {
  const int64_t runs = splits() ? options_.max_queue_size : 1;
  const int64_t most = capacity > INT64_MAX / runs ? INT64_MAX : capacity * runs;
  if (rows > most) {
    throw Error(ErrorKind::value,
                "a request may have at most " + std::to_string(most) + " rows, received " + std::to_string(rows));
  }
}

Batcher::Admission Batcher::reserve_parts(Job& job, int64_t capacity) {
  check_rows(job.rows, capacity);
  const int64_t parts = (job.rows - 1) / capacity + 1;
  {
    std::lock_guard lock(mutex_);
    if (stopping_) return Admission::stopping;
    if (waiting_ + parts > options_.max_queue_size) return Admission::queue_full;
    if (!count_staged(job)) return Admission::queue_full;
    job.parts = parts;
    count_waiting(parts);
    metrics_->in_flight.fetch_add(1, std::memory_order_relaxed);
  }
  stage_or_abandon(job);
  return Admission::ok;
}

void Batcher::submit_parts(const std::shared_ptr<Job>& job) {
  auto whole = std::make_shared<Whole>();
  whole->job = job;
  whole->servable = servable_;
  whole->left = job->parts;
  const int64_t capacity = pool_->capacity(job->row_shapes);
  std::vector<std::shared_ptr<Part>> parts;
  for (int64_t first = 0; first < job->rows; first += capacity) {
    auto part = std::make_shared<Part>(whole, first);
    part->rows = std::min(capacity, job->rows - first);
    part->row_shapes = job->row_shapes;
    part->enqueued = job->enqueued;
    part->deadline = job->deadline;
    part->staged_bytes = job->staged_bytes / job->rows * part->rows;
    for (size_t i = 0; i < job->source.size(); ++i) {
      const size_t n = job->staged[i].size() / static_cast<size_t>(job->rows);
      part->source.push_back(job->source[i] + static_cast<size_t>(first) * n);
    }
    parts.push_back(std::move(part));
  }
  std::lock_guard lock(mutex_);
  auto& queue = staged_[static_cast<size_t>(level_of(job->priority))];
  const size_t before = queue.size();
  try {
    for (auto& p : parts) queue.push_back(std::move(p));
  } catch (...) {
    queue.resize(before);  // the caller abandons the job
    throw;
  }
  --staged_writers_;
  changed_.notify_all();
}

}  // namespace maas::serving
