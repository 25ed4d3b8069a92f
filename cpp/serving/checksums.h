// CRC-32 of gzip (RFC 1952) and Adler-32 of zlib (RFC 1950).
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

namespace maas::serving {

// table[k][b]: the CRC of byte b with k zero bytes after it, so that eight bytes are taken in one step.
constexpr std::array<std::array<uint32_t, 256>, 8> make_crc_table() {
  std::array<std::array<uint32_t, 256>, 8> t{};
  for (uint32_t b = 0; b < 256; ++b) {
    uint32_t c = b;
    for (int i = 0; i < 8; ++i) c = (c >> 1) ^ (c & 1 ? 0xedb88320U : 0);
    t[0][b] = c;
  }
  for (size_t k = 1; k < 8; ++k) {
    for (size_t b = 0; b < 256; ++b) t[k][b] = (t[k - 1][b] >> 8) ^ t[0][t[k - 1][b] & 0xff];
  }
  return t;
}

inline uint32_t crc32(std::string_view s) {
  static constexpr auto kTable = make_crc_table();
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(s[i]); };
  uint32_t c = 0xffffffffU;
  size_t i = 0;
  for (; i + 8 <= s.size(); i += 8) {
    c ^= static_cast<uint32_t>(byte(i) | byte(i + 1) << 8 | byte(i + 2) << 16) | static_cast<uint32_t>(byte(i + 3))
                                                                                     << 24;
    c = kTable[7][c & 0xff] ^ kTable[6][c >> 8 & 0xff] ^ kTable[5][c >> 16 & 0xff] ^ kTable[4][c >> 24] ^
        kTable[3][byte(i + 4)] ^ kTable[2][byte(i + 5)] ^ kTable[1][byte(i + 6)] ^ kTable[0][byte(i + 7)];
  }
  for (; i < s.size(); ++i) c = kTable[0][(c ^ byte(i)) & 0xff] ^ (c >> 8);
  return ~c;
}

inline uint32_t adler32(std::string_view s) {
  constexpr size_t kBlock = 5552;  // most bytes whose sums still fit 32 bits
  uint32_t a = 1, b = 0;
  for (size_t i = 0; i < s.size();) {
    for (const size_t end = std::min(s.size(), i + kBlock); i < end; ++i) {
      a += static_cast<unsigned char>(s[i]);
      b += a;
    }
    a %= 65521;
    b %= 65521;
  }
  return b << 16 | a;
}

}  // namespace maas::serving
