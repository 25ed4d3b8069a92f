// HTTP/1.1 on Boost.Asio; framing of bodies by Boost.Beast's parser. One io_context per I/O thread and a connection
// stays on its own, so a session needs no lock.
#include "serving/http.h"

#include <algorithm>
#include <array>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <ctime>
#include <optional>
#include <thread>
#include <unordered_set>

#include "core/error.h"
#include "serving/http_head.h"

namespace maas::serving {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;
using Ec = boost::system::error_code;
using BeastView = boost::beast::string_view;
using Executor = asio::io_context::executor_type;
using Socket = asio::basic_stream_socket<tcp, Executor>;
using Acceptor = asio::basic_socket_acceptor<tcp, Executor>;
using Timer = asio::basic_waitable_timer<Clock, asio::wait_traits<Clock>, Executor>;

Clock::duration seconds(double s) {
  return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(s));
}

const char* reason_of(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 413:
      return "Payload Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    default:
      return "Error";
  }
}

// Fields of one request that the server looks at, collected while Beast parses.
class Parser final : public http::basic_parser<true> {
 public:
  Parser(std::string& body, const ServerOptions& options) : body_(body), max_chunks_(options.max_chunks) {
    eager(true);
    body_limit(options.max_body_bytes);
    // scan_head has already applied our limit; Beast counts what it has parsed in its own way.
    header_limit(static_cast<std::uint32_t>(options.max_header_bytes + options.max_url_bytes + 1024));
    body_.clear();
  }
  std::string method, target;
  std::optional<std::string> json_length;
  bool encoded = false, expects_continue = false;
  int http_version = 11;
  int status = 400;
  const char* problem = "the request is not valid HTTP";

 private:
  void refuse(int code, const char* text, Ec& ec) {
    status = code;
    problem = text;
    ec = http::error::bad_field;
  }
  void on_request_impl(http::verb, BeastView m, BeastView t, int version, Ec&) override {
    method.assign(m.data(), m.size());
    target.assign(t.data(), t.size());
    http_version = version;
  }
  void on_field_impl(http::field f, BeastView name, BeastView value, Ec& ec) override {
    switch (f) {
      case http::field::host:
        if (hosts_++ != 0) refuse(400, "more than one Host", ec);
        break;
      case http::field::content_length:
        if (lengths_++ != 0 || value.empty() || value.size() > 19 ||
            value.find_first_not_of("0123456789") != BeastView::npos) {
          refuse(400, "Content-Length must be given once, as a number", ec);
        }
        break;
      case http::field::transfer_encoding:
        if (encodings_++ != 0 || !boost::beast::iequals(value, "chunked") || http_version != 11) {
          refuse(400, "Transfer-Encoding must be chunked, once, in HTTP/1.1", ec);
        }
        break;
      case http::field::content_encoding:
        encoded = !boost::beast::iequals(value, "identity");
        break;
      case http::field::expect:
        if (!boost::beast::iequals(value, "100-continue")) refuse(400, "Expect must be 100-continue", ec);
        expects_continue = http_version == 11;
        break;
      case http::field::unknown:
        if (boost::beast::iequals(name, "Inference-Header-Content-Length")) {
          if (json_length) refuse(400, "Inference-Header-Content-Length is given twice", ec);
          json_length.emplace(value.data(), value.size());
        }
        break;
      default:
        break;
    }
  }
  void on_trailer_field_impl(http::field, BeastView, BeastView, Ec&) override {}
  void on_header_impl(Ec& ec) override {
    if (http_version == 11 && hosts_ != 1) refuse(400, "HTTP/1.1 needs a Host header", ec);
  }
  void on_body_init_impl(const boost::optional<std::uint64_t>& length, Ec&) override {
    // A promise of a large body must not cost its memory before it comes.
    if (length) body_.reserve(static_cast<size_t>(std::min<std::uint64_t>(*length, 1 << 20)));
  }
  size_t on_body_impl(BeastView b, Ec&) override {
    body_.append(b.data(), b.size());
    return b.size();
  }
  void on_chunk_header_impl(std::uint64_t, BeastView, Ec& ec) override {
    if (++chunks_ > max_chunks_) refuse(413, "the body has too many chunks", ec);
  }
  size_t on_chunk_body_impl(std::uint64_t, BeastView b, Ec&) override {
    body_.append(b.data(), b.size());
    return b.size();
  }
  void on_response_impl(int, BeastView, int, Ec&) override {}
  void on_finish_impl(Ec&) override {}

  std::string& body_;
  size_t max_chunks_, chunks_ = 0;
  int hosts_ = 0, lengths_ = 0, encodings_ = 0;
};

class Session;

// One I/O thread and the connections that live on it.
struct Loop {
  Loop(const ServerOptions& o, Service& s) : options(o), service(s), sweep_timer(context), expire_timer(context) {}
  const ServerOptions& options;
  Service& service;
  asio::io_context context{1};
  Timer sweep_timer, expire_timer;
  std::unordered_set<std::shared_ptr<Session>> sessions;
  std::atomic<size_t> open{0};
  bool expire_armed = false, draining = false;
  std::string date;  // the Date header line, renewed by the sweep
  std::thread thread;

  void sweep();
  void arm_expire();
  void renew_date();
};

class Session final : public Waiter, public std::enable_shared_from_this<Session> {
 public:
  Session(Loop& loop, Socket socket) : loop_(loop), socket_(std::move(socket)), in_(kSmallBuffer) {
    Ec ec;
    socket_.set_option(tcp::no_delay(true), ec);
    socket_.non_blocking(true, ec);
    loop_.service.http_metrics.connections.fetch_add(1, std::memory_order_relaxed);
    enter(State::idle);
  }
  ~Session() override { loop_.service.http_metrics.connections.fetch_sub(1, std::memory_order_relaxed); }

  void start() { read(); }

  void job_done(std::shared_ptr<InferRequest> request) noexcept override {
    try {
      asio::post(loop_.context, [self = shared_from_this(), request] { self->finish(request); });
    } catch (...) {
      request->drop();
    }
  }

  // Called a few times a second: timeouts, and connections that end while draining.
  void check(Clock::time_point now) {
    if (loop_.draining && state_ == State::idle && now - since_ > std::chrono::milliseconds(100)) return close();
    if (now < deadline_) return;
    switch (state_) {
      case State::head:
        return fail(408, "the request header took too long");
      case State::body:
        return fail(408, "the request body took too long");
      case State::waiting:
        return fail(504, "the request took longer than its timeout");
      default:
        return close();
    }
  }

  void close() {
    if (state_ == State::closed) return;
    state_ = State::closed;
    pending_.reset();
    drop_body();
    Ec ec;
    socket_.close(ec);
    loop_.sessions.erase(shared_from_this());
    loop_.open.store(loop_.sessions.size());
  }

 private:
  enum class State : uint8_t { idle, head, body, waiting, writing, linger, closed };
  static constexpr size_t kSmallBuffer = 8192, kLargeBuffer = 65536;

  void enter(State s) {
    state_ = s;
    since_ = Clock::now();
    const ServerOptions& o = loop_.options;
    const double limit = s == State::idle     ? o.idle_timeout
                         : s == State::head   ? o.header_timeout
                         : s == State::linger ? std::min(2.0, o.header_timeout)
                                              : o.request_timeout;
    deadline_ = since_ + seconds(limit);
    // The batcher ends a request at its deadline; the connection only steps in when the model runs past it.
    if (s == State::waiting) deadline_ += std::chrono::milliseconds(250);
  }

  std::string_view unread() const { return {in_.data() + begin_, end_ - begin_}; }
  void consume(size_t n) { begin_ += n; }

  // Keeps the sum of all bodies being received; returns it.
  int64_t account(size_t body) {
    const int64_t change = static_cast<int64_t>(body) - counted_;
    counted_ = static_cast<int64_t>(body);
    return loop_.service.http_metrics.body_bytes.fetch_add(change, std::memory_order_relaxed) + change;
  }

  void read() {
    if (begin_ == end_) begin_ = end_ = 0;
    if (end_ == in_.size() || (state_ == State::body && in_.size() < kLargeBuffer)) {
      std::copy(in_.begin() + static_cast<ptrdiff_t>(begin_), in_.begin() + static_cast<ptrdiff_t>(end_), in_.begin());
      end_ -= begin_;
      begin_ = 0;
      in_.resize(state_ == State::body || end_ == in_.size() ? kLargeBuffer : in_.size());
    }
    reading_ = true;
    socket_.async_read_some(asio::buffer(in_.data() + end_, in_.size() - end_),
                            [self = shared_from_this()](const Ec& ec, size_t n) { self->on_read(ec, n); });
  }

  void on_read(const Ec& ec, size_t n) {
    reading_ = false;
    if (state_ == State::closed) return;
    if (ec) return close();
    loop_.service.http_metrics.bytes_in.fetch_add(n, std::memory_order_relaxed);
    if (state_ == State::linger) {
      begin_ = end_ = 0;
      return read();
    }
    end_ += n;
    process();
  }

  // Handles every complete request in the buffer, then reads on, unless one waits for its model or its answer for
  // the socket.
  void process() {
    while (state_ == State::idle || state_ == State::head || state_ == State::body) {
      if (state_ != State::body && !parse_head()) return;
      if (!parse_body()) return;
      dispatch();
    }
  }

  bool parse_head() {
    if (unread().empty()) {
      read();
      return false;
    }
    if (state_ == State::idle) enter(State::head);
    const ServerOptions& o = loop_.options;
    const HeadScan scan = scan_head(unread(), {o.max_header_bytes, o.max_header_fields, o.max_url_bytes});
    if (scan.status != 0) {
      fail(scan.status, scan.error);
      return false;
    }
    if (scan.size == 0) {
      read();
      return false;
    }
    parser_.emplace(body_, o);
    Ec ec;
    parser_->put(asio::buffer(in_.data() + begin_, scan.size), ec);
    consume(scan.size);
    if (ec && ec != http::error::need_more) {
      refuse(ec);
      return false;
    }
    arrived_ = Clock::now();
    enter(State::body);
    return true;
  }

  bool parse_body() {
    if (!parser_->is_done()) {
      Ec ec;
      if (!unread().empty()) consume(parser_->put(asio::buffer(unread().data(), unread().size()), ec));
      if (ec && ec != http::error::need_more) {
        refuse(ec);
        return false;
      }
      if (account(body_.size()) > loop_.options.max_total_body_bytes) {
        fail(503, "the server has too many request bodies to read");
        return false;
      }
      if (!parser_->is_done()) {
        if (unread().size() >= kLargeBuffer - 1024) {
          fail(400, "a chunk header is too long");
          return false;
        }
        if (parser_->expects_continue && body_.empty() && unread().empty()) {
          parser_->expects_continue = false;
          Ec ignored;
          socket_.write_some(asio::buffer("HTTP/1.1 100 Continue\r\n\r\n", 25), ignored);
        }
        read();
        return false;
      }
    }
    return true;
  }

  void refuse(const Ec& ec) {
    if (ec == http::error::body_limit) return fail(413, "the body is larger than the limit");
    if (ec == http::error::header_limit) return fail(431, "the header is too large");
    fail(parser_->status, parser_->problem);
  }

  // An answer after which the framing of what follows cannot be trusted.
  void fail(int status, const char* text) {
    Response response;
    response.error(status, text);
    close_after_ = true;
    pending_.reset();
    head_only_ = false;
    drop_body();
    respond(response);
  }

  void drop_body() {
    account(0);
    if (body_.capacity() > (1 << 20)) std::string().swap(body_);
  }

  void dispatch() {
    Request request;
    request.method = parser_->method;
    request.target = parser_->target;
    request.body = body_;
    request.json_length = std::move(parser_->json_length);
    request.encoded = parser_->encoded;
    request.arrived = arrived_;
    head_only_ = parser_->method == "HEAD";
    old_client_ = parser_->http_version == 10;
    close_after_ = !parser_->keep_alive() || loop_.draining;
    enter(State::waiting);
    Response response;
    try {
      pending_ = loop_.service.handle(request, response, shared_from_this());
    } catch (...) {
      response.error(500, "internal error");
    }
    drop_body();
    if (pending_) return loop_.arm_expire();
    respond(response);
  }

  // Back on this loop with a request that ended elsewhere.
  void finish(const std::shared_ptr<InferRequest>& request) {
    if (state_ != State::waiting || pending_ != request) return request->drop();
    pending_.reset();
    Response response;
    try {
      request->render(response);
    } catch (...) {
      request->drop();
      response.error(500, "internal error");
    }
    respond(response);
    process();
  }

  void respond(Response& response) {
    enter(State::writing);
    loop_.service.http_metrics.count(response.status);
    close_after_ = close_after_ || loop_.draining;
    out_head_.assign("HTTP/1.1 ")
        .append(std::to_string(response.status))
        .append(" ")
        .append(reason_of(response.status));
    out_head_.append("\r\nContent-Type: ").append(response.content_type).append("\r\nContent-Length: ");
    out_head_.append(std::to_string(response.body.size())).append("\r\n").append(loop_.date).append(response.headers);
    out_head_.append(close_after_  ? "Connection: close\r\n\r\n"
                     : old_client_ ? "Connection: keep-alive\r\n\r\n"
                                   : "\r\n");
    out_body_ = std::move(response.body);
    if (head_only_) out_body_.clear();
    std::array<asio::const_buffer, 2> buffers = {asio::buffer(out_head_), asio::buffer(out_body_)};
    Ec ec;
    const size_t sent = socket_.write_some(buffers, ec);
    const size_t all = out_head_.size() + out_body_.size();
    loop_.service.http_metrics.bytes_out.fetch_add(all, std::memory_order_relaxed);
    if (ec && ec != asio::error::would_block && ec != asio::error::try_again) return close();
    const size_t done = ec ? 0 : sent;
    if (done == all) return written();
    const size_t from_head = std::min(done, out_head_.size());
    buffers[0] = asio::buffer(out_head_) + from_head;
    buffers[1] = asio::buffer(out_body_) + (done - from_head);
    asio::async_write(socket_, buffers, [self = shared_from_this()](const Ec& e, size_t) {
      if (self->state_ == State::closed) return;
      if (e) return self->close();
      self->written();
      self->process();
    });
  }

  void written() {
    if (out_body_.capacity() > (1 << 20)) std::string().swap(out_body_);
    if (!close_after_) return enter(State::idle);
    // Closing with unread bytes would reset the connection and take the answer away from the client: say that
    // nothing more comes, and read on for a moment.
    Ec ec;
    socket_.shutdown(tcp::socket::shutdown_send, ec);
    enter(State::linger);
    begin_ = end_ = 0;
    if (!reading_) read();
  }

  Loop& loop_;
  Socket socket_;
  std::vector<char> in_;
  size_t begin_ = 0, end_ = 0;
  std::optional<Parser> parser_;
  std::string body_, out_head_, out_body_;
  std::shared_ptr<InferRequest> pending_;
  int64_t counted_ = 0;
  State state_ = State::idle;
  bool close_after_ = false, head_only_ = false, old_client_ = false, reading_ = false;
  Clock::time_point arrived_, since_, deadline_;
};

void Loop::renew_date() {
  char text[64];
  const std::time_t now = std::time(nullptr);
  std::tm t{};
  gmtime_r(&now, &t);
  static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  std::snprintf(text, sizeof text, "Date: %s, %02d %s %d %02d:%02d:%02d GMT\r\n", kDays[t.tm_wday], t.tm_mday,
                kMonths[t.tm_mon], t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
  date = text;
}

void Loop::sweep() {
  const double shortest = std::min({options.header_timeout, options.idle_timeout, options.request_timeout});
  const auto period = draining ? Clock::duration(std::chrono::milliseconds(20))
                               : std::clamp<Clock::duration>(seconds(shortest / 4), std::chrono::milliseconds(10),
                                                             std::chrono::seconds(1));
  renew_date();
  const auto now = Clock::now();
  const std::vector<std::shared_ptr<Session>> all(sessions.begin(), sessions.end());
  for (const auto& s : all) s->check(now);
  sweep_timer.expires_after(period);
  sweep_timer.async_wait([this](const Ec& ec) {
    if (!ec) sweep();
  });
}

void Loop::arm_expire() {
  if (expire_armed) return;
  expire_armed = true;
  expire_timer.expires_after(std::chrono::milliseconds(10));
  expire_timer.async_wait([this](const Ec& ec) {
    expire_armed = false;
    if (ec) return;
    service.expire(Clock::now());
    if (service.has_waiting()) arm_expire();
  });
}

class Listener final : public HttpListener {
 public:
  Listener(const ServerOptions& options, Service& service) : options_(options), service_(service) {
    for (int i = 0; i < options_.io_threads; ++i) loops_.push_back(std::make_unique<Loop>(options_, service_));
    acceptor_.emplace(loops_[0]->context);
    retry_.emplace(loops_[0]->context);
    bind();
    accept();
    for (auto& loop : loops_) {
      loop->sweep();
      loop->thread = std::thread([&context = loop->context] { context.run(); });
    }
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
        l->draining = true;
        l->sweep_timer.cancel();
        l->sweep();
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
        const std::vector<std::shared_ptr<Session>> all(l->sessions.begin(), l->sessions.end());
        for (const auto& s : all) s->close();
        l->sweep_timer.cancel();
        l->expire_timer.cancel();
        l->context.stop();
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
      } else if (ec == asio::error::no_descriptors || ec == asio::error::no_memory ||
                 ec == asio::error::no_buffer_space) {
        // Out of file descriptors: try again when some connection may have ended, do not spin.
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
      asio::dispatch(loop.context, [&loop, session] {
        loop.sessions.insert(session);
        loop.open.store(loop.sessions.size());
        session->start();
      });
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

std::unique_ptr<HttpListener> listen_http(const ServerOptions& options, Service& service) {
  return std::make_unique<Listener>(options, service);
}

}  // namespace maas::serving
