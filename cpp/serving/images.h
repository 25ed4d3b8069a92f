// Encoded images (JPEG, PNG) as inputs: a client sends them as BYTES, or as {"b64": ...} in JSON, to a model whose
// input holds pixels. Pixels are numbers from 0 to 255; sizes, scales and orientation are as the file says.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <thread>
#include <vector>

#include "serving/batcher.h"
#include "serving/servable.h"

namespace maas::serving {

// How an input holds one image; -1 is a free size.
struct ImageInput {
  int64_t height = -1, width = -1, channels = 1;
  bool channels_first = false;
};

// Of an input of UINT8 or FP32 with 1 or 3 channels: [rows, height, width, channels], [rows, channels, height, width],
// or for the only input of a model [rows, height, width]; without `rows` for a model that takes one request at a time.
// Nothing for other inputs.
std::optional<ImageInput> image_input(const ModelInfo& info, size_t input);

struct Pixels {
  int64_t height = 0, width = 0;
  std::vector<uint8_t> data;  // rows from the top, channels last
};

class ImageDecoder {
 public:
  virtual ~ImageDecoder() = default;
  // Throws Error(value) for what is not such an image, or has another size than `input` wants, before its pixels are
  // decoded; Error(not_implemented) if there is no decoder. Any thread may call it.
  virtual Pixels decode(std::string_view file, const ImageInput& input) = 0;
};

// The pixels as elements of `datatype`, in the order of `input`.
void write_pixels(const Pixels& pixels, const ImageInput& input, Datatype datatype, void* out);

class InferRequest;

// Requests that wait for their images: decoding takes milliseconds, which a thread that serves connections has not.
class ImageQueue {
 public:
  explicit ImageQueue(std::shared_ptr<ImageDecoder> decoder);
  ~ImageQueue() { stop(); }
  // After ok the request ends through its waiter.
  Batcher::Admission add(std::shared_ptr<InferRequest> request);
  void stop();  // what waits is refused. Idempotent

 private:
  static constexpr int64_t kMostBytes = int64_t{1} << 28;  // of requests that wait: their images and their other inputs
  static constexpr size_t kThreads = 2;
  void work();

  std::shared_ptr<ImageDecoder> decoder_;
  std::mutex mutex_, stop_mutex_;  // mutex_ guards what follows
  std::condition_variable changed_;
  std::deque<std::shared_ptr<InferRequest>> waiting_;
  int64_t bytes_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace maas::serving
