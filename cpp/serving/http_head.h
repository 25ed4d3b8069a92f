// Strict look at the head of an HTTP/1 request before the parser sees it: what two readers could understand
// differently (bare LF, folded lines, control characters, absolute targets) is refused.
#pragma once

#include <cstddef>
#include <string_view>

namespace maas::serving {

struct HeadLimits {
  size_t header_bytes, header_fields, url_bytes;
};

struct HeadScan {
  size_t size = 0;  // bytes of a complete head, 0 if more are needed
  int status = 0;   // not 0: refuse with this status
  const char* error = "";
};

HeadScan scan_head(std::string_view bytes, const HeadLimits& limits);

}  // namespace maas::serving
