#include "serving/access_log.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <utility>

#include "core/error.h"

namespace maas::serving {
namespace {

// What a client wrote must not end the line, move a terminal's cursor or look like other text.
void put_text(std::string& out, std::string_view text) {
  static constexpr char kDigits[] = "0123456789abcdef";
  out += '"';
  for (const char c : text.substr(0, 256)) {
    const auto u = static_cast<unsigned char>(c);
    if (u < 0x20 || u >= 0x7f || c == '"' || c == '\\') {
      out.append("\\u00");
      out += kDigits[u >> 4];
      out += kDigits[u & 15];
    } else {
      out += c;
    }
  }
  out += '"';
}

void put_field(std::string& out, const char* name, std::string_view text) {
  out.append(",\"").append(name).append("\":");
  if (text.empty()) {
    out.append("null");
  } else {
    put_text(out, text);
  }
}

// The lowest digits of a number, zeros in front.
void put_digits(std::string& out, int64_t v, int digits) {
  char b[8];
  for (int i = digits; i-- > 0; v /= 10) b[i] = static_cast<char>('0' + v % 10);
  out.append(b, static_cast<size_t>(digits));
}

void put_whole(std::string& out, int64_t v) {
  char b[24];
  out.append(b, std::to_chars(b, b + sizeof b, v).ptr);
}

void put_count(std::string& out, const char* name, int64_t v) {
  out.append(",\"").append(name).append("\":");
  put_whole(out, v);
}

void put_time(std::string& out, const char* name, int64_t ns) {
  if (ns < 0) {
    put_field(out, name, "");
  } else {
    put_count(out, name, ns / 1000);
    out += '.';
    put_digits(out, ns % 1000, 3);
  }
}

int open_log(const std::string& path) {
  // Not blocking: a pipe nobody reads must not stop the thread for ever.
  const int f = path == "-" ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)
                            : open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600);
  if (f < 0)
    fail(ErrorKind::runtime, "the access log cannot be opened: ", std::strerror(errno), ", received '", path, "'");
  return f;
}

bool is_regular(int file) {
  struct stat s{};
  return fstat(file, &s) == 0 && S_ISREG(s.st_mode);
}

}  // namespace

std::string access_line(const AccessRecord& r) {
  const int64_t us = std::chrono::duration_cast<std::chrono::microseconds>(r.time.time_since_epoch()).count();
  // Most lines are of the second that the line before was of.
  thread_local std::time_t known = -1;
  thread_local char date[32];
  const auto second = static_cast<std::time_t>(us / 1'000'000);
  if (second != known) {
    std::tm t{};
    gmtime_r(&second, &t);
    std::strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S.", &t);
    known = second;
  }
  std::string out;
  out.reserve(512);
  out.append("{\"time\":\"").append(date);
  put_digits(out, us % 1'000'000, 6);
  out.append("Z\"");
  put_field(out, "id", hex16(r.id));
  put_field(out, "peer", r.peer ? *r.peer : std::string());
  put_field(out, "key", r.key ? r.key->id : std::string());
  put_field(out, "protocol", kTransports[static_cast<size_t>(r.transport)]);
  put_field(out, "method", r.method);
  put_field(out, "route", r.route ? r.route : "");
  put_field(out, "model", r.model);
  put_count(out, "status", r.status);
  put_count(out, "bytes_in", static_cast<int64_t>(r.bytes_in));
  put_count(out, "bytes_out", static_cast<int64_t>(r.bytes_out));
  put_time(out, "queue_us", r.queue_ns);
  put_time(out, "compute_us", r.compute_ns);
  put_time(out, "total_us", std::chrono::duration_cast<std::chrono::nanoseconds>(r.total).count());
  put_field(out, "trace_id", r.trace.trace_id);
  put_field(out, "parent_id", r.trace.parent_id);
  return out + "}\n";
}

AccessLog::AccessLog(std::string path, LogMetrics& metrics)
    : path_(std::move(path)), metrics_(metrics), file_(open_log(path_)), regular_(is_regular(file_)) {
  waiting_.reserve(1024);
  thread_ = std::thread([this] { run(); });
}

AccessLog::~AccessLog() {
  {
    std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_one();
  thread_.join();
  close(file_);
}

void AccessLog::add(AccessRecord&& record) noexcept {
  try {
    bool many;
    {
      std::lock_guard lock(mutex_);
      if (waiting_.size() >= kMost) {
        metrics_.dropped.fetch_add(1, kRelaxed);
        return;
      }
      waiting_.push_back(std::move(record));
      many = waiting_.size() == kMost / 4;
    }
    // Not for each record: the thread looks a few times a second by itself.
    if (many) changed_.notify_one();
  } catch (...) {
    metrics_.dropped.fetch_add(1, kRelaxed);
  }
}

void AccessLog::flush() noexcept {
  try {
    std::lock_guard one(file_mutex_);
    write_waiting();
  } catch (...) {  // memory that is not to be had: the records are in no list any more
    std::fputs("maas: lines of the access log are lost\n", stderr);
  }
}

void AccessLog::reopen() {
  if (path_ == "-") return;
  const int file = open_log(path_);
  std::lock_guard one(file_mutex_);
  write_waiting();
  close(file_);
  file_ = file;
  regular_ = is_regular(file);
  torn_ = told_ = false;
}

void AccessLog::run() {
  for (bool end = false; !end;) {
    {
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, std::chrono::milliseconds(100), [&] { return ending_ || waiting_.size() >= kMost / 4; });
      end = ending_;
    }
    std::lock_guard one(file_mutex_);
    write_waiting();
  }
}

void AccessLog::write_waiting() {
  std::vector<AccessRecord> now;
  {
    std::lock_guard lock(mutex_);
    now.swap(waiting_);
  }
  // Of a pipe less than this is taken whole or not at all.
  const size_t most = regular_ ? 65536 : 4000;
  std::string text;
  uint64_t lines = 0;
  for (size_t i = 0; i < now.size(); ++i) {
    try {
      text += access_line(now[i]);
      ++lines;
    } catch (...) {
      metrics_.dropped.fetch_add(1, kRelaxed);
    }
    if (text.size() < most - 2000 && i + 1 < now.size()) continue;
    const bool written = write_all(text);
    (written ? metrics_.written : metrics_.failed).fetch_add(lines, kRelaxed);
    text.clear();
    lines = 0;
  }
}

bool AccessLog::write_all(std::string_view text) {
  bool good = true;
  if (torn_) {
    torn_ = write(file_, "\n", 1) != 1;
    good = !torn_;
  }
  while (good && !text.empty()) {
    pollfd p{file_, POLLOUT, 0};
    // Once nobody has read for a second, what follows does not wait.
    if (!regular_ && poll(&p, 1, told_ ? 0 : 1000) <= 0) {
      errno = EAGAIN;
      good = false;
      break;
    }
    const ssize_t n = write(file_, text.data(), text.size());
    if (n > 0) {
      text.remove_prefix(static_cast<size_t>(n));
      torn_ = !text.empty();
    } else if (n < 0 && errno != EINTR) {
      good = false;
    }
  }
  if (!good && !std::exchange(told_, true)) {
    std::fprintf(stderr, "maas: the access log cannot be written: %s\n", std::strerror(errno));
  }
  if (good) told_ = false;
  return good;
}

}  // namespace maas::serving
