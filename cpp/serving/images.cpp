#include "serving/images.h"

#include "serving/service.h"

namespace maas::serving {

std::optional<ImageInput> image_input(const ModelInfo& info, size_t input) {
  const TensorSpec& spec = info.inputs[input];
  const bool batched = info.batched();
  if (spec.datatype != Datatype::uint8 && spec.datatype != Datatype::fp32) return std::nullopt;
  const Shape s(spec.shape.begin() + (batched ? 1 : 0), spec.shape.end());
  const auto is_channels = [](int64_t d) { return d == 1 || d == 3; };
  if (s.size() == 3 && is_channels(s[2])) return ImageInput{s[0], s[1], s[2], false};
  if (s.size() == 3 && is_channels(s[0])) return ImageInput{s[1], s[2], s[0], true};
  if (s.size() == 2 && batched && info.inputs.size() == 1) return ImageInput{s[0], s[1], 1, false};
  return std::nullopt;
}

namespace {

template <class T>
void write_as(const Pixels& p, const ImageInput& input, T* out) {
  const auto channels = static_cast<size_t>(input.channels), n = static_cast<size_t>(p.height * p.width);
  const uint8_t* in = p.data.data();
  for (size_t i = 0; i < n; ++i) {
    for (size_t c = 0; c < channels; ++c) {
      out[input.channels_first ? c * n + i : i * channels + c] = static_cast<T>(in[i * channels + c]);
    }
  }
}

}  // namespace

void write_pixels(const Pixels& pixels, const ImageInput& input, Datatype datatype, void* out) {
  if (datatype == Datatype::uint8) {
    write_as(pixels, input, static_cast<uint8_t*>(out));
  } else {
    write_as(pixels, input, static_cast<float*>(out));
  }
}

ImageQueue::ImageQueue(std::shared_ptr<ImageDecoder> decoder) : decoder_(std::move(decoder)) {
  for (size_t i = 0; i < kThreads; ++i) threads_.emplace_back([this] { work(); });
}

Batcher::Admission ImageQueue::add(std::shared_ptr<InferRequest> request) {
  const int64_t bytes = request->waiting_bytes();
  {
    std::lock_guard lock(mutex_);
    if (stopping_) return Batcher::Admission::stopping;
    if (bytes_ != 0 && bytes_ + bytes > kMostBytes) return Batcher::Admission::queue_full;
    waiting_.push_back(std::move(request));
    bytes_ += bytes;
  }
  changed_.notify_one();
  return Batcher::Admission::ok;
}

void ImageQueue::stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  std::lock_guard one(stop_mutex_);
  for (auto& t : threads_) {
    if (t.joinable()) t.join();
  }
}

void ImageQueue::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    if (waiting_.empty()) return;
    std::shared_ptr<InferRequest> request = std::move(waiting_.front());
    waiting_.pop_front();
    const bool late = stopping_;
    lock.unlock();
    const int64_t bytes = request->waiting_bytes();
    request->go_on(late ? nullptr : decoder_.get());
    request.reset();
    lock.lock();
    bytes_ -= bytes;
  }
}

}  // namespace maas::serving
