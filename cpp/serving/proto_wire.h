// The wire format of protocol buffers: fields of a message as they come, and their bytes as they go out.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "core/error.h"

namespace maas::serving::wire {

enum class Type : uint8_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

// One message, field by field. Every length is checked against what is there.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : p_(bytes.data()), end_(bytes.data() + bytes.size()) {}
  // False at the end of the message. Throws Error(value) for what is not a message.
  bool next() {
    if (p_ == end_) return false;
    const uint64_t tag = varint();
    field = tag >> 3 <= UINT32_MAX ? static_cast<uint32_t>(tag >> 3) : 0;
    type = static_cast<Type>(tag & 7);
    if (field == 0) broken();
    switch (type) {
      case Type::varint:
        number = varint();
        return true;
      case Type::fixed64:
        text = take(8);
        return true;
      case Type::bytes: {
        const uint64_t n = varint();
        if (n > static_cast<uint64_t>(end_ - p_)) broken();
        text = take(static_cast<size_t>(n));
        return true;
      }
      case Type::fixed32:
        text = take(4);
        return true;
    }
    broken();  // groups are of a syntax that these messages do not have
  }
  uint32_t field = 0;
  Type type = Type::varint;
  uint64_t number = 0;    // of a varint
  std::string_view text;  // of anything else

  bool is(uint32_t f, Type t) const { return field == f && type == t; }
  [[noreturn]] static void broken() { throw Error(ErrorKind::value, "the message is not valid"); }

  // Varints of a packed field.
  bool more() const { return p_ != end_; }
  uint64_t varint() {
    uint64_t v = 0;
    for (int shift = 0; shift < 70; shift += 7) {
      if (p_ == end_) broken();
      const auto b = static_cast<unsigned char>(*p_++);
      if (shift == 63 && b > 1) broken();
      v |= static_cast<uint64_t>(b & 0x7f) << shift;
      if (b < 0x80) return v;
    }
    broken();
  }

 private:
  std::string_view take(size_t n) {
    if (n > static_cast<size_t>(end_ - p_)) broken();
    const std::string_view s(p_, n);
    p_ += n;
    return s;
  }
  const char *p_, *end_;
};

inline void put_varint(std::string& out, uint64_t v) {
  while (v >= 0x80) {
    out += static_cast<char>(v | 0x80);
    v >>= 7;
  }
  out += static_cast<char>(v);
}
inline void put_tag(std::string& out, uint32_t field, Type type) {
  put_varint(out, static_cast<uint64_t>(field) << 3 | static_cast<uint64_t>(type));
}
inline void put_bytes(std::string& out, uint32_t field, std::string_view s) {
  put_tag(out, field, Type::bytes);
  put_varint(out, s.size());
  out += s;
}
// Zero and the empty string are what a missing field means.
inline void put_text(std::string& out, uint32_t field, std::string_view s) {
  if (!s.empty()) put_bytes(out, field, s);
}
inline void put_number(std::string& out, uint32_t field, uint64_t v) {
  if (v == 0) return;
  put_tag(out, field, Type::varint);
  put_varint(out, v);
}
template <class List>
void put_packed(std::string& out, uint32_t field, const List& list) {
  std::string packed;
  for (const auto v : list) put_varint(packed, static_cast<uint64_t>(v));
  put_text(out, field, packed);
}

}  // namespace maas::serving::wire
