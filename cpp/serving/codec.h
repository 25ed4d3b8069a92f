// Open Inference Protocol v2 request reader and response writer (JSON, and the binary tensor extension).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "serving/servable.h"

namespace maas::serving {

inline constexpr int kMaxJsonDepth = 64;
inline constexpr int kMaxRank = 32;
inline constexpr size_t kMaxIdLength = 1024;
inline constexpr size_t kMaxOutputs = 256;

struct OutputChoice {
  std::string name;
  std::optional<bool> binary;
  int64_t classes = 0;  // not 0: the highest so many values as "value:index" strings
};

struct InferHead {
  std::optional<std::string> id;
  bool binary_output = false;  // request level `binary_data_output`
  int64_t timeout_us = 0;      // 0: the server's own limit
  int64_t priority = 0;        // 1 is the first; 0: the model's default
  bool chooses_outputs = false;
  bool rows_form = false;  // TensorFlow Serving: the answer is one entry per row
  std::vector<OutputChoice> outputs;
};

// Where the elements of a tensor go. `open` checks name, datatype and shape and throws maas::Error to refuse.
class InferSink {
 public:
  virtual ~InferSink() = default;
  virtual void* open(const std::string& name, Datatype datatype, const Shape& shape) = 0;
  // Memory for the text of BYTES elements, valid as long as the request.
  virtual char* keep(size_t size) = 0;
};

// Reads a request. `binary` holds the raw tensors after the JSON, `has_binary` tells that the client announced them.
// Throws maas::Error(value) for anything that is not a valid request.
void read_infer_request(std::string_view json, std::string_view binary, bool has_binary, InferHead& head,
                        InferSink& sink);

void check_output_names(const InferHead& head);  // throws if one is given twice

// A request that is the raw bytes of the only input: its shape follows from their number.
void read_raw_request(std::string_view body, const ModelInfo& info, InferSink& sink);

// The elements of a BYTES tensor in binary form, each with its length before it; throws unless `binary` holds exactly
// `count` of them. `what` names the tensor in errors.
void read_bytes_elements(std::string_view binary, int64_t count, Bytes* out, InferSink& sink, const std::string& what);
size_t bytes_elements_size(const Bytes* elements, int64_t count);
void append_bytes_elements(std::string& out, const Bytes* elements, int64_t count);

// Product of the sizes of a shape with every size >= 1; throws if it passes 2^48.
int64_t element_count(const Shape& shape);
std::string shape_text(const Shape& shape);

void write_json_string(std::string& out, std::string_view text);
void write_json_text(std::string& out, std::string_view text);  // throws if it is not UTF-8
// Numbers in shortest form that reads back to the same bits; NaN, Infinity and -Infinity as bare words.
void write_json_elements(std::string& out, Datatype datatype, const void* data, int64_t count);
void write_json_shape(std::string& out, const Shape& shape);
std::string error_body(std::string_view text);

}  // namespace maas::serving
