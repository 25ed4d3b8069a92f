// The bytes of one connection, plain or under TLS. Its calls look like those of an Asio socket.
#pragma once

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <memory>
#include <string>
#include <utility>

#include "serving/http_asio.h"
#include "serving/tls_api.h"

namespace maas::serving {

class Stream {
 public:
  using Buffers = std::array<asio::const_buffer, 2>;
  explicit Stream(Socket socket) : socket_(std::move(socket)) {
    Ec ec;
    socket_.set_option(tcp::no_delay(true), ec);
    socket_.non_blocking(true, ec);
  }

  void encrypt(std::unique_ptr<TlsStream> tls) { tls_ = std::move(tls); }
  bool encrypted() const { return tls_ != nullptr; }
  int descriptor() { return socket_.native_handle(); }
  // Address and port of the client.
  std::string peer() const {
    Ec ec;
    const auto end = socket_.remote_endpoint(ec);
    if (ec) return "";
    const std::string host = end.address().to_string(), port = std::to_string(end.port());
    return end.address().is_v6() ? "[" + host + "]:" + port : host + ":" + port;
  }

  // Under TLS, before anything else. `done(error)` comes later.
  template <class F>
  void async_handshake(F done) {
    const TlsResult r = tls_->handshake();
    if (wants(r)) {
      return wait(r, [this, done = std::move(done)](const Ec& ec) mutable {
        if (ec) return done(ec);
        async_handshake(std::move(done));
      });
    }
    // Whatever the client sent: what follows is only read until it ends.
    if (r != TlsResult::ok) tls_.reset();
    asio::post(socket_.get_executor(),
               [r, done = std::move(done)]() mutable { done(r == TlsResult::ok ? Ec() : Ec(asio::error::eof)); });
  }

  template <class F>
  void async_read_some(asio::mutable_buffer into, F done) {
    if (!tls_) return socket_.async_read_some(into, std::move(done));
    read_tls(into, std::move(done), false);
  }

  // What the socket takes at once; would_block if that is nothing.
  size_t write_some(const Buffers& buffers, Ec& ec) {
    if (!tls_) return socket_.write_some(buffers, ec);
    ec = {};
    size_t all = 0;
    for (const auto& b : buffers) {
      size_t done = 0;
      while (done < b.size()) {
        size_t n = 0;
        const TlsResult r = tls_->write(static_cast<const char*>(b.data()) + done, b.size() - done, n);
        if (r != TlsResult::ok) {
          if (!wants(r)) {
            ec = asio::error::connection_reset;
          } else if (all == 0) {
            ec = asio::error::would_block;
          }
          return all;
        }
        done += n;
        all += n;
      }
    }
    return all;
  }

  template <class F>
  void async_write(Buffers buffers, F done) {
    if (!tls_) return asio::async_write(socket_, buffers, std::move(done));
    Ec ec;
    size_t n = write_some(buffers, ec);
    for (auto& b : buffers) {
      const size_t part = std::min(n, b.size());
      b += part;
      n -= part;
    }
    const bool left = buffers[0].size() + buffers[1].size() != 0;
    if (ec == asio::error::would_block || (!ec && left)) {
      return wait(TlsResult::want_write, [this, buffers, done = std::move(done)](const Ec& e) mutable {
        if (e) return done(e, 0);
        async_write(buffers, std::move(done));
      });
    }
    asio::post(socket_.get_executor(), [ec, done = std::move(done)]() mutable { done(ec, 0); });
  }

  // Says that nothing more comes; reading goes on.
  void end_writing() noexcept {
    if (tls_) tls_->say_end();
    Ec ec;
    socket_.shutdown(tcp::socket::shutdown_send, ec);
  }
  void close() noexcept {
    if (tls_ && socket_.is_open()) tls_->say_end();
    Ec ec;
    socket_.close(ec);
  }

 private:
  static bool wants(TlsResult r) { return r == TlsResult::want_read || r == TlsResult::want_write; }

  template <class F>
  void wait(TlsResult r, F next) {
    socket_.async_wait(r == TlsResult::want_read ? Socket::wait_read : Socket::wait_write,
                       [this, next = std::move(next)](Ec ec) mutable {
                         // Closed in between: its descriptor may already be another connection's.
                         if (!ec && !socket_.is_open()) ec = asio::error::operation_aborted;
                         next(ec);
                       });
  }

  template <class F>
  void read_tls(asio::mutable_buffer into, F done, bool in_handler) {
    size_t n = 0;
    const TlsResult r = tls_->read(static_cast<char*>(into.data()), into.size(), n);
    if (wants(r)) {
      return wait(r, [this, into, done = std::move(done)](const Ec& ec) mutable {
        if (ec) return done(ec, 0);
        read_tls(into, std::move(done), true);
      });
    }
    Ec ec;
    if (r != TlsResult::ok) ec = asio::error::eof;
    if (in_handler) return done(ec, n);
    // From the caller's stack a request that is already here would nest in the one before it.
    asio::post(socket_.get_executor(), [ec, n, done = std::move(done)]() mutable { done(ec, n); });
  }

  Socket socket_;
  std::unique_ptr<TlsStream> tls_;
};

}  // namespace maas::serving
