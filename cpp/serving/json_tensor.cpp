#include "serving/json_tensor.h"

#include <cstring>

#include "serving/base64.h"

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

TensorReader::ParseElement TensorReader::parser_for(Datatype t) {
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
    case Datatype::bytes:
      return nullptr;
    default:
      refuse(std::string(datatype_name(t)) + " has no JSON form, send it as binary data");
  }
}

void TensorReader::begin() {
  name.clear();
  shape.clear();
  tokens_.clear();
  datatype.reset();
  binary_size.reset();
  has_name = has_shape = has_data = has_params = late_ = false;
  total_ = count_ = 0;
  data_depth_ = leaf_depth_ = 0;
  sizes_.fill(-1);
}

void TensorReader::begin_data() {
  once(has_data, "data");
  data_depth_ = 1;
  late_ = !(has_name && has_shape && datatype);
  if (!late_) open();
}

void TensorReader::begin_list() {
  if (data_depth_ == kMaxRank) refuse("input '" + name + "': data is nested more than 32 deep");
  if (leaf_depth_ != 0 && data_depth_ >= leaf_depth_) refuse(ragged());
  ++data_depth_;
}

void TensorReader::end_list(size_t n) {
  int64_t& known = sizes_[static_cast<size_t>(data_depth_)];
  if (known < 0) known = static_cast<int64_t>(n);
  if (known != static_cast<int64_t>(n)) refuse(ragged());
  --data_depth_;
}

void TensorReader::open() {
  parse_ = parser_for(*datatype);
  item_ = datatype_size(*datatype);
  total_ = element_count(shape);
  // An element takes at least two bytes of text, so a short body cannot ask for much memory.
  if (total_ > static_cast<int64_t>(json_size / 2 + 1)) refuse(wrong_count());
  out_ = static_cast<char*>(sink->open(name, *datatype, shape));
}

void TensorReader::end() {
  if (!has_name || !has_shape || !datatype) refuse("inputs: every entry needs name, shape and datatype");
  if (has_data == binary_size.has_value()) {
    refuse("input '" + name + "' needs either data or the parameter binary_data_size");
  }
  if (binary_size) return take_binary();
  if (late_) store_late();
  if (count_ != total_) refuse(wrong_count());
  check_nesting();
}

void TensorReader::store_late() {
  late_ = false;
  count_ = 0;
  open();
  for (size_t i = 0; i < tokens_.size();) {
    uint32_t n = 0;
    std::memcpy(&n, tokens_.data() + i + 1, sizeof n);
    const auto kind = static_cast<Kind>(tokens_[i]);
    i += 1 + sizeof n;
    store(kind, std::string_view(tokens_).substr(i, n));
    i += n;
  }
}

// Nested data must have the tensor's own sizes; flat data is one list of all elements and nothing else.
void TensorReader::check_nesting() const {
  if (leaf_depth_ == 1 && sizes_[1] != total_) refuse(ragged());
  if (leaf_depth_ <= 1) return;
  if (leaf_depth_ != static_cast<int>(shape.size())) refuse(ragged());
  for (size_t i = 0; i < shape.size(); ++i) {
    if (sizes_[i + 1] != shape[i]) refuse(ragged());
  }
}

void TensorReader::take_binary() {
  if (!has_binary) refuse("binary_data_size needs the header Inference-Header-Content-Length");
  const int64_t n = element_count(shape);
  if (*datatype == Datatype::bytes) {
    const auto size = static_cast<size_t>(*binary_size);
    if (size > binary.size()) refuse("input '" + name + "': binary data ends too early");
    // Every element has four bytes at least, so a short body cannot ask for much memory.
    if (static_cast<size_t>(n) > size / 4) refuse("input '" + name + "': binary data ends too early");
    auto* to = static_cast<Bytes*>(sink->open(name, *datatype, shape));
    read_bytes_elements(binary.substr(0, size), n, to, *sink, "input '" + name + "'");
    binary.remove_prefix(size);
    return;
  }
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

void TensorReader::keep_late(Kind kind, std::string_view s) {
  const auto n = static_cast<uint32_t>(s.size());
  tokens_.push_back(static_cast<char>(kind));
  tokens_.append(reinterpret_cast<const char*>(&n), sizeof n).append(s);
  ++count_;
}

void TensorReader::store_text(Kind kind, std::string_view s) {
  if (count_ == total_) refuse(wrong_count());
  if (kind != Kind::string) refuse("input '" + name + "': data must hold strings");
  char* text = sink->keep(s.size());
  if (!s.empty()) std::memcpy(text, s.data(), s.size());
  const Bytes b{text, s.size()};
  std::memcpy(out_ + static_cast<size_t>(count_++) * item_, &b, sizeof b);
}

void TensorReader::base64(std::string_view s) {
  std::string decoded(base64_room(s.size()), '\0');
  const int64_t n = decode_base64(s, decoded.data());
  if (n < 0) bad_base64();
  element(Kind::string, std::string_view(decoded).substr(0, static_cast<size_t>(n)));
}

void TensorReader::bad_base64() const {
  refuse("input '" + name + "': an object in data must be {\"b64\": \"...\"} with base64 text");
}

void TensorReader::bad_element(Parsed problem) const {
  refuse("input '" + name + "': element " + std::to_string(count_) +
         (problem == Parsed::out_of_range ? " is out of the range of " : " is not a valid ") +
         std::string(datatype_name(*datatype)));
}

std::string TensorReader::ragged() const { return "input '" + name + "': data is ragged or does not match its shape"; }

std::string TensorReader::wrong_count() const {
  return "input '" + name + "': shape " + shape_text(shape) + " and the number of elements in data differ";
}

}  // namespace maas::serving
