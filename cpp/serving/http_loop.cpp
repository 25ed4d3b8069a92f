#include "serving/http_loop.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <cstdio>
#include <new>

#include "serving/http_response.h"
#include "serving/http_session.h"

namespace maas::serving {

void Loop::start() {
  sweep();
  thread = std::thread([this] {
    for (;;) {
      try {
        context.run();
        return;
      } catch (const std::bad_alloc&) {
        // Out of memory in a handler. The sweep closes the connection it was for.
      } catch (...) {
        std::fputs("maas: an exception in a connection's handler; the connection is closed\n", stderr);
      }
    }
  });
}

void Loop::add(const std::shared_ptr<Session>& session) {
  sessions.insert(session);
  open.store(sessions.size());
  session->start();
}

void Loop::remove(const std::shared_ptr<Session>& session) noexcept {
  sessions.erase(session);
  open.store(sessions.size());
}

void Loop::sweep() {
  const double shortest = std::min({options.header_timeout, options.idle_timeout, options.request_timeout});
  const auto period = draining ? Clock::duration(std::chrono::milliseconds(20))
                               : std::clamp<Clock::duration>(seconds(shortest / 4), std::chrono::milliseconds(10),
                                                             std::chrono::seconds(1));
  // First of all, so that a sweep that fails is not the last.
  sweep_timer.expires_after(period);
  sweep_timer.async_wait([this](const Ec& ec) {
    if (!ec) sweep();
  });
  date = date_line();
  service.access.refresh();
  if (tls) tls->refresh();
  const auto now = Clock::now();
  const std::vector<std::shared_ptr<Session>> all(sessions.begin(), sessions.end());
  for (const auto& s : all) s->check(now);
}

void Loop::run_soon(const std::shared_ptr<Model>& model) noexcept {
  if (std::find(deferred.begin(), deferred.end(), model) != deferred.end()) return;
  try {
    deferred.reserve(deferred.size() + 1);
    // Behind the handlers of all sockets that were found readable together with this one.
    if (deferred.empty()) asio::post(context, [this] { run_deferred(); });
    deferred.push_back(model);
  } catch (const std::bad_alloc&) {
    model->batcher->run_deferred();
  }
}

void Loop::run_deferred() noexcept {
  const auto models = std::move(deferred);
  deferred.clear();
  for (const auto& model : models) model->batcher->run_deferred();
}

void Loop::arm_expire() {
  if (expire_armed) return;
  expire_armed = true;
  expire_timer.expires_after(std::chrono::milliseconds(10));
  expire_timer.async_wait([this](const Ec& ec) {
    expire_armed = false;
    if (ec) return;
    const auto now = Clock::now();
    // Sparsely: it is a system call for each connection.
    if (++ticks % 5 == 0) {
      const std::vector<std::shared_ptr<Session>> all(sessions.begin(), sessions.end());
      for (const auto& s : all) s->look(now);
    }
    service.expire(now);
    if (waiting != 0) arm_expire();
  });
}

void Loop::begin_drain() {
  draining = true;
  sweep_timer.cancel();
  sweep();
}

void Loop::close_all() {
  const std::vector<std::shared_ptr<Session>> all(sessions.begin(), sessions.end());
  for (const auto& s : all) s->close();
  sweep_timer.cancel();
  expire_timer.cancel();
  context.stop();
}

}  // namespace maas::serving
