#include "bench/bare_server.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <thread>
#include <utility>

namespace maas::bench {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using BareSocket = asio::basic_stream_socket<asio::ip::tcp, asio::io_context::executor_type>;
using BareEc = boost::system::error_code;

struct BareSession : std::enable_shared_from_this<BareSession> {
  BareSession(BareSocket s, const std::string& b) : socket(std::move(s)), body(b) {}
  BareSocket socket;
  const std::string& body;
  boost::beast::flat_buffer buffer;
  http::request<http::string_body> request;
  http::response<http::string_body> response;

  void read() {
    request = {};
    http::async_read(socket, buffer, request, [self = shared_from_this()](const BareEc& ec, size_t) {
      if (!ec) self->write();
    });
  }
  void write() {
    response = {http::status::ok, request.version()};
    response.set(http::field::content_type, "application/json");
    response.keep_alive(request.keep_alive());
    response.body() = body;
    response.prepare_payload();
    http::async_write(socket, response, [self = shared_from_this()](const BareEc& ec, size_t) {
      if (!ec && self->response.keep_alive()) self->read();
    });
  }
};

}  // namespace

struct BareServer::Impl {
  explicit Impl(std::string b) : body(std::move(b)) { accept(); }
  void accept() {
    acceptor.async_accept(context, [this](const BareEc& ec, BareSocket socket) {
      if (ec) return;
      BareEc ignored;
      socket.set_option(asio::ip::tcp::no_delay(true), ignored);
      std::make_shared<BareSession>(std::move(socket), body)->read();
      accept();
    });
  }
  std::string body;
  asio::io_context context{1};
  asio::basic_socket_acceptor<asio::ip::tcp, asio::io_context::executor_type> acceptor{
      context, asio::ip::tcp::endpoint(asio::ip::address_v4::loopback(), 0)};
  std::thread thread;
};

BareServer::BareServer(std::string body) : impl_(std::make_unique<Impl>(std::move(body))) {
  impl_->thread = std::thread([this] { impl_->context.run(); });
}

BareServer::~BareServer() { stop(); }

int BareServer::port() const { return impl_->acceptor.local_endpoint().port(); }

void BareServer::stop() {
  impl_->context.stop();
  if (impl_->thread.joinable()) impl_->thread.join();
}

}  // namespace maas::bench
