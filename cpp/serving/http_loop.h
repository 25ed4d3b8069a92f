// One I/O thread and the connections that live on it: a connection stays on its own, so a session needs no lock.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <unordered_set>
#include <vector>

#include "serving/http_asio.h"
#include "serving/server.h"
#include "serving/service.h"
#include "serving/tls.h"

namespace maas::serving {

class Session;

struct Loop {
  Loop(const ServerOptions& o, Service& s, Tls* t)
      : options(o), service(s), tls(t), sweep_timer(context), expire_timer(context) {}
  const ServerOptions& options;
  Service& service;
  Tls* tls;  // null: connections are plain
  asio::io_context context{1};
  Timer sweep_timer, expire_timer;
  std::unordered_set<std::shared_ptr<Session>> sessions;
  std::atomic<size_t> open{0};  // sessions.size(), for other threads
  int ticks = 0;
  std::vector<std::shared_ptr<Model>> deferred;
  size_t waiting = 0;  // connections whose request is elsewhere
  bool expire_armed = false, draining = false;
  std::string date;  // the Date header line, renewed by the sweep
  std::thread thread;

  void start();  // the thread
  void add(const std::shared_ptr<Session>& session);
  void remove(const std::shared_ptr<Session>& session) noexcept;
  void sweep();  // timeouts, a few times a second
  // Runs what was deferred for `model` once the requests that have come by now are read: one run and one burst of
  // answers for all of them.
  void run_soon(const std::shared_ptr<Model>& model) noexcept;
  void run_deferred() noexcept;
  // Deadlines of requests, and clients that have gone, while any of its connections waits for an answer.
  void arm_expire();
  void begin_drain();
  void close_all();  // and ends the thread
};

}  // namespace maas::serving
