// Tensors as raw bytes: little-endian, C order; an element of BYTES is its length in four bytes, then its bytes.
#include <bit>
#include <cstring>

#include "core/error.h"
#include "serving/codec.h"
#include "serving/json_words.h"

namespace maas::serving {

static_assert(std::endian::native == std::endian::little, "binary tensors are copied as they are");

void read_bytes_elements(std::string_view binary, int64_t count, Bytes* out, InferSink& sink, const std::string& what) {
  // One allocation for all elements; the lengths between them stay unused.
  char* text = sink.keep(binary.size());
  std::memcpy(text, binary.data(), binary.size());
  size_t at = 0;
  for (int64_t i = 0; i < count; ++i) {
    uint32_t n = 0;
    if (binary.size() - at < sizeof n) refuse(what + ": binary data ends before element " + std::to_string(i));
    std::memcpy(&n, text + at, sizeof n);
    at += sizeof n;
    if (binary.size() - at < n) refuse(what + ": element " + std::to_string(i) + " is longer than the binary data");
    out[i] = {text + at, n};
    at += n;
  }
  if (at != binary.size()) refuse(what + ": binary data goes on after its last element");
}

size_t bytes_elements_size(const Bytes* elements, int64_t count) {
  size_t n = 0;
  for (int64_t i = 0; i < count; ++i) n += sizeof(uint32_t) + elements[i].size;
  return n;
}

void append_bytes_elements(std::string& out, const Bytes* elements, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const auto n = static_cast<uint32_t>(elements[i].size);
    out.append(reinterpret_cast<const char*>(&n), sizeof n).append(elements[i].view());
  }
}

void read_raw_request(std::string_view body, const ModelInfo& info, InferSink& sink) {
  if (info.inputs.size() != 1) {
    refuse("a raw request (Inference-Header-Content-Length: 0) needs a model with one input, '" + info.name + "' has " +
           std::to_string(info.inputs.size()));
  }
  const TensorSpec& spec = info.inputs[0];
  Shape shape = spec.shape;
  size_t free = shape.size(), free_sizes = 0;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] >= 0) continue;
    if (free_sizes++ == 0) free = i;
    shape[i] = 1;
  }
  // A free batch with another free size: the rows are taken to be one, as the body cannot tell both.
  if (free_sizes == 2 && info.batched()) {
    for (size_t i = 1; i < shape.size(); ++i) {
      if (spec.shape[i] < 0) free = i;
    }
  } else if (free_sizes > 1) {
    refuse("a raw request cannot tell the shape of input '" + spec.name + "', " + shape_text(spec.shape));
  }
  const int64_t fixed = element_count(shape);
  if (spec.datatype == Datatype::bytes) {
    // One element without its length, as the only string of the request.
    if (fixed != 1) refuse("a raw request holds one string, input '" + spec.name + "' takes more");
    auto* to = static_cast<Bytes*>(sink.open(spec.name, spec.datatype, shape));
    char* text = sink.keep(body.size());
    std::memcpy(text, body.data(), body.size());
    *to = {text, body.size()};
    return;
  }
  const size_t unit = static_cast<size_t>(fixed) * datatype_size(spec.datatype);
  if (body.empty() || body.size() % unit != 0 || (free == shape.size() && body.size() != unit)) {
    refuse("a raw request for input '" + spec.name + "' must have " + (free == shape.size() ? "" : "a multiple of ") +
           std::to_string(unit) + " bytes, received " + std::to_string(body.size()));
  }
  if (free != shape.size()) shape[free] = static_cast<int64_t>(body.size() / unit);
  auto* to = static_cast<unsigned char*>(sink.open(spec.name, spec.datatype, shape));
  std::memcpy(to, body.data(), body.size());
  if (spec.datatype == Datatype::boolean) {
    for (size_t i = 0; i < body.size(); ++i) to[i] = to[i] != 0;
  }
}

}  // namespace maas::serving
