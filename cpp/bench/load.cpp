#include "bench/load.h"

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/post.hpp>
#include <cmath>
#include <deque>
#include <exception>
#include <memory>
#include <random>
#include <thread>
#include <utility>

#include "bench/connection.h"
#include "core/error.h"

namespace maas::bench {
namespace {

using std::chrono::duration_cast;
using std::chrono::nanoseconds;

Clock::duration seconds_of(double s) { return duration_cast<Clock::duration>(std::chrono::duration<double>(s)); }
int64_t ns_between(Clock::time_point a, Clock::time_point b) { return duration_cast<nanoseconds>(b - a).count(); }

void require(bool fine, const std::string& text) {
  if (!fine) throw Error(ErrorKind::value, "bench: " + text);
}

void check_options(const LoadOptions& o) {
  require(!o.requests.empty(), "at least one request is needed, received none");
  for (const std::string& r : o.requests) require(!r.empty(), "a request must not be empty");
  require(o.connections >= 1 && o.connections <= 60000,
          "connections must be in [1, 60000], received " + std::to_string(o.connections));
  require(o.threads >= 1 && o.threads <= 64, "threads must be in [1, 64], received " + std::to_string(o.threads));
  require(o.rate >= 0 && o.rate <= 1e7, "rate must be in [0, 1e7], received " + std::to_string(o.rate));
  require(o.seconds > 0 && o.seconds <= 3600, "seconds must be in (0, 3600], received " + std::to_string(o.seconds));
  require(o.warm_up >= 0 && o.warm_up <= 600, "warm_up must be in [0, 600], received " + std::to_string(o.warm_up));
  require(o.timeout > 0 && o.timeout <= 3600, "timeout must be in (0, 3600], received " + std::to_string(o.timeout));
  require(o.cancel >= 0 && o.cancel <= 1, "cancel must be in [0, 1], received " + std::to_string(o.cancel));
  require(o.requests_limit >= 0, "requests_limit must not be negative, received " + std::to_string(o.requests_limit));
  require(o.port >= 1 && o.port <= 65535, "port must be in [1, 65535], received " + std::to_string(o.port));
}

Endpoint address_of(const LoadOptions& o) {
  asio::io_context context;
  asio::ip::tcp::resolver resolver(context);
  Ec ec;
  const auto found = resolver.resolve(o.host, std::to_string(o.port), ec);
  if (ec || found.empty()) throw Error(ErrorKind::runtime, "bench: '" + o.host + "' has no address: " + ec.message());
  Endpoint to = *found.begin();
  for (const auto& entry : found) {
    if (entry.endpoint().address().is_v4()) to = entry.endpoint();
  }
  require(o.allow_remote || to.address().is_loopback(),
          "loads go to this machine unless other hosts are allowed, received '" + o.host + "'");
  return to;
}

// One thread with its part of the connections and of the rate.
class Generator final : public Caller {
 public:
  Generator(const LoadOptions& options, const Endpoint& to, int index, std::atomic<int64_t>& tickets,
            const std::atomic<bool>* stop)
      : options_(options),
        to_(to),
        random_(options.seed * 1000003 + static_cast<uint64_t>(index)),
        tickets_(tickets),
        stop_(stop),
        due_timer_(context_),
        tick_(context_),
        next_request_(static_cast<size_t>(index)) {
    const int n = options.connections / options.threads + (index < options.connections % options.threads ? 1 : 0);
    for (int i = 0; i < n; ++i) {
      connections_.push_back(std::make_unique<Connection>(context_, *this, to_, options.keep_alive));
      free_.push_back(connections_.back().get());
    }
    gap_ = options.rate > 0 ? static_cast<double>(options.threads) / options.rate : 0;
  }

  LoadResult run(Clock::time_point begin) {
    begin_ = begin + seconds_of(options_.warm_up);
    end_ = begin_ + seconds_of(options_.seconds);
    if (gap_ > 0) {
      // Threads must not all send at once when gaps are alike.
      next_due_ = begin + seconds_of(gap_ * std::uniform_real_distribution<>(0, 1)(random_));
      wait_until_due();
    } else {
      asio::post(context_, [this] { fill(); });
    }
    tick();
    context_.run();
    result_.seconds = std::max(1e-9, std::chrono::duration<double>(ended_ - begin_).count());
    return std::move(result_);
  }

  void ended(Connection& connection, const Call& call, End end, int status, std::string_view body) override {
    const auto now = Clock::now();
    const bool in_time = now >= begin_ && now < end_;
    const bool good = end == End::answered && status >= 200 && status < 300;
    if (end == End::answered) {
      if (in_time) ++result_.statuses[status];
      if (in_time && good) ++result_.answers;
      std::string& first = good ? result_.first_answer : result_.first_refusal;
      if (first.empty()) first = body;
    } else if (call.measured) {
      ++count_of(end);
    }
    if (good && call.measured) {
      result_.latency.record(ns_between(call.due, now));
      result_.service.record(ns_between(call.sent, now));
    }
    --in_flight_;
    if (gap_ > 0) {
      if (waiting_.empty() || done_) {
        free_.push_back(&connection);
      } else {
        const auto due = waiting_.front();
        waiting_.pop_front();
        begin_call(connection, due);
      }
    } else if (!done_ && now < end_ && take_ticket()) {
      // A server that is gone must be asked again later, not in a loop without end.
      if (end == End::connect_failed) return retry(connection);
      begin_call(connection, now);
    } else {
      free_.push_back(&connection);
    }
    if (in_flight_ == 0 && (done_ || (gap_ == 0 && free_.size() == connections_.size()))) finish();
  }

  bool wants_body(int status) const override {
    return status >= 200 && status < 300 ? result_.first_answer.empty() : result_.first_refusal.empty();
  }

  void count_bytes(int64_t in, int64_t out) override {
    result_.bytes_in += in;
    result_.bytes_out += out;
  }

 private:
  using Timer = asio::basic_waitable_timer<Clock, asio::wait_traits<Clock>, asio::io_context::executor_type>;

  int64_t& count_of(End end) {
    switch (end) {
      case End::connect_failed:
        return result_.connect_failed;
      case End::timed_out:
        return result_.timed_out;
      case End::closed_early:
        return result_.closed_early;
      case End::cancelled:
        return result_.cancelled;
      default:
        return result_.invalid;
    }
  }

  bool take_ticket() { return options_.requests_limit == 0 || tickets_.fetch_sub(1) > 0; }

  void begin_call(Connection& connection, Clock::time_point due) {
    Call call;
    call.request = options_.requests[next_request_++ % options_.requests.size()];
    call.due = due;
    call.measured = due >= begin_ && due < end_;
    if (options_.cancel > 0 && std::uniform_real_distribution<>(0, 1)(random_) < options_.cancel) {
      call.random = static_cast<uint32_t>(random_());
      call.cancel = static_cast<Cancel>(1 + random_() % 4);
    }
    ++in_flight_;
    if (call.measured) ++result_.sent;
    connection.start(call);
  }

  void retry(Connection& connection) {
    ++in_flight_;  // still on its way
    auto timer = std::make_shared<Timer>(context_);
    timer->expires_after(std::chrono::milliseconds(10));
    timer->async_wait([this, timer, &connection](const Ec&) {
      --in_flight_;
      if (!done_) return begin_call(connection, Clock::now());
      free_.push_back(&connection);
      if (in_flight_ == 0) finish();
    });
  }

  // Closed loop: every connection begins.
  void fill() {
    while (!free_.empty() && take_ticket()) {
      Connection& c = *free_.back();
      free_.pop_back();
      begin_call(c, Clock::now());
    }
    if (in_flight_ == 0) finish();
  }

  // Open loop: what is due is sent or waits for a connection.
  void wait_until_due() {
    due_timer_.expires_at(next_due_);
    due_timer_.async_wait([this](const Ec& ec) {
      if (ec || done_) return;
      const auto now = Clock::now();
      while (next_due_ <= now && !done_) {
        if (!take_ticket()) return stop_asking();
        if (free_.empty()) {
          waiting_.push_back(next_due_);
        } else {
          Connection& c = *free_.back();
          free_.pop_back();
          begin_call(c, next_due_);
        }
        next_due_ += seconds_of(options_.poisson ? std::exponential_distribution<>(1 / gap_)(random_) : gap_);
      }
      if (!done_) wait_until_due();
    });
  }

  // Looks at the clock: for calls that take too long, and for the end.
  void tick() {
    tick_.expires_after(std::chrono::milliseconds(5));
    tick_.async_wait([this](const Ec& ec) {
      if (ec) return;
      const auto now = Clock::now();
      for (const auto& c : connections_) c->check(now - seconds_of(options_.timeout));
      if (!done_ && (now >= end_ || (stop_ != nullptr && stop_->load()))) stop_asking();
      if (!context_.stopped()) tick();
    });
  }

  void stop_asking() {
    done_ = true;
    ended_ = std::min(Clock::now(), end_);
    for (const auto due : waiting_) {
      if (due < begin_) continue;
      ++result_.unsent;
      result_.latency.record(std::max<int64_t>(0, ns_between(due, ended_)));
    }
    waiting_.clear();
    if (stop_ != nullptr && stop_->load()) return context_.stop();
    if (in_flight_ == 0) finish();
  }

  void finish() {
    if (!done_) ended_ = std::min(Clock::now(), end_);
    done_ = true;
    context_.stop();
  }

  const LoadOptions& options_;
  const Endpoint to_;
  std::mt19937_64 random_;
  std::atomic<int64_t>& tickets_;
  const std::atomic<bool>* stop_;
  asio::io_context context_{1};
  Timer due_timer_, tick_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<Connection*> free_;
  std::deque<Clock::time_point> waiting_;
  Clock::time_point begin_, end_, ended_, next_due_;
  size_t next_request_;
  double gap_ = 0;
  int64_t in_flight_ = 0;
  bool done_ = false;
  LoadResult result_;
};

}  // namespace

void LoadResult::add(const LoadResult& o) {
  latency.add(o.latency);
  service.add(o.service);
  for (const auto& [status, n] : o.statuses) statuses[status] += n;
  answers += o.answers;
  connect_failed += o.connect_failed;
  timed_out += o.timed_out;
  closed_early += o.closed_early;
  invalid += o.invalid;
  cancelled += o.cancelled;
  unsent += o.unsent;
  sent += o.sent;
  bytes_in += o.bytes_in;
  bytes_out += o.bytes_out;
  seconds = std::max(seconds, o.seconds);
  if (first_answer.empty()) first_answer = o.first_answer;
  if (first_refusal.empty()) first_refusal = o.first_refusal;
}

LoadResult run_load(const LoadOptions& options, const std::atomic<bool>* stop) {
  check_options(options);
  const Endpoint to = address_of(options);
  const int threads = std::min(options.threads, options.connections);
  LoadOptions used = options;
  used.threads = threads;
  std::atomic<int64_t> tickets{options.requests_limit};
  std::vector<std::unique_ptr<Generator>> generators;
  for (int i = 0; i < threads; ++i) generators.push_back(std::make_unique<Generator>(used, to, i, tickets, stop));
  std::vector<LoadResult> results(static_cast<size_t>(threads));
  std::vector<std::exception_ptr> faults(static_cast<size_t>(threads));
  std::vector<std::thread> others;
  const auto begin = Clock::now();
  const auto part = [&](size_t i) {
    try {
      results[i] = generators[i]->run(begin);
    } catch (...) {
      faults[i] = std::current_exception();
    }
  };
  for (size_t i = 1; i < results.size(); ++i) others.emplace_back(part, i);
  part(0);
  for (auto& t : others) t.join();
  for (const auto& f : faults) {
    if (f) std::rethrow_exception(f);
  }
  for (size_t i = 1; i < results.size(); ++i) results[0].add(results[i]);
  return std::move(results[0]);
}

}  // namespace maas::bench
