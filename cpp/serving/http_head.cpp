#include "serving/http_head.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

namespace maas::serving {
namespace {

constexpr std::array<bool, 256> make_token_table() {
  std::array<bool, 256> t{};
  for (const char c :
       std::string_view("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")) {
    t[static_cast<unsigned char>(c)] = true;
  }
  return t;
}
constexpr auto kToken = make_token_table();

HeadScan bad_head(int status, const char* error) { return {0, status, error}; }

bool has_control(std::string_view line) {
  // Eight bytes at a time: those below 0x20, or 0x7f, show in the highest bit. A tab does too, and is looked at again.
  constexpr uint64_t kOnes = 0x0101010101010101, kHigh = 0x80 * kOnes;
  const auto suspicious = [](uint64_t v) {
    const uint64_t x = v ^ (0x7f * kOnes);
    return (((v - 0x20 * kOnes) & ~v) | ((x - kOnes) & ~x)) & kHigh;
  };
  bool maybe = false;
  size_t i = 0;
  for (; i + 8 <= line.size(); i += 8) {
    uint64_t v;
    std::memcpy(&v, line.data() + i, 8);
    maybe |= suspicious(v) != 0;
  }
  if (!maybe) line.remove_prefix(i);
  bool bad = false;
  for (const char c : line) bad |= (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
  return bad;
}

size_t token_length(std::string_view s) {
  size_t n = 0;
  while (n < s.size() && kToken[static_cast<unsigned char>(s[n])]) ++n;
  return n;
}

HeadScan check_request_line(std::string_view line, const HeadLimits& limits) {
  const size_t a = token_length(line);
  if (a == 0 || a > 32 || a == line.size() || line[a] != ' ') return bad_head(400, "the request line is not valid");
  const std::string_view rest = line.substr(a + 1);
  const size_t b = rest.find(' ');
  if (b == std::string_view::npos) return bad_head(400, "the request line is not valid");
  const std::string_view target = rest.substr(0, b), version = rest.substr(b + 1);
  if (version != "HTTP/1.1" && version != "HTTP/1.0") return bad_head(400, "only HTTP/1.0 and HTTP/1.1 are served");
  if (target.size() > limits.url_bytes) return bad_head(414, "the URL is too long");
  if (target.empty() || target[0] != '/') return bad_head(400, "the request target must be a path");
  for (const char c : target) {
    if (static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) >= 0x7f || c == '#') {
      return bad_head(400, "the request target has a character that is not allowed");
    }
  }
  return {};
}

}  // namespace

HeadScan scan_head(std::string_view bytes, const HeadLimits& limits) {
  size_t at = 0, lines = 0;
  while (at < bytes.size()) {
    const size_t lf = bytes.find('\n', at);
    if (lf == std::string_view::npos) break;
    if (lf == at || bytes[lf - 1] != '\r') return bad_head(400, "a line does not end in CRLF");
    const std::string_view line = bytes.substr(at, lf - 1 - at);
    at = lf + 1;
    // The request line has its own limit.
    if (lines > 0 && at > limits.header_bytes) return bad_head(431, "the header is too large");
    if (has_control(line)) return bad_head(400, "the header has a control character");
    if (lines++ == 0) {
      if (line.size() > limits.url_bytes + 64) return bad_head(414, "the URL is too long");
      const HeadScan r = check_request_line(line, limits);
      if (r.status != 0) return r;
      continue;
    }
    if (line.empty()) return {at, 0, ""};
    if (lines > limits.header_fields + 1) return bad_head(431, "the header has too many fields");
    const size_t n = token_length(line);
    if (n == 0 || n == line.size() || line[n] != ':') return bad_head(400, "a header line is not valid");
  }
  if (lines == 0 && bytes.size() > limits.url_bytes + 64) return bad_head(414, "the URL is too long");
  if (bytes.size() > std::max(limits.header_bytes, limits.url_bytes + 64))
    return bad_head(431, "the header is too large");
  return {};
}

}  // namespace maas::serving
