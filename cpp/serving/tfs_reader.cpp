#include "serving/tfs_reader.h"

#include <array>
#include <boost/json/basic_parser_impl.hpp>
#include <limits>

#include "core/error.h"
#include "serving/images.h"
#include "serving/tfs_column.h"

namespace maas::serving {
namespace {

namespace boost_json = boost::json;
using boost_json::string_view;
using Ec = boost::system::error_code;

// Where the reader is. A row is an object of `instances` or `examples`, or `context`; columns is the object `inputs`.
enum class Place : uint8_t { top, root, list, row, columns, value, base64, skip };
enum class Word : uint8_t { other, signature_name, instances, inputs, examples, context };

Word find_word(std::string_view s) {
  constexpr std::pair<std::string_view, Word> kWords[] = {{"signature_name", Word::signature_name},
                                                          {"instances", Word::instances},
                                                          {"inputs", Word::inputs},
                                                          {"examples", Word::examples},
                                                          {"context", Word::context}};
  for (const auto& [text, word] : kWords) {
    if (text == s) return word;
  }
  return Word::other;
}

struct TfsHandler {
  static constexpr size_t max_object_size = std::numeric_limits<size_t>::max();
  static constexpr size_t max_array_size = std::numeric_limits<size_t>::max();
  static constexpr size_t max_key_size = 4096;
  static constexpr size_t max_string_size = std::numeric_limits<size_t>::max();

  TfsMethod method = TfsMethod::predict;
  std::vector<TfsColumn> columns, context;
  bool saw_rows = false, saw_inputs = false, saw_context = false, saw_signature = false, in_context = false;
  int64_t rows = 0;
  enum class Rows : uint8_t { unknown, named, bare } kind = Rows::unknown;
  TfsColumn* column = nullptr;  // of the value being read, null: it is skipped
  bool base64_key = false;      // the object is {"b64": ...} itself
  bool base64_seen = false;

  std::array<Place, kMaxJsonDepth + 2> stack{};
  int depth = 0;
  Word word = Word::other;
  std::string text;

  Place at() const { return stack[static_cast<size_t>(depth)]; }
  void push(Place p) { stack[static_cast<size_t>(++depth)] = p; }
  bool examples() const { return method != TfsMethod::predict; }
  const char* rows_word() const { return examples() ? "examples" : "instances"; }

  static void see(bool& mine, bool other, const char* what) {
    if (other) refuse("Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist");
    once(mine, what);
  }

  TfsColumn* find(std::string_view name) {
    for (TfsColumn& c : in_context ? context : columns) {
      if (c.spec().name == name) return &c;
    }
    return nullptr;
  }
  TfsColumn* only(const char* plain, const char* expected) {
    if (columns.size() > 1) {
      refuse(std::string(plain) + ", but expecting " + expected +
             " as multiple input tensors required as per tensorinfo_map");
    }
    return columns.data();
  }
  TfsColumn* only_of_rows() {
    if (examples()) refuse("Example must be JSON object");
    if (kind == Rows::named) {
      refuse("Expecting object but got list at item " + std::to_string(rows) + " of input list");
    }
    kind = Rows::bare;
    return only("instances is a plain list", "list of objects");
  }
  TfsColumn* only_of_inputs() {
    see(saw_inputs, saw_rows, "inputs");
    return only("inputs is a plain value/list", "an object");
  }
  [[noreturn]] void bad_element(const std::string& what) const {
    refuse("Failed to process element: " + std::to_string(rows) + " of '" + rows_word() + "' list. Error: " + what);
  }

  // ---- rows
  void begin_row() {
    for (TfsColumn& c : in_context ? context : columns) c.begin_row();
    base64_key = base64_seen = false;
    push(Place::row);
  }
  void end_row(size_t n) {
    if (base64_key) {
      if (n != 1 || !base64_seen) bad_element("not formatted correctly for base64 data");
      ++rows;
      return;
    }
    if (in_context) {
      in_context = false;
      return;
    }
    if (!examples()) {
      if (kind == Rows::bare) {
        refuse("Expecting value/list but got object at item " + std::to_string(rows) + " of input list");
      }
      kind = Rows::named;
      for (const TfsColumn& c : columns) {
        if (!c.in_row()) bad_element("JSON object misses the named input: " + c.spec().name);
      }
    }
    ++rows;
  }
  void end_value() {
    if (column != nullptr && column->at_top()) {
      column->end_value();
      if (at() == Place::list) ++rows;
      column = nullptr;
    }
  }

  // ---- structure
  bool on_document_begin(Ec&) { return true; }
  bool on_document_end(Ec&) { return true; }

  bool on_object_begin(Ec&) {
    switch (at()) {
      case Place::top:
        push(Place::root);
        return true;
      case Place::root:
        if (word == Word::inputs && !examples()) {
          see(saw_inputs, saw_rows, "inputs");
          base64_key = base64_seen = false;
          push(Place::columns);
        } else if (word == Word::context && examples()) {
          once(saw_context, "context");
          in_context = true;
          begin_row();
        } else {
          refuse_scalar_or_object();
          push(Place::skip);
        }
        return true;
      case Place::list:
        begin_row();
        return true;
      case Place::row:
      case Place::columns:
      case Place::value:
        push(column != nullptr ? Place::base64 : Place::skip);
        word = Word::other;
        return true;
      case Place::base64:
        refuse("JSON Value not formatted correctly for base64 data");
      case Place::skip:
        push(Place::skip);
        return true;
    }
    return true;
  }

  bool on_object_end(size_t n, Ec&) {
    const Place p = at();
    --depth;
    if (p == Place::row) end_row(n);
    if (p == Place::columns && base64_key && (n != 1 || !base64_seen)) {
      refuse("JSON Value not formatted correctly for base64 data");
    }
    if (p == Place::base64) {
      if (n != 1) refuse("JSON Value not formatted correctly for base64 data");
      end_value();
    }
    return true;
  }

  bool on_array_begin(Ec&) {
    switch (at()) {
      case Place::top:
        refuse("JSON Value: Is not object");
      case Place::root:
        if (word == (examples() ? Word::examples : Word::instances)) {
          see(saw_rows, saw_inputs, rows_word());
          push(Place::list);
        } else if (word == Word::inputs && !examples()) {
          column = only_of_inputs();
          column->begin_list();
          push(Place::value);
        } else {
          refuse_scalar_or_object();
          push(Place::skip);
        }
        return true;
      case Place::list:
        column = only_of_rows();
        column->begin_list();
        push(Place::value);
        return true;
      case Place::row:
      case Place::columns:
        if (base64_key) refuse("JSON Value not formatted correctly for base64 data");
        [[fallthrough]];
      case Place::value:
        if (column == nullptr) {
          push(Place::skip);
        } else {
          column->begin_list();
          push(Place::value);
        }
        return true;
      case Place::base64:
        refuse("JSON Value not formatted correctly for base64 data");
      case Place::skip:
        push(Place::skip);
        return true;
    }
    return true;
  }

  bool on_array_end(size_t n, Ec&) {
    const Place p = at();
    --depth;
    if (p == Place::value) {
      column->end_list(n);
      end_value();
    }
    if (p == Place::list && n == 0) refuse("No values in '" + std::string(rows_word()) + "' array");
    return true;
  }

  // ---- scalars
  bool on_key_part(string_view s, size_t, Ec&) { return part(s); }
  bool on_key(string_view s, size_t, Ec&) {
    key(whole(s));
    text.clear();
    return true;
  }
  void key(std::string_view name) {
    switch (at()) {
      case Place::root:
        word = find_word(name);
        return;
      case Place::row:
      case Place::columns:
        column = find(name);
        if (column != nullptr && column->in_row()) refuse("input '" + std::string(name) + "' is given twice");
        if (column != nullptr || examples()) return;
        if (name == "b64" && columns.size() == 1 && kind != Rows::named) {
          base64_key = true;
          column = columns.data();
          if (at() == Place::row) kind = Rows::bare;
          return;
        }
        // A column that the model does not have is ignored; a row must have the model's own.
        if (at() == Place::row) bad_element("JSON object: does not have named input: " + std::string(name));
        return;
      case Place::base64:
        if (name != "b64") refuse("JSON Value not formatted correctly for base64 data");
        return;
      default:
        return;
    }
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
  bool number(string_view s) {
    scalar(Kind::number, whole(s));
    text.clear();
    return true;
  }
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
    if (at() != Place::skip) text.append(s.data(), s.size());
    return true;
  }
  std::string_view whole(string_view s) {
    if (text.empty()) return {s.data(), s.size()};
    text.append(s.data(), s.size());
    return text;
  }

  void scalar(Kind kind_of, std::string_view s) {
    switch (at()) {
      case Place::top:
        refuse("JSON Value: Is not object");
      case Place::root:
        return root_scalar(kind_of, s);
      case Place::list:
        column = only_of_rows();
        column->element(kind_of, s);
        return end_value();
      case Place::row:
      case Place::columns:
        if (base64_key) return base64_scalar(kind_of, s);
        [[fallthrough]];
      case Place::value:
        if (column == nullptr) return;
        column->element(kind_of, s);
        return end_value();
      case Place::base64:
        if (kind_of != Kind::string) refuse("JSON Value not formatted correctly for base64 data");
        return column->base64(s);
      case Place::skip:
        return;
    }
  }
  void base64_scalar(Kind kind_of, std::string_view s) {
    if (kind_of != Kind::string || base64_seen) refuse("JSON Value not formatted correctly for base64 data");
    column->base64(s);
    base64_seen = true;
    column->end_value();
    column = nullptr;
  }
  void root_scalar(Kind kind_of, std::string_view s) {
    if (word == Word::signature_name) {
      once(saw_signature, "signature_name");
      if (kind_of != Kind::string)
        refuse("JSON Value not formatted correctly. 'signature_name' key must be a string value.");
      if (!s.empty() && s != "serving_default") {
        refuse("Serving signature name: \"" + std::string(s.substr(0, 100)) + "\" not found in signature def");
      }
      return;
    }
    if (word == Word::inputs && !examples()) {
      column = only_of_inputs();
      column->element(kind_of, s);
      return end_value();
    }
    refuse_scalar_or_object();
  }
  void refuse_scalar_or_object() const {
    if (word == Word::signature_name) {
      refuse("JSON Value not formatted correctly. 'signature_name' key must be a string value.");
    }
    if (word == (examples() ? Word::examples : Word::instances)) {
      refuse("Expecting '" + std::string(rows_word()) + "' value to be an list/array");
    }
    if (word == Word::context && examples()) refuse("Example must be JSON object");
  }

  void finish(InferHead& head) {
    if (!saw_rows && !saw_inputs) {
      refuse(examples() ? "When method is classify or regress, key 'examples' is expected and was not found"
                        : "Missing 'inputs' or 'instances' key");
    }
    head.rows_form = saw_rows;
    for (size_t i = 0; i < columns.size(); ++i) {
      TfsColumn* c = &columns[i];
      if (examples() && c->rows() == 0 && context[i].rows() > 0) {
        context[i].finish(true, rows);
        continue;
      }
      if (c->rows() == 0) refuse("Missing named input: " + c->spec().name);
      if (saw_rows && c->rows() != rows) refuse("input '" + c->spec().name + "' is missing in some examples");
      c->finish(saw_rows);
    }
  }
};

}  // namespace

void read_tfs_request(std::string_view text, TfsMethod method, const ModelInfo& info, InferHead& head,
                      InferSink& sink) {
  if (text.empty()) refuse("JSON Parse error: The document is empty");
  boost_json::parse_options options;
  options.max_depth = kMaxJsonDepth;
  options.allow_infinity_and_nan = true;
  options.numbers = boost_json::number_precision::none;
  boost_json::basic_parser<TfsHandler> parser(options);
  TfsHandler& h = parser.handler();
  h.method = method;
  for (size_t i = 0; i < info.inputs.size(); ++i) {
    const TensorSpec& spec = info.inputs[i];
    const bool image = image_input(info, i).has_value();
    h.columns.emplace_back(spec, sink, image);
    h.context.emplace_back(spec, sink, image);
    if (method != TfsMethod::predict) {
      h.columns.back().set_flat();
      h.context.back().set_flat();
    }
  }
  Ec ec;
  const size_t used = parser.write_some(false, text.data(), text.size(), ec);
  if (ec == boost_json::error::too_deep) refuse("JSON Parse error: nested more than 64 deep");
  if (ec || used != text.size()) refuse("JSON Parse error: Invalid value. at offset: " + std::to_string(used));
  h.finish(head);
}

}  // namespace maas::serving
