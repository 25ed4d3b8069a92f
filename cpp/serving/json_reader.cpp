// The request is read in one pass, without a DOM and without recursion: a handler for Boost.JSON's incremental
// parser that keeps a small stack of places and converts each number straight into the tensor's memory.
#include <algorithm>
#include <array>
#include <boost/json/basic_parser_impl.hpp>
#include <limits>

#include "core/error.h"
#include "serving/codec.h"
#include "serving/numbers.h"

namespace maas::serving {

int64_t element_count(const Shape& shape) {
  constexpr int64_t kLimit = int64_t{1} << 48;
  int64_t n = 1;
  for (const int64_t d : shape) {
    if (d < 1) throw Error(ErrorKind::value, "shape: every size must be at least 1, received " + shape_text(shape));
    if (d > kLimit / n) throw Error(ErrorKind::value, "shape: too many elements, received " + shape_text(shape));
    n *= d;
  }
  return n;
}

namespace {

namespace json = boost::json;
using json::string_view;
using Ec = boost::system::error_code;
using ParseElement = Parsed (*)(std::string_view, void*);

[[noreturn]] void refuse(const std::string& text) { throw Error(ErrorKind::value, text); }

ParseElement parser_for(Datatype t) {
  switch (t) {
    case Datatype::boolean:
      return parse_element<bool>;
    case Datatype::uint8:
      return parse_element<uint8_t>;
    case Datatype::uint16:
      return parse_element<uint16_t>;
    case Datatype::uint32:
      return parse_element<uint32_t>;
    case Datatype::uint64:
      return parse_element<uint64_t>;
    case Datatype::int8:
      return parse_element<int8_t>;
    case Datatype::int16:
      return parse_element<int16_t>;
    case Datatype::int32:
      return parse_element<int32_t>;
    case Datatype::int64:
      return parse_element<int64_t>;
    case Datatype::fp32:
      return parse_element<float>;
    case Datatype::fp64:
      return parse_element<double>;
    default:
      refuse(std::string(datatype_name(t)) + " has no JSON form, send it as binary data");
  }
}

enum class At : uint8_t {
  top,
  root,
  inputs,
  input,
  shape,
  data,
  outputs,
  output,
  request_params,
  input_params,
  output_params,
  skip
};
enum class Key : uint8_t {
  other,
  id,
  parameters,
  inputs,
  outputs,
  name,
  shape,
  datatype,
  data,
  binary_data_size,
  binary_data,
  binary_data_output,
  timeout,
  priority,
  sequence_id,
  sequence_start,
  sequence_end,
  classification,
  shared_memory_region
};

struct KeyRow {
  std::string_view text;
  Key key;
};
constexpr KeyRow kKeys[] = {{"id", Key::id},
                            {"parameters", Key::parameters},
                            {"inputs", Key::inputs},
                            {"outputs", Key::outputs},
                            {"name", Key::name},
                            {"shape", Key::shape},
                            {"datatype", Key::datatype},
                            {"data", Key::data},
                            {"binary_data_size", Key::binary_data_size},
                            {"binary_data", Key::binary_data},
                            {"binary_data_output", Key::binary_data_output},
                            {"timeout", Key::timeout},
                            {"priority", Key::priority},
                            {"sequence_id", Key::sequence_id},
                            {"sequence_start", Key::sequence_start},
                            {"sequence_end", Key::sequence_end},
                            {"classification", Key::classification},
                            {"shared_memory_region", Key::shared_memory_region}};

enum class Kind : uint8_t { string, number, boolean, null };

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
  InferSink* sink = nullptr;
  size_t json_size = 0;
  std::string_view binary;
  bool has_binary = false;
  bool saw_inputs = false;

  std::array<At, kMaxJsonDepth + 2> stack{};
  int depth = 0;
  std::array<Key, kMaxJsonDepth + 2> key{};
  std::string text;  // parts of a key, string or number

  // The tensor being read.
  std::string name;
  Shape shape;
  std::optional<Datatype> datatype;
  std::optional<int64_t> binary_size;
  bool has_name = false, has_shape = false, has_data = false, has_params = false;
  bool late = false;  // data came before name, datatype and shape: its tokens are kept in `tokens`
  std::string tokens;
  ParseElement parse = nullptr;
  char* out = nullptr;
  size_t item = 0;
  int64_t total = 0, count = 0;
  int data_depth = 0, leaf_depth = 0;
  std::array<int64_t, kMaxRank + 2> sizes{};

  At at() const { return stack[depth]; }
  void push(At a) {
    stack[++depth] = a;
    key[depth] = Key::other;
  }

  // ---- structure
  bool on_document_begin(Ec&) { return true; }
  bool on_document_end(Ec&) { return true; }

  bool on_object_begin(Ec&) {
    const Key k = key[depth];
    switch (at()) {
      case At::top:
        push(At::root);
        return true;
      case At::inputs:
        begin_tensor();
        push(At::input);
        return true;
      case At::outputs:
        if (head->outputs.size() == kMaxOutputs) refuse("outputs: at most 256 entries are allowed");
        head->outputs.emplace_back();
        has_name = has_params = false;
        push(At::output);
        return true;
      case At::root:
        if (k == Key::parameters) {
          once(has_request_params, "parameters");
          push(At::request_params);
          return true;
        }
        break;
      case At::input:
        if (k == Key::parameters) {
          once(has_params, "parameters");
          push(At::input_params);
          return true;
        }
        break;
      case At::output:
        if (k == Key::parameters) {
          once(has_params, "parameters");
          push(At::output_params);
          return true;
        }
        break;
      case At::data:
        refuse("input '" + name + "': data must hold numbers, received an object");
      case At::shape:
        refuse("shape must be a list of integers");
      default:
        break;
    }
    wrong_type_or_skip(k);
    return true;
  }

  bool on_object_end(size_t, Ec&) {
    if (at() == At::input) end_tensor();
    if (at() == At::output && head->outputs.back().name.empty()) refuse("outputs: every entry needs a name");
    --depth;
    return true;
  }

  bool on_array_begin(Ec&) {
    const Key k = key[depth];
    switch (at()) {
      case At::root:
        if (k == Key::inputs) {
          once(saw_inputs, "inputs");
          push(At::inputs);
          return true;
        }
        if (k == Key::outputs) {
          once(head->chooses_outputs, "outputs");
          push(At::outputs);
          return true;
        }
        break;
      case At::input:
        if (k == Key::shape) {
          once(has_shape, "shape");
          push(At::shape);
          return true;
        }
        if (k == Key::data) {
          begin_data();
          push(At::data);
          return true;
        }
        break;
      case At::data:
        if (data_depth == kMaxRank) refuse("input '" + name + "': data is nested more than 32 deep");
        if (leaf_depth != 0 && data_depth >= leaf_depth) refuse(ragged());
        ++data_depth;
        push(At::data);
        return true;
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
    if (at() == At::data) {
      int64_t& known = sizes[data_depth];
      if (known < 0) known = static_cast<int64_t>(n);
      if (known != static_cast<int64_t>(n)) refuse(ragged());
      --data_depth;
    }
    --depth;
    return true;
  }

  // ---- scalars
  bool on_key_part(string_view s, size_t, Ec&) { return part(s); }
  bool on_key(string_view s, size_t, Ec&) {
    const std::string_view k = whole(s);
    const auto row = std::find_if(std::begin(kKeys), std::end(kKeys), [&](const KeyRow& r) { return r.text == k; });
    key[depth] = row == std::end(kKeys) ? Key::other : row->key;
    text.clear();
    return true;
  }
  bool on_string_part(string_view s, size_t, Ec&) { return part(s); }
  bool on_string(string_view s, size_t, Ec&) {
    scalar(Kind::string, whole(s));
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
    if (text.size() + s.size() > 65536) refuse("a string or number is longer than 65536 bytes");
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
      element(Kind::number, whole(s));
    } else {
      scalar(Kind::number, whole(s));
    }
    text.clear();
    return true;
  }

  void scalar(Kind kind, std::string_view s) {
    const Key k = key[depth];
    switch (at()) {
      case At::data:
        return element(kind, s);
      case At::shape:
        if (shape.size() == kMaxRank) refuse("shape: at most 32 sizes are allowed");
        shape.push_back(unsigned_integer(kind, s, "shape: every size"));
        return;
      case At::root:
        if (k == Key::id) {
          if (kind != Kind::string) refuse("id must be a string");
          if (s.size() > kMaxIdLength) refuse("id must have at most 1024 bytes");
          head->id = std::string(s);
          return;
        }
        break;
      case At::input:
      case At::output:
        if (k == Key::name) {
          once(has_name, "name");
          if (kind != Kind::string || s.empty() || s.size() > 1024) refuse("a tensor's name must be a string");
          (at() == At::input ? name : head->outputs.back().name) = std::string(s);
          return;
        }
        if (k == Key::datatype && at() == At::input) {
          if (datatype) refuse("datatype is given twice");
          if (kind == Kind::string) datatype = find_datatype(s);
          if (!datatype) refuse("datatype must be BOOL, UINT8 to UINT64, INT8 to INT64, FP16, BF16, FP32 or FP64");
          return;
        }
        if (k == Key::data && at() == At::input) refuse("data must be a list");
        break;
      case At::request_params:
        return request_param(k, kind, s);
      case At::input_params:
        if (k == Key::binary_data_size) binary_size = unsigned_integer(kind, s, "binary_data_size");
        if (k == Key::shared_memory_region) refuse("shared memory is not supported");
        return;
      case At::output_params:
        if (k == Key::binary_data) head->outputs.back().binary = boolean(kind, s, "binary_data");
        if (k == Key::classification && unsigned_integer(kind, s, "classification") != 0) {
          refuse("the classification parameter is not supported");
        }
        if (k == Key::shared_memory_region) refuse("shared memory is not supported");
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

  void request_param(Key k, Kind kind, std::string_view s) {
    switch (k) {
      case Key::binary_data_output:
        head->binary_output = boolean(kind, s, "binary_data_output");
        break;
      case Key::timeout:
        head->timeout_us = unsigned_integer(kind, s, "timeout");
        break;
      case Key::priority:
        unsigned_integer(kind, s, "priority");
        break;
      case Key::sequence_start:
        boolean(kind, s, "sequence_start");
        break;
      case Key::sequence_end:
        boolean(kind, s, "sequence_end");
        break;
      case Key::sequence_id:
        if (kind != Kind::string) unsigned_integer(kind, s, "sequence_id");
        break;
      default:
        break;  // unknown parameters are for the model
    }
  }

  // Known keys with a value of the wrong JSON type are errors; unknown keys are skipped with all they hold.
  void wrong_type(Key k) const {
    const At a = at();
    const bool known =
        (a == At::root && (k == Key::id || k == Key::parameters || k == Key::inputs || k == Key::outputs)) ||
        (a == At::input &&
         (k == Key::name || k == Key::shape || k == Key::datatype || k == Key::data || k == Key::parameters)) ||
        (a == At::output && (k == Key::name || k == Key::parameters)) ||
        (a == At::request_params && k >= Key::binary_data_output && k <= Key::sequence_end) ||
        (a == At::input_params && k == Key::binary_data_size) ||
        (a == At::output_params && (k == Key::binary_data || k == Key::classification));
    if (known) refuse("'" + std::string(key_text(k)) + "' has a value of the wrong type");
  }
  void wrong_type_or_skip(Key k) {
    wrong_type(k);
    push(At::skip);
  }
  static std::string_view key_text(Key k) {
    for (const KeyRow& r : kKeys) {
      if (r.key == k) return r.text;
    }
    return "";
  }
  void once(bool& flag, const char* what) const {
    if (flag) refuse(std::string("'") + what + "' is given twice");
    flag = true;
  }
  std::string ragged() const { return "input '" + name + "': data is ragged or does not match its shape"; }

  // ---- one tensor
  void begin_tensor() {
    name.clear();
    shape.clear();
    tokens.clear();
    datatype.reset();
    binary_size.reset();
    has_name = has_shape = has_data = has_params = late = false;
    total = count = 0;
    data_depth = leaf_depth = 0;
    sizes.fill(-1);
  }

  void begin_data() {
    once(has_data, "data");
    data_depth = 1;
    late = !(has_name && has_shape && datatype);
    if (!late) open_tensor();
  }

  void open_tensor() {
    parse = parser_for(*datatype);
    item = datatype_size(*datatype);
    total = element_count(shape);
    // An element takes at least two bytes of text, so a short body cannot ask for much memory.
    if (total > static_cast<int64_t>(json_size / 2 + 1)) refuse(wrong_count());
    out = static_cast<char*>(sink->open(name, *datatype, shape));
  }

  std::string wrong_count() const {
    return "input '" + name + "': shape " + shape_text(shape) + " and the number of elements in data differ";
  }

  void element(Kind kind, std::string_view s) {
    if (leaf_depth == 0) leaf_depth = data_depth;
    if (leaf_depth != data_depth) refuse(ragged());
    if (kind == Kind::string || kind == Kind::null) refuse("input '" + name + "': data must hold numbers");
    if (late) {
      tokens.append(s).push_back(',');
      ++count;
      return;
    }
    store(s);
  }

  void store(std::string_view s) {
    if (count == total) refuse(wrong_count());
    const Parsed r = parse(s, out + static_cast<size_t>(count) * item);
    if (r != Parsed::ok) {
      const std::string t(datatype_name(*datatype));
      refuse("input '" + name + "': element " + std::to_string(count) +
             (r == Parsed::out_of_range ? " is out of the range of " : " is not a valid ") + t);
    }
    ++count;
  }

  void end_tensor() {
    if (!has_name || !has_shape || !datatype) refuse("inputs: every entry needs name, shape and datatype");
    if (has_data == binary_size.has_value()) {
      refuse("input '" + name + "' needs either data or the parameter binary_data_size");
    }
    if (binary_size) return read_binary();
    if (late) {
      late = false;
      count = 0;
      open_tensor();
      for (size_t i = 0; i < tokens.size();) {
        const size_t j = tokens.find(',', i);
        store(std::string_view(tokens).substr(i, j - i));
        i = j + 1;
      }
    }
    if (count != total) refuse(wrong_count());
    // Nested data must have the tensor's own sizes; flat data one list of all elements.
    if (leaf_depth > 1) {
      if (leaf_depth != static_cast<int>(shape.size())) refuse(ragged());
      for (int i = 0; i < leaf_depth; ++i) {
        if (sizes[i + 1] != shape[i]) refuse(ragged());
      }
    }
  }

  void read_binary() {
    if (!has_binary) refuse("binary_data_size needs the header Inference-Header-Content-Length");
    const int64_t n = element_count(shape);
    const auto size = static_cast<size_t>(n) * datatype_size(*datatype);
    if (static_cast<size_t>(*binary_size) != size) {
      refuse("input '" + name + "': binary_data_size must be " + std::to_string(size) + ", received " +
             std::to_string(*binary_size));
    }
    if (size > binary.size()) refuse("input '" + name + "': binary data ends too early");
    auto* to = static_cast<unsigned char*>(sink->open(name, *datatype, shape));
    std::memcpy(to, binary.data(), size);
    if (*datatype == Datatype::boolean) {
      for (size_t i = 0; i < size; ++i) to[i] = to[i] != 0;  // a bool with another bit pattern is undefined behaviour
    }
    binary.remove_prefix(size);
  }

  bool has_request_params = false;
};

}  // namespace

void read_infer_request(std::string_view text, std::string_view binary, bool has_binary, InferHead& head,
                        InferSink& sink) {
  json::parse_options options;
  options.max_depth = kMaxJsonDepth;
  options.allow_infinity_and_nan = true;
  options.numbers = json::number_precision::none;
  json::basic_parser<Handler> parser(options);
  Handler& h = parser.handler();
  h.head = &head;
  h.sink = &sink;
  h.json_size = text.size();
  h.binary = binary;
  h.has_binary = has_binary;
  Ec ec;
  const size_t used = parser.write_some(false, text.data(), text.size(), ec);
  if (ec == json::error::too_deep) refuse("the JSON text is nested more than 64 deep");
  if (ec || used != text.size()) {
    // What follows a complete document may only be white space; write_some skips that.
    refuse("the JSON text is not valid near byte " + std::to_string(used));
  }
  if (!h.saw_inputs) refuse("the request needs inputs");
  if (!h.binary.empty()) refuse("unexpected additional input data after the binary tensors");
  for (size_t i = 0; i < head.outputs.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      if (head.outputs[i].name == head.outputs[j].name) refuse("outputs: a name is given twice");
    }
  }
}

}  // namespace maas::serving
