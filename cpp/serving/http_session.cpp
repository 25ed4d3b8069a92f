#include "serving/http_session.h"

#include <poll.h>

#include <algorithm>
#include <array>
#include <boost/asio/post.hpp>

#include "serving/content_coding.h"
#include "serving/http_head.h"
#include "serving/http_response.h"

namespace maas::serving {
namespace {
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
}

Session::Session(Loop& loop, Socket socket) : loop_(loop), stream_(std::move(socket)), in_(kSmallBuffer) {
  if (loop_.tls) {
    tls_generation_ = loop_.tls->generation();
    stream_.encrypt(loop_.tls->context()->accept(stream_.descriptor()));
  }
  if (loop_.service.access_log) peer_ = std::make_shared<const std::string>(stream_.peer());
  enter(loop_.tls ? State::handshake : State::idle);
  // Last: what throws before has no destructor that would take it back.
  loop_.service.http_metrics.connections.fetch_add(1, std::memory_order_relaxed);
}

Session::~Session() { loop_.service.http_metrics.connections.fetch_sub(1, std::memory_order_relaxed); }

// Every entry from outside. What throws here is memory that is not to be had: the connection ends, the server goes on.
template <class F>
void Session::guarded(F&& step) noexcept {
  try {
    step();
  } catch (...) {
    close();
  }
}

void Session::start() {
  guarded([this] { stream_.encrypted() ? shake_hands() : read(); });
}

void Session::shake_hands() {
  stream_.async_handshake([self = shared_from_this()](const Ec& ec) {
    if (self->state_ == State::closed) return;
    TlsMetrics& m = self->loop_.service.http_metrics.tls;
    (ec ? m.failed : m.done).fetch_add(1, std::memory_order_relaxed);
    self->guarded([&] {
      if (ec) return self->end();
      self->enter(State::idle);
      self->read();
    });
  });
}

// The client proved who it is to authorities that have changed since.
bool Session::outdated() const {
  return loop_.tls && loop_.tls->asks_clients() && loop_.tls->generation() != tls_generation_;
}

void Session::job_done(std::shared_ptr<Pending> request) noexcept {
  try {
    asio::post(loop_.context, [self = shared_from_this(), request] { self->guarded([&] { self->finish(request); }); });
  } catch (...) {
    request->drop();
  }
}

void Session::check(Clock::time_point now) noexcept {
  const bool quiet = state_ == State::idle || state_ == State::handshake;
  if (loop_.draining && quiet && now - since_ > std::chrono::milliseconds(100)) return close();
  if (state_ == State::idle && outdated()) return close();
  if (now < deadline_) return;
  guarded([this] {
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
  });
}

void Session::look(Clock::time_point now) noexcept {
  if (state_ != State::waiting || now - since_ < std::chrono::milliseconds(50)) return;
  pollfd p{stream_.descriptor(), POLLRDHUP, 0};
  if (poll(&p, 1, 0) <= 0) return;
  if ((p.revents & (POLLHUP | POLLERR)) != 0) return close();
  if (!std::exchange(probed_, true) && !old_client_) send_line_of_continue();
}

// False: the connection was closed.
bool Session::send_line_of_continue() noexcept {
  Ec ec;
  const size_t sent = stream_.write_some({asio::buffer(kContinue), {}}, ec);
  // TLS keeps what the socket did not take, and must be given it again.
  continue_is_left_ = continue_is_left_ || (ec && stream_.encrypted());
  // A part of the line would make the answer after it unreadable. Without any the client gets along.
  if (ec || sent == kContinue.size()) return true;
  close();
  return false;
}

void Session::close() noexcept {
  if (state_ == State::closed) return;
  if (state_ == State::waiting) {
    Response gone;
    gone.status = 499;  // as many servers call it: the client went before its answer
    log(gone, 0);
  }
  state_ = State::closed;
  forget_pending();
  decision_.hold.release();
  drop_body();
  stream_.close();
  loop_.remove(shared_from_this());
}

void Session::enter(State s) {
  state_ = s;
  since_ = Clock::now();
  const ServerOptions& o = loop_.options;
  const double limit = s == State::idle                            ? o.idle_timeout
                       : s == State::head || s == State::handshake ? o.header_timeout
                       : s == State::linger                        ? std::min(2.0, o.header_timeout)
                                                                   : o.request_timeout;
  deadline_ = since_ + seconds(limit);
  // The batcher ends a request at its deadline; the connection only steps in when the model runs past it.
  if (s == State::waiting) deadline_ += std::chrono::milliseconds(250);
}

// Keeps the sum of all bodies being received; returns it.
int64_t Session::account(size_t body) noexcept {
  const int64_t change = static_cast<int64_t>(body) - counted_;
  counted_ = static_cast<int64_t>(body);
  return loop_.service.http_metrics.body_bytes.fetch_add(change, std::memory_order_relaxed) + change;
}

void Session::drop_body() noexcept {
  account(0);
  if (body_.capacity() > (1 << 20)) std::string().swap(body_);
}

void Session::forget_pending() noexcept {
  if (pending_) --loop_.waiting;
  pending_.reset();
}

// ---- reading

void Session::read() {
  if (begin_ == end_) begin_ = end_ = 0;
  if (end_ == in_.size() || (state_ == State::body && in_.size() < kLargeBuffer)) {
    std::copy(in_.begin() + static_cast<ptrdiff_t>(begin_), in_.begin() + static_cast<ptrdiff_t>(end_), in_.begin());
    end_ -= begin_;
    begin_ = 0;
    in_.resize(state_ == State::body || end_ == in_.size() ? kLargeBuffer : in_.size());
  }
  reading_ = true;
  stream_.async_read_some(
      asio::buffer(in_.data() + end_, in_.size() - end_),
      [self = shared_from_this()](const Ec& ec, size_t n) { self->guarded([&] { self->on_read(ec, n); }); });
}

void Session::on_read(const Ec& ec, size_t n) {
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
void Session::process() {
  while (state_ == State::idle || state_ == State::head || state_ == State::body) {
    if (state_ != State::body && !parse_head()) return;
    if (!parse_body()) return;
    dispatch();
  }
}

bool Session::parse_head() {
  if (unread().empty()) {
    read();
    return false;
  }
  if (state_ == State::idle) {
    enter(State::head);
    arrived_ = since_;
    if (trace_.given()) trace_ = {};
  }
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
  parser_->feed({in_.data() + begin_, scan.size}, ec);
  consume(scan.size);
  if (ec) {
    fail(parser_->status, parser_->problem);
    return false;
  }
  arrived_ = Clock::now();
  enter(State::body);
  route_ = match_route(parser_->target);
  decision_ = loop_.service.access.authorise(route_, parser_->authorization);
  if (!parser_->traceparent.empty()) trace_ = read_traceparent(parser_->traceparent);
  if (loop_.service.access_log || trace_.given()) record_.id = new_span_id();
  if (loop_.service.access_log) {
    record_.method = parser_->method;
    record_.route = route_.pattern;
    record_.model = route_.model;
    record_.key = decision_.key;
  }
  // Nobody without a right may make the server read a body.
  if (decision_.status != 200 && !parser_->is_done()) {
    Response refusal;
    deny(refusal);
    fail(decision_.status, decision_.text, refusal.headers);
    return false;
  }
  return true;
}

bool Session::parse_body() {
  if (parser_->is_done()) return true;
  Ec ec;
  if (!unread().empty()) consume(parser_->feed(unread(), ec));
  if (ec) {
    fail(parser_->status, parser_->problem);
    return false;
  }
  if (account(body_.size()) > loop_.options.max_total_body_bytes) {
    fail(503, "the server has too many request bodies to read");
    return false;
  }
  if (parser_->is_done()) return true;
  if (unread().size() >= kLargeBuffer - 1024) {
    fail(400, "a chunk header is too long");
    return false;
  }
  if (!send_continue()) return false;
  read();
  return false;
}

// "100 Continue", if the client waits for it. False: the connection was closed.
bool Session::send_continue() {
  if (!parser_->expects_continue || !body_.empty() || !unread().empty()) return true;
  parser_->expects_continue = false;
  return send_line_of_continue();
}

// An answer after which the framing of what follows cannot be trusted.
void Session::fail(int status, const char* text, const std::string& headers) {
  Response response;
  response.error(status, text);
  response.headers = headers;
  close_after_ = true;
  forget_pending();
  head_only_ = false;
  coding_ = Coding::identity;
  drop_body();
  respond(response);
}

// ---- answering

void Session::deny(Response& response) const {
  response.error(decision_.status, decision_.text);
  if (decision_.status == 401) response.headers = "WWW-Authenticate: Bearer realm=\"maas\"\r\n";
  if (decision_.status == 429) response.headers = "Retry-After: " + std::to_string(decision_.retry_after) + "\r\n";
}

void Session::dispatch() {
  Request request;
  request.method = parser_->method;
  request.target = parser_->target;
  request.body = body_;
  request.json_length = std::move(parser_->json_length);
  request.content_encoding = parser_->content_encoding;
  request.max_body = loop_.options.max_body_bytes;
  coding_ = choose_coding(parser_->accept_encoding);
  request.arrived = arrived_;
  request.route = std::move(route_);
  request.key = decision_.key;
  head_only_ = parser_->method == "HEAD";
  old_client_ = parser_->http_version == 10;
  probed_ = false;
  close_after_ = !parser_->keep_alive() || loop_.draining;
  record_.bytes_in = body_.size();
  enter(State::waiting);
  Response response;
  if (decision_.status != 200) {
    deny(response);
    drop_body();
    return respond(response);
  }
  try {
    pending_ = loop_.service.handle(request, response, shared_from_this());
  } catch (...) {
    response.error(500, "internal error");
  }
  drop_body();
  if (pending_) {
    ++loop_.waiting;
    return loop_.arm_expire();
  }
  respond(response);
}

// Back on this loop with a request that ended elsewhere.
void Session::finish(const std::shared_ptr<Pending>& request) {
  if (state_ != State::waiting || pending_ != request) return request->drop();
  forget_pending();
  Response response;
  request->answer(response);
  respond(response);
  process();
}

void Session::respond(Response& response) {
  enter(State::writing);
  decision_.hold.release();
  loop_.service.http_metrics.count(response.status);
  close_after_ = close_after_ || loop_.draining || outdated();
  if (trace_.given()) response.headers += "traceresponse: " + traceresponse(trace_, record_.id) + "\r\n";
  if (coding_ != Coding::identity) encode_body(response, std::exchange(coding_, Coding::identity));
  write_response_head(out_head_, response, loop_.date,
                      close_after_  ? KeepAlive::closes
                      : old_client_ ? KeepAlive::said
                                    : KeepAlive::implied);
  if (std::exchange(continue_is_left_, false)) out_head_.insert(0, kContinue);
  out_body_ = std::move(response.body);
  if (head_only_) out_body_.clear();
  log(response, out_body_.size());
  if (stream_.encrypted() && out_body_.size() <= kOneRecord) {
    out_head_ += out_body_;
    out_body_.clear();
  }
  Stream::Buffers buffers = {asio::buffer(out_head_), asio::buffer(out_body_)};
  Ec ec;
  const size_t sent = stream_.write_some(buffers, ec);
  const size_t all = out_head_.size() + out_body_.size();
  loop_.service.http_metrics.bytes_out.fetch_add(all, std::memory_order_relaxed);
  if (ec && ec != asio::error::would_block && ec != asio::error::try_again) return close();
  const size_t done = ec ? 0 : sent;
  if (done == all) return written();
  const size_t from_head = std::min(done, out_head_.size());
  buffers[0] = asio::buffer(out_head_) + from_head;
  buffers[1] = asio::buffer(out_body_) + (done - from_head);
  stream_.async_write(buffers, [self = shared_from_this()](const Ec& e, size_t) {
    if (self->state_ == State::closed) return;
    if (e) return self->close();
    self->guarded([&] {
      self->written();
      self->process();
    });
  });
}

void Session::log(const Response& response, size_t bytes) noexcept {
  if (!loop_.service.access_log) return;
  record_.time = std::chrono::system_clock::now();
  if (record_.id == 0) record_.id = new_span_id();
  record_.peer = peer_;
  record_.trace = std::move(trace_);
  record_.status = response.status;
  record_.bytes_out = bytes;
  record_.queue_ns = response.queue_ns;
  record_.compute_ns = response.compute_ns;
  record_.total = Clock::now() - arrived_;
  loop_.service.access_log->add(std::move(record_));
  record_ = {};
}

void Session::written() {
  if (out_body_.capacity() > (1 << 20)) std::string().swap(out_body_);
  if (!close_after_) return enter(State::idle);
  end();
}

// Closing with unread bytes would reset the connection and take the answer away from the client: says that nothing more
// comes, and reads on for a moment.
void Session::end() {
  stream_.end_writing();
  enter(State::linger);
  begin_ = end_ = 0;
  if (!reading_) read();
}

}  // namespace maas::serving
