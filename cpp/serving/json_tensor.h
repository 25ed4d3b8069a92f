// One input tensor while it is read: its elements go straight into the sink's memory.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "serving/codec.h"
#include "serving/json_words.h"
#include "serving/numbers.h"

namespace maas::serving {

struct TensorReader {
  InferSink* sink = nullptr;
  size_t json_size = 0;     // of the whole request
  std::string_view binary;  // raw tensors not yet taken
  bool has_binary = false;  // the client announced them

  std::string name;
  Shape shape;
  std::optional<Datatype> datatype;
  std::optional<int64_t> binary_size;
  bool has_name = false, has_shape = false, has_data = false, has_params = false;

  void begin();
  void end();  // all of the tensor has been seen
  void begin_data();
  void begin_list();  // inside data
  void end_list(size_t n);
  void element(Kind kind, std::string_view s) {
    if (leaf_depth_ == 0) leaf_depth_ = data_depth_;
    if (leaf_depth_ != data_depth_) refuse(ragged());
    if (late_) return keep_late(kind, s);
    store(kind, s);
  }

  void base64(std::string_view s);  // a string element as {"b64": ...}
  [[noreturn]] void bad_base64() const;

  using ParseElement = Parsed (*)(std::string_view, void*);
  static ParseElement parser_for(Datatype t);  // null for BYTES; throws for what has no JSON form

 private:
  void open();
  void keep_late(Kind kind, std::string_view s);
  void store_text(Kind kind, std::string_view s);
  void store(Kind kind, std::string_view s) {
    if (parse_ == nullptr) return store_text(kind, s);
    if (kind == Kind::string || kind == Kind::null) refuse("input '" + name + "': data must hold numbers");
    if (count_ == total_) refuse(wrong_count());
    const Parsed r = parse_(s, out_ + static_cast<size_t>(count_) * item_);
    if (r != Parsed::ok) bad_element(r);
    ++count_;
  }
  void store_late();
  void check_nesting() const;
  void take_binary();
  [[noreturn]] void bad_element(Parsed problem) const;
  std::string ragged() const;
  std::string wrong_count() const;

  bool late_ = false;  // data came before name, datatype and shape: its tokens are kept in tokens_
  std::string tokens_;
  ParseElement parse_ = nullptr;
  char* out_ = nullptr;
  size_t item_ = 0;
  int64_t total_ = 0, count_ = 0;
  int data_depth_ = 0, leaf_depth_ = 0;
  std::array<int64_t, kMaxRank + 2> sizes_{};  // of the lists by depth, -1: not seen
};

}  // namespace maas::serving
