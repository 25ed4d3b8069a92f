#include <string>

#include "core/error.h"
#include "core/utf8.h"
#include "serving/codec.h"
#include "serving/numbers.h"

namespace maas::serving {
namespace {

template <class T>
void elements(std::string& out, const void* data, int64_t count) {
  constexpr int64_t kBlock = 128;  // one stack buffer of 4 KB per append
  char buffer[kBlock * (kMaxElementText + 1)];
  const char* p = static_cast<const char*>(data);
  for (int64_t i = 0; i < count; i += kBlock) {
    char* q = buffer;
    const int64_t end = std::min(count, i + kBlock);
    for (int64_t j = i; j < end; ++j, p += sizeof(T)) {
      if (j != 0) *q++ = ',';
      q = print_element<T>(p, q);
    }
    out.append(buffer, q);
  }
}

}  // namespace

void write_json_elements(std::string& out, Datatype datatype, const void* data, int64_t count) {
  switch (datatype) {
    case Datatype::boolean:
      return elements<bool>(out, data, count);
    case Datatype::uint8:
      return elements<uint8_t>(out, data, count);
    case Datatype::uint16:
      return elements<uint16_t>(out, data, count);
    case Datatype::uint32:
      return elements<uint32_t>(out, data, count);
    case Datatype::uint64:
      return elements<uint64_t>(out, data, count);
    case Datatype::int8:
      return elements<int8_t>(out, data, count);
    case Datatype::int16:
      return elements<int16_t>(out, data, count);
    case Datatype::int32:
      return elements<int32_t>(out, data, count);
    case Datatype::int64:
      return elements<int64_t>(out, data, count);
    case Datatype::fp32:
      return elements<float>(out, data, count);
    case Datatype::fp64:
      return elements<double>(out, data, count);
    case Datatype::bytes:
      for (int64_t i = 0; i < count; ++i) {
        if (i != 0) out += ',';
        write_json_text(out, static_cast<const Bytes*>(data)[i].view());
      }
      return;
    case Datatype::fp16:
    case Datatype::bf16:
      break;
  }
  throw Error(ErrorKind::value,
              std::string(datatype_name(datatype)) + " outputs have no JSON form, ask for binary_data");
}

void write_json_text(std::string& out, std::string_view text) {
  if (!is_utf8(text)) {
    throw Error(ErrorKind::value, "a BYTES output is not UTF-8 text and has no JSON form, ask for binary_data");
  }
  write_json_string(out, text);
}

void write_json_shape(std::string& out, const Shape& shape) {
  out += '[';
  for (size_t i = 0; i < shape.size(); ++i) {
    char b[24];
    if (i != 0) out += ',';
    out.append(b, std::to_chars(b, b + sizeof b, shape[i]).ptr);
  }
  out += ']';
}

void write_json_string(std::string& out, std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  for (const char c : text) {
    const auto u = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (u < 0x20 || u == 0x7f) {
      out.append("\\u00");
      out += kHex[u >> 4];
      out += kHex[u & 15];
    } else {
      out += c;
    }
  }
  out += '"';
}

std::string error_body(std::string_view text) {
  std::string out = "{\"error\":";
  write_json_string(out, text);
  out += '}';
  return out;
}

std::string shape_text(const Shape& shape) {
  std::string out;
  write_json_shape(out, shape);
  return out;
}

}  // namespace maas::serving
