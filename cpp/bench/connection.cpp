#include "bench/connection.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/error.hpp>
#include <cstring>
#include <utility>

namespace maas::bench {

Connection::Connection(asio::io_context& context, Caller& caller, const Endpoint& to, bool keep_alive)
    : caller_(caller), to_(to), keep_alive_(keep_alive), socket_(context), timer_(context), in_(16384) {}

void Connection::start(const Call& call) {
  ++calls_;
  call_ = call;
  call_.sent = Clock::now();
  if (state_ == State::closed) {
    connect();
  } else {
    send();
  }
}

void Connection::connect() {
  state_ = State::connecting;
  Ec ec;
  socket_.open(to_.protocol(), ec);
  if (!ec) socket_.non_blocking(true, ec);
  if (!ec) socket_.set_option(asio::ip::tcp::no_delay(true), ec);
  // Always from the loop, not from here: an end starts the next call, and that one may fail at once again.
  if (ec) return asio::post(socket_.get_executor(), [this] { finish(End::connect_failed); });
  socket_.async_connect(to_, [this, mine = generation_](const Ec& e) {
    if (mine != generation_) return;
    if (e) return finish(End::connect_failed);
    send();
  });
}

void Connection::send() {
  state_ = State::sending;
  parser_.emplace(caller_, body_);
  body_.clear();
  std::string_view out = call_.request;
  if (call_.cancel == Cancel::while_sending) out = out.substr(0, call_.random % out.size());
  Ec ec;
  const size_t n = out.empty() ? 0 : socket_.write_some(asio::buffer(out), ec);
  if (ec && ec != asio::error::would_block && ec != asio::error::try_again) return sent(ec);
  const size_t done = ec ? 0 : n;
  caller_.count_bytes(0, static_cast<int64_t>(out.size()));
  if (done == out.size()) return sent({});
  asio::async_write(socket_, asio::buffer(out) + done, [this, mine = generation_](const Ec& e, size_t) {
    if (mine == generation_) sent(e);
  });
  if (!reading_) read();  // a refusal may come before all is sent
}

void Connection::sent(const Ec& ec) {
  if (state_ != State::sending) return;
  // If not all went out the server has closed; its answer may be there all the same.
  state_ = State::waiting;
  if (!ec && (call_.cancel == Cancel::while_sending || call_.cancel == Cancel::when_sent)) {
    return asio::post(socket_.get_executor(), [this, mine = generation_] {
      if (mine == generation_) finish(End::cancelled);
    });
  }
  if (call_.cancel == Cancel::while_waiting) give_up_later();
  if (!reading_) read();
}

void Connection::give_up_later() {
  timer_.expires_after(std::chrono::microseconds(call_.random % 2000));
  timer_.async_wait([this, mine = calls_](const Ec& ec) {
    if (!ec && mine == calls_ && state_ == State::waiting) finish(End::cancelled);
  });
}

void Connection::read() {
  if (begin_ == end_) begin_ = end_ = 0;
  if (end_ == in_.size()) {
    std::memmove(in_.data(), in_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
    if (end_ == in_.size()) in_.resize(2 * in_.size());
  }
  reading_ = true;
  socket_.async_read_some(asio::buffer(in_.data() + end_, in_.size() - end_),
                          [this, mine = generation_](const Ec& ec, size_t n) {
                            if (mine == generation_) on_read(ec, n);
                          });
}

void Connection::on_read(const Ec& ec, size_t n) {
  reading_ = false;
  // A server may end a connection that nobody uses.
  if (state_ == State::idle) return close();
  if (ec && ec != asio::error::eof) return finish(End::closed_early);
  caller_.count_bytes(static_cast<int64_t>(n), 0);
  if (call_.cancel == Cancel::at_answer) return finish(End::cancelled);
  end_ += n;
  Ec bad;
  if (ec) {
    // The end of an answer that has no length, or of none.
    if (!parser_->got_some()) return finish(End::closed_early);
    parser_->put_eof(bad);
    if (bad || !parser_->is_done()) return finish(End::closed_early);
    return finish(End::answered, parser_->status);
  }
  begin_ += parser_->put(asio::buffer(in_.data() + begin_, end_ - begin_), bad);
  if (bad && bad != boost::beast::http::error::need_more) return finish(End::invalid);
  if (!parser_->is_done()) return read();
  // Bytes after the end belong to no answer.
  if (begin_ != end_) return finish(End::invalid);
  finish(End::answered, parser_->status);
}

void Connection::finish(End end, int status) {
  const bool stays = end == End::answered && keep_alive_ && parser_->keep_alive() && state_ == State::waiting;
  if (stays) {
    state_ = State::idle;
    if (call_.cancel == Cancel::while_waiting) timer_.cancel();
  } else {
    close(end == End::cancelled && (call_.random & 1) != 0);
  }
  const Call call = call_;
  caller_.ended(*this, call, end, status, body_);
  // Readable while idle: the server closed.
  if (stays && !reading_) read();
}

void Connection::close(bool reset) {
  ++generation_;
  reading_ = false;
  begin_ = end_ = 0;
  state_ = State::closed;
  Ec ec;
  if (reset) socket_.set_option(asio::socket_base::linger(true, 0), ec);
  socket_.close(ec);
  timer_.cancel();
}

void Connection::check(Clock::time_point sent_before) {
  if (busy() && call_.sent < sent_before) finish(state_ == State::connecting ? End::connect_failed : End::timed_out);
}

}  // namespace maas::bench
