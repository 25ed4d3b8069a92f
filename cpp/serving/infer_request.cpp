// One inference request from body to answer.
#include <algorithm>
#include <cstring>

#include "core/error.h"
#include "serving/content_coding.h"
#include "serving/failure.h"
#include "serving/json_words.h"
#include "serving/service.h"

namespace maas::serving {
InferRequest::~InferRequest() {
  if (admitted_ && !submitted_) model_->batcher->abandon(*this);
}

void InferRequest::count(Outcome outcome) {
  if (counted_) return;
  counted_ = true;
  auto& requests = model_->metrics->requests[static_cast<size_t>(protocol_.transport())];
  requests[static_cast<size_t>(outcome)].fetch_add(1, std::memory_order_relaxed);
  if (outcome == Outcome::success) {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    model_->stats->last_ms.store(std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
    model_->stats->success.add(Clock::now() - arrived_);
  } else {
    model_->stats->fail.add(Clock::now() - arrived_);
  }
}

// In a handler of exceptions, before the request was submitted.
void InferRequest::refuse_open(Response& response) {
  const std::string& name = model_->servable->info().name;
  if (admission_ == Batcher::Admission::queue_full) {
    response.error(429, "the queue of model '" + name + "' is full");
    response.headers = "Retry-After: 1\r\n";
    return count(Outcome::rejected);
  }
  if (admission_ == Batcher::Admission::stopping) {
    response.error(503, "the server is shutting down");
    response.headers = "Retry-After: 1\r\n";
    return count(Outcome::rejected);
  }
  int code = 500;
  std::string text;
  describe_failure(name, code, text);
  response.error(code, text);
  count(code < 500 ? Outcome::invalid : Outcome::error);
}

bool InferRequest::read(const Request& request, Clock::duration time_limit, Response& response) {
  arrived_ = request.arrived;
  enqueued = arrived_;
  deadline = arrived_ + time_limit;
  const ModelInfo& info = model_->servable->info();
  const auto begin_read = Clock::now();
  rows_shape_.resize(info.inputs.size());
  given_.resize(info.inputs.size());
  held_.resize(info.inputs.size());
  encoded_.resize(info.inputs.size());
  // No more than a batch or the queue could take, and never less than a body of plain bytes.
  const BatcherOptions& options = model_->batcher->options();
  held_limit_ = std::max({options.max_queue_bytes, options.max_batch_bytes, static_cast<int64_t>(request.max_body)});
  try {
    const PlainBody plain(request);
    if (plain.status != 0) {
      response.error(plain.status, plain.problem);
      count(Outcome::invalid);
      return false;
    }
    protocol_.read(request, plain.body, info, head_, *this);
    for (const auto& images : encoded_) {
      for (const Bytes& b : images) image_bytes_ += static_cast<int64_t>(b.size) + 1;
    }
    if (image_bytes_ == 0) finish_inputs();
    choose_outputs();
    model_->stats->read.add(Clock::now() - begin_read);
  } catch (...) {
    refuse_open(response);
    return false;
  }
  priority = head_.priority;
  if (head_.timeout_us > 0) {
    // Compared in microseconds first: a huge timeout must not overflow the clock.
    const auto limit = std::chrono::duration_cast<std::chrono::microseconds>(time_limit).count();
    deadline = arrived_ + std::chrono::microseconds(std::min<int64_t>(limit, head_.timeout_us));
  }
  return true;
}

void* InferRequest::open(const std::string& name, Datatype datatype, const Shape& shape) {
  const ModelInfo& info = model_->servable->info();
  size_t i = 0;
  while (i < info.inputs.size() && info.inputs[i].name != name) ++i;
  if (i == info.inputs.size()) refuse("model '" + info.name + "' has no input '" + name + "'");
  const TensorSpec& spec = info.inputs[i];
  if (given_[i]) refuse("input '" + name + "' is given twice");
  if (datatype == Datatype::bytes && model_->images[i]) return open_images(i, shape);
  if (datatype != spec.datatype) {
    refuse("input '" + name + "': datatype must be " + std::string(datatype_name(spec.datatype)) + ", received " +
           std::string(datatype_name(datatype)));
  }
  bool fits = shape.size() == spec.shape.size();
  for (size_t d = 0; fits && d < shape.size(); ++d) fits = spec.shape[d] < 0 || spec.shape[d] == shape[d];
  if (!fits)
    refuse("input '" + name + "': shape must be " + shape_text(spec.shape) + ", received " + shape_text(shape));
  const int64_t count_all = element_count(shape);
  const int64_t n = model_->batched ? shape[0] : 1;
  if (rows != 0 && n != rows) {
    refuse("input '" + name + "' has " + std::to_string(n) + " rows where the inputs before have " +
           std::to_string(rows));
  }
  given_[i] = true;
  rows_shape_[i] = Shape(shape.begin() + (model_->batched ? 1 : 0), shape.end());
  rows = n;
  if (model_->rows_known && !model_->may_wait_for_images) {
    if (!admitted_) {
      // The row shapes of inputs still to come are those of the model.
      for (size_t j = 0; j < info.inputs.size(); ++j) {
        const Shape& s = info.inputs[j].shape;
        if (j != i) rows_shape_[j] = Shape(s.begin() + (model_->batched ? 1 : 0), s.end());
      }
      admit();
    }
    return model_->batcher->input(*this, i);
  }
  hold(i, count_all);
  return held_[i].data();
}

// Memory for the elements of an input outside of the batch.
void InferRequest::hold(size_t i, int64_t count) {
  const ModelInfo& info = model_->servable->info();
  const size_t size = datatype_size(info.inputs[i].datatype);
  if (count > (held_limit_ - held_bytes_) / static_cast<int64_t>(size))
    refuse("the inputs of a request to model '" + info.name + "' may take at most " + std::to_string(held_limit_) +
           " bytes, received more");
  held_bytes_ += count * static_cast<int64_t>(size);
  held_[i].resize(static_cast<size_t>(count) * size);
}

void* InferRequest::open_images(size_t i, const Shape& shape) {
  const TensorSpec& spec = model_->servable->info().inputs[i];
  if (shape.size() > 1) refuse("input '" + spec.name + "': images have the shape [n], received " + shape_text(shape));
  const int64_t n = element_count(shape);
  if (!model_->batched && n != 1) refuse("input '" + spec.name + "' takes one image, received " + std::to_string(n));
  if (rows != 0 && n != rows) {
    refuse("input '" + spec.name + "' has " + std::to_string(n) + " images where the inputs before have " +
           std::to_string(rows) + " rows");
  }
  // A batch holds no more rows than this, however small an image is: what could never be admitted is not decoded.
  model_->batcher->check_rows(n, model_->batcher->options().max_batch_size);
  if (n > (held_limit_ - held_bytes_) / static_cast<int64_t>(sizeof(Bytes)))
    refuse("input '" + spec.name + "' takes not so many images, received " + std::to_string(n));
  held_bytes_ += n * static_cast<int64_t>(sizeof(Bytes));
  given_[i] = true;
  rows = n;
  encoded_[i].resize(static_cast<size_t>(n));
  return encoded_[i].data();
}

// False: its time is up, or nobody waits for it any more.
bool InferRequest::decode_images(ImageDecoder& decoder) {
  const ModelInfo& info = model_->servable->info();
  for (size_t i = 0; i < encoded_.size(); ++i) {
    const std::string& name = info.inputs[i].name;
    ImageInput input = model_->images[i].value_or(ImageInput{});
    size_t at = 0;
    for (const Bytes& b : encoded_[i]) {
      if (unwanted() || Clock::now() >= deadline) return false;
      const Pixels pixels = decoder.decode({b.data, b.size}, input);
      if (at == 0) {
        // Where the model leaves the size free, the first image sets it.
        input.height = pixels.height;
        input.width = pixels.width;
        const int64_t one = input.height * input.width * input.channels;
        if (one > (int64_t{1} << 40) / static_cast<int64_t>(encoded_[i].size())) refuse("the images are too large");
        hold(i, one * static_cast<int64_t>(encoded_[i].size()));
        Shape s = {input.height, input.width};
        if (info.inputs[i].shape.size() == (model_->batched ? 4 : 3))
          s.insert(input.channels_first ? s.begin() : s.end(), input.channels);
        rows_shape_[i] = std::move(s);
      } else if (pixels.height != input.height || pixels.width != input.width) {
        throw Error(ErrorKind::runtime, "the image decoder returned another size than input '" + name + "' has");
      }
      write_pixels(pixels, input, info.inputs[i].datatype, held_[i].data() + at);
      at += held_[i].size() / encoded_[i].size();
    }
  }
  return true;
}

void InferRequest::go_on(ImageDecoder* decoder) noexcept {
  auto self = std::static_pointer_cast<InferRequest>(shared_from_this());
  Response response;
  try {
    if (decoder == nullptr) {
      response.error(503, "the server is shutting down");
    } else if (!decode_images(*decoder)) {
      response.error(504, "the request waited longer than its timeout");
    } else {
      finish_inputs();
      encoded_.clear();
      if (submit() != Batcher::Submitted::ended) return;
    }
  } catch (...) {
    if (admitted_) {
      model_->batcher->abandon(*this);
      admitted_ = false;
    }
    try {
      refuse_open(response);
    } catch (...) {
      response.status = 503;
    }
  }
  if (response.status != 200) {
    status = response.status;
    error = std::move(response.message);
  }
  job_done();
}

void InferRequest::admit() {
  admission_ = model_->batcher->reserve(*this, rows, rows_shape_);
  if (admission_ != Batcher::Admission::ok) refuse("not admitted");
  admitted_ = true;
}

void InferRequest::finish_inputs() {
  const ModelInfo& info = model_->servable->info();
  for (size_t i = 0; i < given_.size(); ++i) {
    if (!given_[i]) refuse("input '" + info.inputs[i].name + "' of model '" + info.name + "' is missing");
  }
  if (admitted_) return;
  admit();
  for (size_t i = 0; i < held_.size(); ++i)
    std::memcpy(model_->batcher->input(*this, i), held_[i].data(), held_[i].size());
  held_.clear();
}

void InferRequest::choose_outputs() {
  const std::vector<TensorSpec>& outputs = model_->servable->info().outputs;
  const auto add = [&](size_t i, bool binary, int64_t classes) {
    if (!binary && !protocol_.carries_halves() &&
        (outputs[i].datatype == Datatype::fp16 || outputs[i].datatype == Datatype::bf16)) {
      refuse("output '" + outputs[i].name + "' has no JSON form, ask for binary_data");
    }
    chosen_.push_back({i, binary, classes});
  };
  if (!head_.chooses_outputs || head_.outputs.empty()) {
    for (size_t i = 0; i < outputs.size(); ++i) add(i, head_.binary_output, 0);
    return;
  }
  for (const OutputChoice& o : head_.outputs) {
    size_t i = 0;
    while (i < outputs.size() && outputs[i].name != o.name) ++i;
    if (i == outputs.size()) refuse("model '" + model_->metrics->model + "' has no output '" + o.name + "'");
    add(i, o.binary.value_or(head_.binary_output), o.classes);
  }
}

Batcher::Submitted InferRequest::submit(bool has_rounds) {
  const auto how = model_->batcher->submit(std::static_pointer_cast<InferRequest>(shared_from_this()), has_rounds);
  submitted_ = true;  // after it: if it throws, the rows are still to be given back
  return how;
}

void InferRequest::job_done() noexcept {
  auto self = std::static_pointer_cast<InferRequest>(shared_from_this());
  if (const auto waiter = waiter_.lock()) {
    waiter->job_done(std::move(self));
  } else {
    drop();
  }
}

void InferRequest::drop() noexcept {
  count(Outcome::cancelled);
  buffer.reset();
  if (admitted_) model_->metrics->in_flight.fetch_sub(1, std::memory_order_relaxed);
}

void InferRequest::render_outputs(Response& response) {
  const ModelInfo& info = model_->servable->info();
  std::vector<OutputView> views;
  views.reserve(chosen_.size());
  bool classes = false;
  for (const Chosen& c : chosen_) {
    OutputView o{&info.outputs[c.output], c.binary, c.classes, buffer->memory->output_row_shape(c.output),
                 info.outputs[c.output].datatype};
    int64_t per_row = 1;
    for (const int64_t d : o.shape) per_row *= d;
    if (model_->batched) o.shape.insert(o.shape.begin(), rows);
    o.data = static_cast<const char*>(buffer->memory->output(c.output)) +
             static_cast<size_t>(begin * per_row) * datatype_size(o.datatype);
    o.count = model_->batched ? per_row * rows : per_row;
    classes = classes || c.classes != 0;
    views.push_back(std::move(o));
  }
  std::vector<std::string> texts;
  std::vector<std::vector<Bytes>> elements;
  try {
    if (classes) classify_outputs(views, model_->batched, texts, elements);
    const auto begin_write = Clock::now();
    protocol_.render(info, head_, views, response);
    model_->stats->write.add(Clock::now() - begin_write);
    model_->stats->queue.add(started - enqueued);
    count(Outcome::success);
  } catch (const Error& e) {
    // What was asked for has no form in this protocol.
    response.error(400, e.what());
    count(Outcome::invalid);
  }
}

void InferRequest::render(Response& response) {
  ModelMetrics& m = *model_->metrics;
  if (started != Clock::time_point()) {
    const auto ns = [](Clock::duration d) { return std::chrono::duration_cast<std::chrono::nanoseconds>(d).count(); };
    response.queue_ns = std::max<int64_t>(0, ns(started - enqueued));
    response.compute_ns = ns(compute);
  }
  if (status != 200) {
    response.error(status, error);
    if (status == 503 || status == 429) response.headers = "Retry-After: 1\r\n";
    count(status == 504   ? Outcome::timeout
          : status == 429 ? Outcome::rejected
          : status < 500  ? Outcome::invalid
                          : Outcome::error);
  } else {
    render_outputs(response);
  }
  buffer.reset();
  m.latency.observe_seconds(Clock::now() - arrived_);
  if (admitted_) m.in_flight.fetch_sub(1, std::memory_order_relaxed);
}

}  // namespace maas::serving
