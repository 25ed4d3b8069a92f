// Base64 (RFC 4648, standard alphabet, padding may be left out) to bytes.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace maas::serving {

// Most bytes that `size` characters can stand for.
constexpr size_t base64_room(size_t size) { return size / 4 * 3 + 3; }

// Writes to `out`, which has base64_room bytes; returns the number of bytes, or -1 if `text` is not base64.
inline int64_t decode_base64(std::string_view text, char* out) {
  static constexpr auto kValue = [] {
    std::array<int8_t, 256> t{};
    t.fill(-1);
    int8_t v = 0;
    for (const char c : std::string_view("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"))
      t[static_cast<unsigned char>(c)] = v++;
    return t;
  }();
  if (text.size() % 4 == 0) {
    for (int i = 0; i < 2 && text.ends_with('='); ++i) text.remove_suffix(1);
  }
  if (text.size() % 4 == 1) return -1;
  uint32_t bits = 0;
  int held = 0;
  char* p = out;
  for (const char c : text) {
    const int v = kValue[static_cast<unsigned char>(c)];
    if (v < 0) return -1;
    bits = bits << 6 | static_cast<uint32_t>(v);
    held += 6;
    if (held >= 8) *p++ = static_cast<char>(bits >> (held -= 8));
  }
  // What is left over says nothing and must be zero.
  if ((bits & ((1U << held) - 1)) != 0) return -1;
  return p - out;
}

inline void append_base64(std::string& out, std::string_view in) {
  static constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (size_t i = 0; i < in.size(); i += 3) {
    uint32_t v = 0;
    const size_t n = std::min<size_t>(3, in.size() - i);
    for (size_t j = 0; j < 3; ++j) v = v << 8 | (j < n ? static_cast<unsigned char>(in[i + j]) : 0);
    for (size_t j = 0; j < 4; ++j) out += j <= n ? kAlphabet[v >> (18 - 6 * j) & 63] : '=';
  }
}

}  // namespace maas::serving
