// One connection of the load generator: a request at a time.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace maas::bench {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;
using Ec = boost::system::error_code;
using Endpoint = asio::ip::tcp::endpoint;

enum class End : uint8_t { answered, connect_failed, timed_out, closed_early, invalid, cancelled };

// Where the client gives up, of requests that are to be cancelled.
enum class Cancel : uint8_t { never, while_sending, when_sent, while_waiting, at_answer };

struct Call {
  std::string_view request;
  Clock::time_point due, sent;
  bool measured = false;
  Cancel cancel = Cancel::never;
  uint32_t random = 0;  // where in the request, or after how many microseconds of waiting
};

// Hears how calls end, and may start the next one from there.
class Connection;
class Caller {
 public:
  virtual ~Caller() = default;
  virtual void ended(Connection& connection, const Call& call, End end, int status, std::string_view body) = 0;
  virtual bool wants_body(int status) const = 0;
  virtual void count_bytes(int64_t in, int64_t out) = 0;
};

class AnswerParser final : public boost::beast::http::basic_parser<false> {
  using View = boost::core::string_view;
  void on_request_impl(boost::beast::http::verb, View, View, int, Ec&) override {}
  void on_response_impl(int code, View, int, Ec&) override { status = code; }
  void on_field_impl(boost::beast::http::field, View, View, Ec&) override {}
  void on_trailer_field_impl(boost::beast::http::field, View, View, Ec&) override {}
  void on_header_impl(Ec&) override {
    if (!caller_.wants_body(status)) body_ = nullptr;
  }
  void on_body_init_impl(const boost::optional<std::uint64_t>&, Ec&) override {}
  size_t on_body_impl(View b, Ec&) override { return keep(b); }
  void on_chunk_header_impl(std::uint64_t, View, Ec&) override {}
  size_t on_chunk_body_impl(std::uint64_t, View b, Ec&) override { return keep(b); }
  void on_finish_impl(Ec&) override {}
  size_t keep(View b) {
    if (body_ != nullptr) body_->append(b.data(), b.size());
    return b.size();
  }
  const Caller& caller_;
  std::string* body_;  // where it goes, null if nobody wants it

 public:
  AnswerParser(const Caller& caller, std::string& body) : caller_(caller), body_(&body) {
    eager(true);
    body_limit(boost::none);
  }
  int status = 0;
};

class Connection {
 public:
  Connection(asio::io_context& context, Caller& caller, const Endpoint& to, bool keep_alive);
  void start(const Call& call);
  void check(Clock::time_point sent_before);  // ends a call that was sent before then
  bool busy() const { return state_ != State::closed && state_ != State::idle; }

 private:
  enum class State : uint8_t { closed, connecting, sending, waiting, idle };
  using Socket = asio::basic_stream_socket<asio::ip::tcp, asio::io_context::executor_type>;
  using Timer = asio::basic_waitable_timer<Clock, asio::wait_traits<Clock>, asio::io_context::executor_type>;

  void connect();
  void send();
  void sent(const Ec& ec);
  void give_up_later();
  void read();
  void on_read(const Ec& ec, size_t n);
  void finish(End end, int status = 0);
  void close(bool reset = false);

  Caller& caller_;
  const Endpoint& to_;
  const bool keep_alive_;
  Socket socket_;
  Timer timer_;
  std::vector<char> in_;
  size_t begin_ = 0, end_ = 0;
  std::optional<AnswerParser> parser_;
  std::string body_;
  Call call_;
  State state_ = State::closed;
  bool reading_ = false;
  uint64_t generation_ = 0, calls_ = 0;  // a handler of a socket that was closed since, or of an older call, is late
};

}  // namespace maas::bench
