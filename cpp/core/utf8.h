#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace maas {

// Well-formed UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF.
inline bool is_utf8(std::string_view s) {
  for (size_t i = 0; i < s.size();) {
    const auto c = static_cast<unsigned char>(s[i++]);
    if (c < 0x80) continue;
    const int more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
    if (c < 0xc2 || c > 0xf4 || s.size() - i < static_cast<size_t>(more)) return false;
    uint32_t code = c & (0x3fu >> more);
    for (int k = 0; k < more; ++k) {
      const auto d = static_cast<unsigned char>(s[i++]);
      if ((d & 0xc0) != 0x80) return false;
      code = code << 6 | (d & 0x3fu);
    }
    constexpr uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    if (code < least[more] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return false;
  }
  return true;
}

inline void append_utf8(std::string& s, uint32_t code) {
  if (code < 0x80) {
    s += static_cast<char>(code);
    return;
  }
  const int more = code >= 0x10000 ? 3 : code >= 0x800 ? 2 : 1;
  constexpr uint32_t lead[] = {0, 0xc0, 0xe0, 0xf0};
  s += static_cast<char>(lead[more] | code >> (6 * more));
  for (int k = more - 1; k >= 0; --k) s += static_cast<char>(0x80 | (code >> (6 * k) & 0x3f));
}

}  // namespace maas
