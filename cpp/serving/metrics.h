// Counters and histograms in the Prometheus text format. Writers never lock; a scrape reads relaxed atomics.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace maas::serving {

using Clock = std::chrono::steady_clock;
using Counter = std::atomic<uint64_t>;
inline constexpr auto kRelaxed = std::memory_order_relaxed;

inline Clock::duration seconds(double s) {
  return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(s));
}

// How a request came; the label `protocol`.
enum class Transport : uint8_t { http, grpc };
inline constexpr std::array<const char*, 2> kTransports = {"http", "grpc"};

// How a request ended; the label `outcome`.
enum class Outcome : uint8_t { success, invalid, rejected, timeout, cancelled, error };
inline constexpr std::array<const char*, 6> kOutcomes = {"success", "invalid",   "rejected",
                                                         "timeout", "cancelled", "error"};

// Why a batch stopped filling; the label `reason`.
enum class CloseReason : uint8_t { immediate, full, delay, preferred, drain, inline_run };
inline constexpr std::array<const char*, 6> kCloseReasons = {"immediate", "full",  "delay",
                                                             "preferred", "drain", "inline"};

class Histogram {
 public:
  static constexpr size_t kBuckets = 18;
  static const std::array<double, kBuckets> kSeconds;
  static const std::array<double, kBuckets> kRows;

  void observe_seconds(Clock::duration d);
  void observe_rows(int64_t rows);
  void render(std::string& out, const char* name, const std::string& labels, bool seconds) const;

 private:
  std::array<Counter, kBuckets + 1> counts_{};
  Counter sum_{0};  // nanoseconds or rows
};

struct ModelMetrics {
  std::string model, version;
  std::array<std::array<Counter, kOutcomes.size()>, kTransports.size()> requests{};
  std::array<Counter, kCloseReasons.size()> batch_close{};
  Histogram queue, compute, latency, batch_size;
  std::atomic<int64_t> queue_depth{0}, in_flight{0};
  std::atomic<int64_t> load_ns{0};       // what making it ready took
  std::atomic<int64_t> memory_bytes{0};  // written by whoever renders
};

struct LogMetrics {
  Counter written{0}, dropped{0}, failed{0};  // lines of the access log
};

struct TlsMetrics {
  Counter done{0}, failed{0};  // handshakes
};

struct HttpMetrics {
  static constexpr std::array<int, 17> kCodes = {200, 400, 401, 403, 404, 405, 408, 411, 413,
                                                 414, 415, 429, 431, 500, 501, 503, 504};
  std::array<Counter, kCodes.size() + 1> responses{};
  std::atomic<int64_t> connections{0}, body_bytes{0};
  TlsMetrics tls;
  LogMetrics log;
  Counter connections_total{0}, connections_refused{0}, bytes_in{0}, bytes_out{0};
  void count(int status);
};

// Requests refused for want of a right; the label `code`.
inline constexpr std::array<const char*, 3> kRefusals = {"401", "403", "429"};
using RefusalCounts = std::array<Counter, kRefusals.size()>;

std::string render_metrics(const HttpMetrics& http, const RefusalCounts& refusals,
                           const std::vector<const ModelMetrics*>& models);

}  // namespace maas::serving
