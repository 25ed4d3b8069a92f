// A load generator for HTTP/1.1: prepared requests over many connections, and what came of them.
//
// Closed loop: each connection sends its next request when the answer to the last one is there, so a server that stalls
// is asked less while it does, and the stall counts once. Open loop: requests are due at times of their own and their
// latency counts from then, whether or not a connection was free (Gil Tene, 2013, "How NOT to Measure Latency").
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "bench/histogram.h"
#include "core/export.h"

namespace maas::bench {

struct LoadOptions {
  std::string host = "127.0.0.1";  // an IP address or a name
  int port = 8000;
  std::vector<std::string> requests;  // whole ones, head and body; sent in turn
  int connections = 16;
  int threads = 1;
  double rate = 0;             // requests a second; 0: closed loop
  bool poisson = true;         // gaps between requests of the open loop: exponential, or all alike
  double seconds = 10;         // measured
  double warm_up = 1;          // before that, seconds not measured
  int64_t requests_limit = 0;  // ends after so many; 0: no limit
  double timeout = 10;         // of one request, from its sending, seconds
  bool keep_alive = true;      // false: a connection for each request
  double cancel = 0;           // share of requests whose connection is closed at a random point
  uint64_t seed = 1;           // of gaps and cancels
  bool allow_remote = false;   // other hosts than this one
};

struct LoadResult {
  // Of answers 200 to 299 to the requests due in the measured time, nanoseconds.
  Histogram latency;  // from when it was due; requests that were never sent count with the time they had waited
  Histogram service;  // from when it was sent
  std::map<int, int64_t> statuses;  // all answers in the measured time
  int64_t answers = 0;              // of them 200 to 299
  int64_t connect_failed = 0, timed_out = 0, closed_early = 0, invalid = 0;
  int64_t cancelled = 0, unsent = 0, sent = 0;
  int64_t bytes_in = 0, bytes_out = 0;
  double seconds = 0;                       // measured
  std::string first_answer, first_refusal;  // bodies, of 200 to 299 and of another status

  void add(const LoadResult& other);
};

// Throws maas::Error(value) for an option out of range or a host that is not this one without `allow_remote`, and
// maas::Error(runtime) if the host has no address. Ends early, with what there is, once `stop` is set.
MAAS_API LoadResult run_load(const LoadOptions& options, const std::atomic<bool>* stop = nullptr);

}  // namespace maas::bench
