// One connection: reads requests one after another, answers each before it reads the next.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "serving/content_coding.h"
#include "serving/http_loop.h"
#include "serving/http_parser.h"
#include "serving/http_stream.h"

namespace maas::serving {

class Session final : public Waiter, public std::enable_shared_from_this<Session> {
 public:
  Session(Loop& loop, Socket socket);
  ~Session() override;
  void start();
  void check(Clock::time_point now) noexcept;  // timeouts, and connections that end while draining
  void close() noexcept;
  // Ends a connection whose client has gone while its request waits. A client that only said that it sends no more
  // still gets its answer: it is told "100 Continue", and one that has gone refuses that.
  void look(Clock::time_point now) noexcept;
  void job_done(std::shared_ptr<Pending> request) noexcept override;
  bool has_rounds() const noexcept override { return true; }
  void run_soon(const std::shared_ptr<Model>& model) noexcept override { loop_.run_soon(model); }

 private:
  enum class State : uint8_t { handshake, idle, head, body, waiting, writing, linger, closed };
  static constexpr size_t kSmallBuffer = 8192, kLargeBuffer = 65536;
  // Under TLS a small answer goes out as one record and one packet.
  static constexpr size_t kOneRecord = 15000;

  template <class F>
  void guarded(F&& step) noexcept;
  void enter(State s);
  std::string_view unread() const { return {in_.data() + begin_, end_ - begin_}; }
  void consume(size_t n) { begin_ += n; }
  int64_t account(size_t body) noexcept;
  void shake_hands();
  bool outdated() const;
  void read();
  void on_read(const Ec& ec, size_t n);
  void process();
  bool parse_head();
  bool parse_body();
  bool send_continue();
  bool send_line_of_continue() noexcept;
  void fail(int status, const char* text, const std::string& headers = {});
  void deny(Response& response) const;
  void drop_body() noexcept;
  void forget_pending() noexcept;
  void dispatch();
  void finish(const std::shared_ptr<Pending>& request);
  void respond(Response& response);
  void log(const Response& response, size_t bytes) noexcept;
  void written();
  void end();

  Loop& loop_;
  Stream stream_;
  std::vector<char> in_;
  size_t begin_ = 0, end_ = 0;
  std::optional<HttpParser> parser_;
  std::string body_, out_head_, out_body_;
  std::shared_ptr<Pending> pending_;
  Route route_;
  Decision decision_;
  int64_t counted_ = 0;
  State state_ = State::idle;
  Coding coding_ = Coding::identity;  // of the answer
  bool close_after_ = false, head_only_ = false, probed_ = false, old_client_ = false, reading_ = false;
  bool continue_is_left_ = false;
  uint64_t tls_generation_ = 0;
  Clock::time_point arrived_, since_, deadline_;
  std::shared_ptr<const std::string> peer_;  // with an access log only
  AccessRecord record_;                      // of the request that is being read or answered
  TraceContext trace_;
};

}  // namespace maas::serving
