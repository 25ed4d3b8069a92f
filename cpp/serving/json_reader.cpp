// The request is read in one pass, without a DOM and without recursion: a handler for Boost.JSON's incremental
// parser that keeps a small stack of places and converts each number straight into the tensor's memory.
#include <array>
#include <boost/json/basic_parser_impl.hpp>
#include <charconv>
#include <limits>

#include "serving/codec.h"
#include "serving/json_tensor.h"
#include "serving/json_words.h"

namespace maas::serving {
namespace {

namespace boost_json = boost::json;
using boost_json::string_view;
using Ec = boost::system::error_code;

// `s` must be a plain integer in [0, limit]; text such as 1e3, 1.0, "1" or -1 is refused.
int64_t unsigned_integer(Kind kind, std::string_view s, const char* what) {
  int64_t v = -1;
  const auto r = std::from_chars(s.data(), s.data() + s.size(), v);
  if (kind != Kind::number || r.ec != std::errc() || r.ptr != s.data() + s.size() || v < 0) {
    refuse(std::string(what) + " must be a non-negative 64-bit integer");
  }
  return v;
}

bool boolean(Kind kind, std::string_view s, const char* what) {
  if (kind != Kind::boolean) refuse(std::string(what) + " must be true or false");
  return s == "true";
}

struct Handler {
  static constexpr size_t max_object_size = std::numeric_limits<size_t>::max();
  static constexpr size_t max_array_size = std::numeric_limits<size_t>::max();
  static constexpr size_t max_key_size = 4096;
  static constexpr size_t max_string_size = std::numeric_limits<size_t>::max();

  InferHead* head = nullptr;
  TensorReader tensor;  // the input being read
  bool saw_inputs = false, has_request_params = false;
  bool has_name = false, has_params = false;  // of the output being read

  std::array<At, kMaxJsonDepth + 2> stack{};
  int depth = 0;
  std::array<JsonKey, kMaxJsonDepth + 2> key{};
  std::string text;  // parts of a key, string or number

  At at() const { return stack[depth]; }
  void push(At a) {
    stack[++depth] = a;
    key[depth] = JsonKey::other;
  }

  // ---- structure
  bool on_document_begin(Ec&) { return true; }
  bool on_document_end(Ec&) { return true; }

  bool on_object_begin(Ec&) {
    const JsonKey k = key[depth];
    switch (at()) {
      case At::top:
        push(At::root);
        return true;
      case At::inputs:
        tensor.begin();
        push(At::input);
        return true;
      case At::outputs:
        if (head->outputs.size() == kMaxOutputs) refuse("outputs: at most 256 entries are allowed");
        head->outputs.emplace_back();
        has_name = has_params = false;
        push(At::output);
        return true;
      case At::root:
        if (k == JsonKey::parameters) {
          once(has_request_params, "parameters");
          push(At::request_params);
          return true;
        }
        break;
      case At::input:
        if (k == JsonKey::parameters) {
          once(tensor.has_params, "parameters");
          push(At::input_params);
          return true;
        }
        break;
      case At::output:
        if (k == JsonKey::parameters) {
          once(has_params, "parameters");
          push(At::output_params);
          return true;
        }
        break;
      case At::data:
        push(At::base64);
        return true;
      case At::base64:
        tensor.bad_base64();
      case At::shape:
        refuse("shape must be a list of integers");
      default:
        break;
    }
    wrong_type_or_skip(k);
    return true;
  }

  bool on_object_end(size_t n, Ec&) {
    if (at() == At::base64 && n != 1) tensor.bad_base64();
    if (at() == At::input) tensor.end();
    if (at() == At::output && head->outputs.back().name.empty()) refuse("outputs: every entry needs a name");
    --depth;
    return true;
  }

  bool on_array_begin(Ec&) {
    const JsonKey k = key[depth];
    switch (at()) {
      case At::root:
        if (k == JsonKey::inputs) {
          once(saw_inputs, "inputs");
          push(At::inputs);
          return true;
        }
        if (k == JsonKey::outputs) {
          once(head->chooses_outputs, "outputs");
          push(At::outputs);
          return true;
        }
        break;
      case At::input:
        if (k == JsonKey::shape) {
          once(tensor.has_shape, "shape");
          push(At::shape);
          return true;
        }
        if (k == JsonKey::data) {
          tensor.begin_data();
          push(At::data);
          return true;
        }
        break;
      case At::data:
        tensor.begin_list();
        push(At::data);
        return true;
      case At::base64:
        tensor.bad_base64();
      case At::top:
        refuse("the request must be a JSON object");
      case At::inputs:
      case At::outputs:
        refuse("inputs and outputs must be lists of objects");
      case At::shape:
        refuse("shape must be a flat list of integers");
      default:
        break;
    }
    wrong_type_or_skip(k);
    return true;
  }

  bool on_array_end(size_t n, Ec&) {
    if (at() == At::data) tensor.end_list(n);
    --depth;
    return true;
  }

  // ---- scalars
  bool on_key_part(string_view s, size_t, Ec&) { return part(s); }
  bool on_key(string_view s, size_t, Ec&) {
    key[depth] = find_key(whole(s));
    text.clear();
    return true;
  }
  bool on_string_part(string_view s, size_t, Ec&) { return part(s); }
  bool on_string(string_view s, size_t, Ec&) {
    if (at() == At::data) {
      tensor.element(Kind::string, whole(s));
    } else {
      scalar(Kind::string, whole(s));
    }
    text.clear();
    return true;
  }
  bool on_number_part(string_view s, Ec&) { return part(s); }
  bool on_int64(int64_t, string_view s, Ec&) { return number(s); }
  bool on_uint64(uint64_t, string_view s, Ec&) { return number(s); }
  bool on_double(double, string_view s, Ec&) { return number(s); }
  bool on_bool(bool v, Ec&) {
    scalar(Kind::boolean, v ? "true" : "false");
    return true;
  }
  bool on_null(Ec&) {
    scalar(Kind::null, "null");
    return true;
  }
  bool on_comment_part(string_view, Ec&) { return true; }
  bool on_comment(string_view, Ec&) { return true; }

  bool part(string_view s) {
    if (at() == At::skip) return true;
    if (text.size() + s.size() > 65536 && at() != At::data && at() != At::base64)
      refuse("a string or number is longer than 65536 bytes");
    text.append(s.data(), s.size());
    return true;
  }
  std::string_view whole(string_view s) {
    if (text.empty()) return {s.data(), s.size()};
    text.append(s.data(), s.size());
    return text;
  }
  bool number(string_view s) {
    if (at() == At::data) {
      tensor.element(Kind::number, whole(s));
    } else {
      scalar(Kind::number, whole(s));
    }
    text.clear();
    return true;
  }

  void scalar(Kind kind, std::string_view s) {
    const JsonKey k = key[depth];
    switch (at()) {
      case At::data:
        return tensor.element(kind, s);
      case At::base64:
        if (k != JsonKey::b64 || kind != Kind::string) tensor.bad_base64();
        return tensor.base64(s);
      case At::shape:
        if (tensor.shape.size() == kMaxRank) refuse("shape: at most 32 sizes are allowed");
        tensor.shape.push_back(unsigned_integer(kind, s, "shape: every size"));
        return;
      case At::root:
        if (k == JsonKey::id) {
          if (kind != Kind::string) refuse("id must be a string");
          if (s.size() > kMaxIdLength) refuse("id must have at most 1024 bytes");
          head->id = std::string(s);
          return;
        }
        break;
      case At::input:
      case At::output:
        if (k == JsonKey::name) {
          once(at() == At::input ? tensor.has_name : has_name, "name");
          if (kind != Kind::string || s.empty() || s.size() > 1024) refuse("a tensor's name must be a string");
          (at() == At::input ? tensor.name : head->outputs.back().name) = std::string(s);
          return;
        }
        if (k == JsonKey::datatype && at() == At::input) {
          if (tensor.datatype) refuse("datatype is given twice");
          if (kind == Kind::string) tensor.datatype = find_datatype(s);
          if (!tensor.datatype)
            refuse("datatype must be BOOL, UINT8 to UINT64, INT8 to INT64, FP16, BF16, FP32, FP64 or BYTES");
          return;
        }
        if (k == JsonKey::data && at() == At::input) refuse("data must be a list");
        break;
      case At::request_params:
        return request_param(k, kind, s);
      case At::input_params:
        if (k == JsonKey::binary_data_size) tensor.binary_size = unsigned_integer(kind, s, "binary_data_size");
        if (k == JsonKey::shared_memory_region) refuse("shared memory is not supported");
        return;
      case At::output_params:
        if (k == JsonKey::binary_data) head->outputs.back().binary = boolean(kind, s, "binary_data");
        if (k == JsonKey::classification) head->outputs.back().classes = unsigned_integer(kind, s, "classification");
        if (k == JsonKey::shared_memory_region) refuse("shared memory is not supported");
        return;
      case At::skip:
        return;
      case At::top:
        refuse("the request must be a JSON object");
      case At::inputs:
      case At::outputs:
        refuse("inputs and outputs must be lists of objects");
    }
    wrong_type(k);
  }

  void request_param(JsonKey k, Kind kind, std::string_view s) {
    switch (k) {
      case JsonKey::binary_data_output:
        head->binary_output = boolean(kind, s, "binary_data_output");
        break;
      case JsonKey::timeout:
        head->timeout_us = unsigned_integer(kind, s, "timeout");
        break;
      case JsonKey::priority:
        head->priority = unsigned_integer(kind, s, "priority");
        break;
      case JsonKey::sequence_start:
        boolean(kind, s, "sequence_start");
        break;
      case JsonKey::sequence_end:
        boolean(kind, s, "sequence_end");
        break;
      case JsonKey::sequence_id:
        if (kind != Kind::string) unsigned_integer(kind, s, "sequence_id");
        break;
      default:
        break;  // unknown parameters are for the model
    }
  }

  // Known keys with a value of the wrong JSON type are errors; unknown keys are skipped with all they hold.
  void wrong_type(JsonKey k) const {
    const At a = at();
    const bool known = (a == At::root && (k == JsonKey::id || k == JsonKey::parameters || k == JsonKey::inputs ||
                                          k == JsonKey::outputs)) ||
                       (a == At::input && (k == JsonKey::name || k == JsonKey::shape || k == JsonKey::datatype ||
                                           k == JsonKey::data || k == JsonKey::parameters)) ||
                       (a == At::output && (k == JsonKey::name || k == JsonKey::parameters)) ||
                       (a == At::request_params && k >= JsonKey::binary_data_output && k <= JsonKey::sequence_end) ||
                       (a == At::input_params && k == JsonKey::binary_data_size) ||
                       (a == At::output_params && (k == JsonKey::binary_data || k == JsonKey::classification));
    if (known) refuse("'" + std::string(key_text(k)) + "' has a value of the wrong type");
  }
  void wrong_type_or_skip(JsonKey k) {
    wrong_type(k);
    push(At::skip);
  }
};

}  // namespace

void read_infer_request(std::string_view text, std::string_view binary, bool has_binary, InferHead& head,
                        InferSink& sink) {
  boost_json::parse_options options;
  options.max_depth = kMaxJsonDepth;
  options.allow_infinity_and_nan = true;
  options.numbers = boost_json::number_precision::none;
  boost_json::basic_parser<Handler> parser(options);
  Handler& h = parser.handler();
  h.head = &head;
  h.tensor.sink = &sink;
  h.tensor.json_size = text.size();
  h.tensor.binary = binary;
  h.tensor.has_binary = has_binary;
  Ec ec;
  const size_t used = parser.write_some(false, text.data(), text.size(), ec);
  if (ec == boost_json::error::too_deep) refuse("the JSON text is nested more than 64 deep");
  if (ec || used != text.size()) {
    // What follows a complete document may only be white space; write_some skips that.
    refuse("the JSON text is not valid near byte " + std::to_string(used));
  }
  if (!h.saw_inputs) refuse("the request needs inputs");
  if (!h.tensor.binary.empty()) refuse("unexpected additional input data after the binary tensors");
  check_output_names(head);
}

void check_output_names(const InferHead& head) {
  for (size_t i = 0; i < head.outputs.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      if (head.outputs[i].name == head.outputs[j].name) refuse("outputs: a name is given twice");
    }
  }
}

}  // namespace maas::serving
