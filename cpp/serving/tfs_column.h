// One input of a TensorFlow Serving request while it is read: its shape is known only at the end.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "serving/codec.h"
#include "serving/json_tensor.h"

namespace maas::serving {

class TfsColumn {
 public:
  // `image`: the input takes encoded images too.
  TfsColumn(const TensorSpec& spec, InferSink& sink, bool image);
  const TensorSpec& spec() const { return *spec_; }
  int64_t rows() const { return rows_; }
  bool in_row() const { return in_row_; }
  void begin_row() { in_row_ = false; }

  // A value is a number, a string, or lists of them. In the flat form, that of examples, it is one list at most, and
  // a number is a list of one.
  void begin_list();
  void end_list(size_t n);
  void element(Kind kind, std::string_view s);
  void base64(std::string_view s);
  void end_value();  // the value at depth 0 is complete
  bool at_top() const { return depth_ == 0; }
  void set_flat() { flat_ = true; }

  // Hands the elements to the sink. With `rows_first` each value is one row; flat rows take the shape of the model.
  // The values come `repeat` times one after another. The sink sees the whole shape first, so its limits hold.
  void finish(bool rows_first, int64_t repeat = 1);

 private:
  [[noreturn]] void wrong(const std::string& text) const;
  Shape row_shape() const;

  const TensorSpec* spec_;
  Datatype datatype_;  // of the elements: BYTES for encoded images
  bool may_be_image_;
  InferSink* sink_;
  TensorReader::ParseElement parse_;
  size_t item_;
  std::vector<char> data_;
  int64_t count_ = 0, rows_ = 0, row_count_ = -1, row_begin_ = 0;
  int depth_ = 0, leaf_ = -1;
  bool in_row_ = false, flat_ = false;
  std::array<int64_t, kMaxRank + 2> sizes_{};  // of the lists by depth, -1: not seen
};

}  // namespace maas::serving
