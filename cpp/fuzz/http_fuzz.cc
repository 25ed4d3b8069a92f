// libFuzzer: the reader of HTTP, in pieces as a socket gives them. What it takes must hold what it promises.
#include <cstdint>
#include <string>
#include <string_view>

#include "serving/http_head.h"
#include "serving/http_parser.h"
#include "serving/router.h"
#include "serving/server.h"

using namespace maas::serving;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  ServerOptions options;
  options.max_body_bytes = 4096;
  options.max_chunks = 64;
  const size_t piece = 1 + data[0] % 64;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  // The head is parsed once all of it is there, and only if it is sound.
  const HeadScan scan = scan_head(text, {options.max_header_bytes, options.max_header_fields, options.max_url_bytes});
  if (scan.size > text.size()) __builtin_trap();
  if (scan.status != 0 || scan.size == 0) return 0;
  std::string body;
  HttpParser parser(body, options);
  boost::system::error_code ec;
  parser.feed({text.data(), scan.size}, ec);
  if (ec) return 0;
  (void)match_route(parser.target);
  size_t at = scan.size, stop = scan.size;
  while (!parser.is_done() && !ec && at < text.size()) {
    stop = std::min(text.size(), stop + piece);
    at += parser.feed({text.data() + at, stop - at}, ec);
    if (at > stop || body.size() > options.max_body_bytes) __builtin_trap();
    if (stop == text.size()) break;
  }
  return 0;
}
