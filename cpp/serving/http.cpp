// The listener: accepts connections and hands them to the loops in turn.
#include "serving/http.h"

#include <algorithm>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <optional>
#include <thread>

#include "core/error.h"
#include "serving/http_session.h"

namespace maas::serving {
namespace {

class Listener final : public HttpListener {
 public:
  Listener(const ServerOptions& options, Service& service, Tls* tls) : options_(options), service_(service) {
    for (int i = 0; i < options_.io_threads; ++i) loops_.push_back(std::make_unique<Loop>(options_, service_, tls));
    acceptor_.emplace(loops_[0]->context);
    retry_.emplace(loops_[0]->context);
    bind();
    accept();
    for (auto& loop : loops_) loop->start();
  }
  ~Listener() override { stop(); }

  int port() const override { return port_; }

  void drain(Clock::duration limit) override {
    const auto end = Clock::now() + limit;
    std::atomic<size_t> told{0};
    asio::post(loops_[0]->context, [this] { stop_accepting(); });
    // The second post runs after connections handed over by stop_accepting are in place.
    for (auto& loop : loops_) {
      asio::post(loop->context, [&told, l = loop.get()] {
        l->begin_drain();
        told.fetch_add(1);
      });
    }
    while (told.load() < loops_.size()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    const auto busy = [this] {
      return std::any_of(loops_.begin(), loops_.end(), [](const auto& l) { return l->open.load() > 0; });
    };
    while (busy() && Clock::now() < end) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }

  void stop() override {
    for (auto& loop : loops_) {
      if (!loop->thread.joinable()) continue;
      asio::post(loop->context, [this, l = loop.get()] {
        if (l == loops_[0].get()) stop_accepting();
        l->close_all();
      });
      loop->thread.join();
    }
  }

 private:
  void bind() {
    const std::string where = options_.host + ":" + std::to_string(options_.port);
    Ec ec;
    const auto address = asio::ip::make_address(options_.host == "localhost" ? "127.0.0.1" : options_.host, ec);
    if (ec)
      throw Error(ErrorKind::value, "host must be an IP address or 'localhost', received '" + options_.host + "'");
    const tcp::endpoint endpoint(address, static_cast<unsigned short>(options_.port));
    acceptor_->open(endpoint.protocol(), ec);
    if (!ec) acceptor_->set_option(asio::socket_base::reuse_address(true), ec);
    if (!ec) acceptor_->bind(endpoint, ec);
    if (!ec) acceptor_->listen(4096, ec);
    if (!ec) acceptor_->non_blocking(true, ec);
    if (ec) throw Error(ErrorKind::runtime, "cannot listen on " + where + ": " + ec.message());
    port_ = acceptor_->local_endpoint().port();
  }

  Loop& next_loop() { return *loops_[next_++ % loops_.size()]; }

  void accept() {
    Loop& loop = next_loop();
    acceptor_->async_accept(loop.context, [this, &loop](const Ec& ec, Socket socket) {
      if (!acceptor_->is_open()) return;
      if (!ec) {
        adopt(loop, std::move(socket));
      } else if (ec != asio::error::connection_aborted) {
        // Out of descriptors or memory, here or in the whole system: the connection waits in the kernel, so asking
        // again at once would spin. Try when some connection may have ended.
        retry_->expires_after(std::chrono::milliseconds(50));
        retry_->async_wait([this](const Ec& e) {
          if (!e && acceptor_->is_open()) accept();
        });
        return;
      }
      accept();
    });
  }

  void adopt(Loop& loop, Socket socket) {
    HttpMetrics& m = service_.http_metrics;
    m.connections_total.fetch_add(1, std::memory_order_relaxed);
    if (m.connections.load(std::memory_order_relaxed) >= options_.max_connections) {
      m.connections_refused.fetch_add(1, std::memory_order_relaxed);
      return;
    }
    try {
      auto session = std::make_shared<Session>(loop, std::move(socket));
      asio::dispatch(loop.context, [&loop, session] { loop.add(session); });
    } catch (const std::exception&) {
      m.connections_refused.fetch_add(1, std::memory_order_relaxed);
    }
  }

  // Takes what the kernel has already accepted, so that no finished handshake is reset, then closes the port.
  void stop_accepting() {
    if (!acceptor_->is_open()) return;
    Ec ec;
    for (;;) {
      Loop& loop = next_loop();
      Socket socket(loop.context);
      acceptor_->accept(socket, ec);
      if (ec) break;
      adopt(loop, std::move(socket));
    }
    acceptor_->close(ec);
    retry_->cancel();
  }

  const ServerOptions& options_;
  Service& service_;
  std::vector<std::unique_ptr<Loop>> loops_;
  std::optional<Acceptor> acceptor_;
  std::optional<Timer> retry_;
  size_t next_ = 0;
  int port_ = 0;
};

}  // namespace

std::unique_ptr<HttpListener> listen_http(const ServerOptions& options, Service& service, Tls* tls) {
  return std::make_unique<Listener>(options, service, tls);
}

}  // namespace maas::serving
