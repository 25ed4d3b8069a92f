// Content codings of HTTP bodies: gzip, and deflate in its zlib framing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace maas::serving {

struct Request;
struct Response;

enum class Coding : uint8_t { identity, gzip, deflate };

// The coding an Accept-Encoding header likes best; at equal weight gzip, then deflate.
Coding choose_coding(std::string_view accept_encoding);

// Compresses the body, if it is long enough to gain by it, and says so in the headers.
void encode_body(Response& response, Coding coding);

// The body of a request without its content coding. It refers to the request or to itself.
struct PlainBody {
  explicit PlainBody(const Request& request);
  PlainBody(const PlainBody&) = delete;
  std::string_view body;
  int status = 0;  // not 0: refuse with this status
  const char* problem = "";

 private:
  void decode(std::string_view in, Coding coding, size_t limit);
  std::string text_;
};

}  // namespace maas::serving
