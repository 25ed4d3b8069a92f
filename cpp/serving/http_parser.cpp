#include "serving/http_parser.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>

namespace maas::serving {

namespace http = boost::beast::http;

HttpParser::HttpParser(std::string& body, const ServerOptions& options) : body_(body), max_chunks_(options.max_chunks) {
  eager(true);
  body_limit(options.max_body_bytes);
  // scan_head has already applied our limit; Beast counts what it has parsed in its own way.
  header_limit(static_cast<std::uint32_t>(options.max_header_bytes + options.max_url_bytes + 1024));
  body_.clear();
}

size_t HttpParser::feed(std::string_view bytes, Ec& ec) {
  const size_t n = put(boost::asio::buffer(bytes.data(), bytes.size()), ec);
  if (ec == http::error::need_more) ec = {};
  if (ec == http::error::body_limit) {
    status = 413;
    problem = "the body is larger than the limit";
  } else if (ec == http::error::header_limit) {
    status = 431;
    problem = "the header is too large";
  }
  return n;
}

// Several lines of one field are one list.
void HttpParser::join(std::string& list, View value) {
  if (!list.empty()) list += ',';
  list.append(value.data(), value.size());
}

void HttpParser::refuse(int code, const char* text, Ec& ec) {
  status = code;
  problem = text;
  ec = http::error::bad_field;
}

void HttpParser::on_request_impl(http::verb, View m, View t, int version, Ec&) {
  method.assign(m.data(), m.size());
  target.assign(t.data(), t.size());
  http_version = version;
}

void HttpParser::on_field_impl(http::field f, View name, View value, Ec& ec) {
  switch (f) {
    case http::field::host:
      if (hosts_++ != 0) refuse(400, "more than one Host", ec);
      if (value.find_first_of(" \t,;/\\@?#<>\"") != View::npos) refuse(400, "Host is not valid", ec);
      break;
    case http::field::content_length:
      if (lengths_++ != 0 || value.empty() || value.size() > 19 ||
          value.find_first_not_of("0123456789") != View::npos) {
        refuse(400, "Content-Length must be given once, as a number", ec);
      }
      break;
    case http::field::transfer_encoding:
      if (encodings_++ != 0 || !boost::beast::iequals(value, "chunked") || http_version != 11) {
        refuse(400, "Transfer-Encoding must be chunked, once, in HTTP/1.1", ec);
      }
      break;
    case http::field::authorization:
      if (authorizations_++ != 0) refuse(400, "more than one Authorization", ec);
      authorization.assign(value.data(), value.size());
      break;
    case http::field::content_encoding:
      join(content_encoding, value);
      break;
    case http::field::accept_encoding:
      join(accept_encoding, value);
      break;
    case http::field::expect:
      if (!boost::beast::iequals(value, "100-continue")) refuse(400, "Expect must be 100-continue", ec);
      expects_continue = http_version == 11;
      break;
    case http::field::unknown:
      if (boost::beast::iequals(name, "Inference-Header-Content-Length")) {
        if (json_length) refuse(400, "Inference-Header-Content-Length is given twice", ec);
        json_length.emplace(value.data(), value.size());
      } else if (boost::beast::iequals(name, "traceparent")) {
        join(traceparent, value);  // two of them are not one that is valid
      }
      break;
    default:
      break;
  }
}

// A trailer is a second header that scan_head has not seen, and nothing here reads one.
void HttpParser::on_trailer_field_impl(http::field, View, View, Ec& ec) {
  refuse(400, "trailer fields are not accepted", ec);
}

void HttpParser::on_header_impl(Ec& ec) {
  if (http_version == 11 && hosts_ != 1) refuse(400, "HTTP/1.1 needs a Host header", ec);
}

void HttpParser::on_body_init_impl(const boost::optional<std::uint64_t>& length, Ec&) {
  // A promise of a large body must not cost its memory before it comes.
  if (length) body_.reserve(static_cast<size_t>(std::min<std::uint64_t>(*length, 1 << 20)));
}

size_t HttpParser::on_body_impl(View b, Ec&) {
  body_.append(b.data(), b.size());
  return b.size();
}

void HttpParser::on_chunk_header_impl(std::uint64_t, View, Ec& ec) {
  if (++chunks_ > max_chunks_) refuse(413, "the body has too many chunks", ec);
}

size_t HttpParser::on_chunk_body_impl(std::uint64_t, View b, Ec&) {
  body_.append(b.data(), b.size());
  return b.size();
}

}  // namespace maas::serving
