// One line of JSON per request, written by a thread of its own: a disk that is slow or full costs lines, not answers.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "serving/access.h"
#include "serving/metrics.h"
#include "serving/trace_context.h"

namespace maas::serving {

struct AccessRecord {
  std::chrono::system_clock::time_point time;
  uint64_t id = 0;  // also the span of its trace
  std::shared_ptr<const std::string> peer;
  std::shared_ptr<const Key> key;  // only its id is written
  Transport transport = Transport::http;
  std::string method;
  const char* route = nullptr;  // the pattern that matched, null for none
  std::string model;
  int status = 0;
  uint64_t bytes_in = 0, bytes_out = 0;    // of the bodies
  int64_t queue_ns = -1, compute_ns = -1;  // -1: no run
  Clock::duration total{};
  TraceContext trace;
};

std::string access_line(const AccessRecord& r);  // with its line feed; ASCII only

class AccessLog {
 public:
  // "-" is the standard output. Throws Error(runtime) if the file cannot be opened.
  AccessLog(std::string path, LogMetrics& metrics);
  ~AccessLog();  // writes what is left
  void add(AccessRecord&& record) noexcept;
  void flush() noexcept;  // writes what came before
  void reopen();          // writes what came before to the old file; throws as the constructor, and the old file stays

 private:
  static constexpr size_t kMost = 16384;  // records that wait; more are dropped
  void run();
  void write_waiting();  // with file_mutex_
  bool write_all(std::string_view text);

  const std::string path_;
  LogMetrics& metrics_;
  std::mutex file_mutex_;  // guards what the file takes
  int file_ = -1;
  bool regular_ = false, torn_ = false, told_ = false;
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::vector<AccessRecord> waiting_;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace maas::serving
