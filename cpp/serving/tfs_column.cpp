#include "serving/tfs_column.h"

#include <cstring>

#include "core/error.h"
#include "serving/base64.h"

namespace maas::serving {
namespace {

const char* kind_name(Kind k) {
  switch (k) {
    case Kind::string:
      return "String";
    case Kind::number:
      return "Number";
    case Kind::boolean:
      return "Bool";
    default:
      return "Null";
  }
}

}  // namespace

TfsColumn::TfsColumn(const TensorSpec& spec, InferSink& sink, bool image)
    : spec_(&spec),
      datatype_(spec.datatype),
      may_be_image_(image),
      sink_(&sink),
      parse_(nullptr),
      item_(datatype_size(spec.datatype)) {
  sizes_.fill(-1);
  if (spec.datatype == Datatype::fp16 || spec.datatype == Datatype::bf16) {
    throw Error(ErrorKind::not_implemented, "Conversion of JSON values to " +
                                                std::string(datatype_name(spec.datatype)) +
                                                " is not supported, as input '" + spec.name + "' needs it");
  }
  parse_ = TensorReader::parser_for(spec.datatype);
}

void TfsColumn::wrong(const std::string& text) const { refuse("input '" + spec_->name + "': " + text); }

void TfsColumn::begin_list() {
  if (depth_ == (flat_ ? 1 : kMaxRank)) wrong("Encountered list at unexpected level: " + std::to_string(depth_));
  if (!flat_ && leaf_ >= 0 && depth_ >= leaf_) {
    wrong("Encountered list at unexpected level: " + std::to_string(depth_) + " expected < " + std::to_string(leaf_));
  }
  ++depth_;
}

void TfsColumn::end_list(size_t n) {
  --depth_;
  if (flat_) return;
  int64_t& known = sizes_[static_cast<size_t>(depth_)];
  if (known < 0) known = static_cast<int64_t>(n);
  if (known != static_cast<int64_t>(n)) {
    wrong("Encountered list at unexpected size: " + std::to_string(n) + " at level: " + std::to_string(depth_) +
          " expected size: " + std::to_string(known));
  }
}

void TfsColumn::element(Kind kind, std::string_view s) {
  if (!flat_) {
    if (leaf_ < 0) leaf_ = depth_;
    if (leaf_ != depth_) {
      wrong("JSON Value found at incorrect level: " + std::to_string(depth_) +
            ". Expected at level: " + std::to_string(leaf_));
    }
  }
  const bool text = datatype_ == Datatype::bytes;
  if (text != (kind == Kind::string) || kind == Kind::null) {
    wrong("JSON Value of type " + std::string(kind_name(kind)) + " is not of expected type " +
          std::string(datatype_name(spec_->datatype)));
  }
  const size_t at = data_.size();
  data_.resize(at + item_);
  if (text) {
    char* kept = sink_->keep(s.size());
    if (!s.empty()) std::memcpy(kept, s.data(), s.size());
    const Bytes b{kept, s.size()};
    std::memcpy(data_.data() + at, &b, sizeof b);
  } else if (const Parsed r = parse_(s, data_.data() + at); r != Parsed::ok) {
    wrong("JSON Value at element " + std::to_string(count_) +
          (r == Parsed::out_of_range ? " is out of the range of " : " is not of expected type ") +
          std::string(datatype_name(spec_->datatype)));
  }
  ++count_;
}

void TfsColumn::base64(std::string_view s) {
  if (may_be_image_ && count_ == 0) {
    datatype_ = Datatype::bytes;
    item_ = datatype_size(datatype_);
  }
  if (datatype_ != Datatype::bytes) {
    wrong("JSON Value of type Object is not of expected type " + std::string(datatype_name(spec_->datatype)));
  }
  std::string decoded(base64_room(s.size()), '\0');
  const int64_t n = decode_base64(s, decoded.data());
  if (n < 0) wrong("Unable to base64 decode");
  element(Kind::string, std::string_view(decoded).substr(0, static_cast<size_t>(n)));
}

void TfsColumn::end_value() {
  const int64_t n = count_ - row_begin_;
  if (row_count_ < 0) row_count_ = n;
  if (row_count_ != n) {
    wrong("Expecting tensor size: " + std::to_string(row_count_) + " but got: " + std::to_string(n));
  }
  row_begin_ = count_;
  ++rows_;
  in_row_ = true;
}

Shape TfsColumn::row_shape() const {
  if (!flat_) return {sizes_.begin(), sizes_.begin() + std::max(leaf_, 0)};
  Shape shape(spec_->shape.begin() + (spec_->shape.empty() ? 0 : 1), spec_->shape.end());
  int64_t known = 1, *free = nullptr;
  for (int64_t& d : shape) {
    if (d >= 0) {
      known *= d;
    } else if (free == nullptr) {
      free = &d;
    } else {
      wrong("an example cannot tell the shape " + shape_text(spec_->shape));
    }
  }
  if (free != nullptr) *free = known > 0 && row_count_ % known == 0 ? row_count_ / known : 0;
  if ((free != nullptr ? known * *free : known) != row_count_) {
    wrong("an example must have " + std::to_string(known) + " values, received " + std::to_string(row_count_));
  }
  return shape;
}

void TfsColumn::finish(bool rows_first, int64_t repeat) {
  if (leaf_ < 0 && !flat_) wrong("the tensor is empty");
  const bool image = may_be_image_ && datatype_ == Datatype::bytes;
  Shape shape = image && flat_ ? Shape{} : row_shape();
  if (rows_first) shape.insert(shape.begin(), rows_ * repeat);
  if (shape.size() > static_cast<size_t>(kMaxRank)) wrong("at most 32 sizes are allowed");
  if (element_count(shape) != count_ * repeat) wrong("the shape and the number of values differ");
  auto* out = static_cast<char*>(sink_->open(spec_->name, datatype_, shape));
  for (int64_t i = 0; i < repeat; ++i, out += data_.size()) std::memcpy(out, data_.data(), data_.size());
}

}  // namespace maas::serving
