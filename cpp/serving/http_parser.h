// One request while Boost.Beast frames it: collects what the server looks at, refuses what two readers could frame
// differently.
#pragma once

#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <optional>
#include <string>

#include "serving/server.h"

namespace maas::serving {

class HttpParser final : public boost::beast::http::basic_parser<true> {
 public:
  HttpParser(std::string& body, const ServerOptions& options);
  // Takes as much of `bytes` as it can; returns how much. `ec` is set for what must be refused, never for "need more".
  size_t feed(std::string_view bytes, boost::system::error_code& ec);

  std::string method, target;
  std::string authorization;
  std::optional<std::string> json_length;  // Inference-Header-Content-Length
  std::string content_encoding, accept_encoding, traceparent;
  bool expects_continue = false;
  int http_version = 11;
  int status = 400;  // of the refusal
  const char* problem = "the request is not valid HTTP";

 private:
  using Ec = boost::system::error_code;
  using View = boost::beast::string_view;
  using Field = boost::beast::http::field;
  static void join(std::string& list, View value);
  void refuse(int code, const char* text, Ec& ec);
  void on_request_impl(boost::beast::http::verb, View method, View target, int version, Ec&) override;
  void on_field_impl(Field f, View name, View value, Ec& ec) override;
  void on_trailer_field_impl(Field, View, View, Ec& ec) override;
  void on_header_impl(Ec& ec) override;
  void on_body_init_impl(const boost::optional<std::uint64_t>& length, Ec&) override;
  size_t on_body_impl(View b, Ec&) override;
  void on_chunk_header_impl(std::uint64_t, View, Ec& ec) override;
  size_t on_chunk_body_impl(std::uint64_t, View b, Ec&) override;
  void on_response_impl(int, View, int, Ec&) override {}
  void on_finish_impl(Ec&) override {}

  std::string& body_;
  size_t max_chunks_, chunks_ = 0;
  int hosts_ = 0, lengths_ = 0, encodings_ = 0, authorizations_ = 0;
};

}  // namespace maas::serving
