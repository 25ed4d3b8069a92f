#include "serving/server.h"

#include <condition_variable>
#include <mutex>

#include "core/error.h"
#include "serving/grpc_service.h"
#include "serving/http.h"
#include "serving/option_range.h"
#include "serving/tls.h"

namespace maas::serving {
struct Server::Impl {
  explicit Impl(ServerOptions o)
      : options(std::move(o)), service(seconds(options.request_timeout), options.max_in_flight_per_key) {
    if (!options.keys_file.empty()) service.access.read(options.keys_file);
    if (!options.access_log.empty())
      service.access_log = std::make_unique<AccessLog>(options.access_log, service.http_metrics.log);
    if (!options.tls_cert.empty()) {
      tls = std::make_unique<Tls>(TlsFiles{options.tls_cert, options.tls_key, options.client_ca});
    } else if (!options.tls_key.empty() || !options.client_ca.empty()) {
      throw Error(ErrorKind::value, "tls_key and client_ca need a certificate (tls_cert), received none");
    }
  }
  ServerOptions options;
  Service service;
  std::unique_ptr<Tls> tls;
  std::unique_ptr<HttpListener> listener;
  mutable std::mutex mutex;
  mutable std::condition_variable stopped_changed;
  std::mutex stop_mutex;
  bool started = false, stopped = false;
  int port = 0;
};

Server::Server(ServerOptions options) {
  constexpr int64_t kMany = int64_t{1} << 40;
  check_option("port", options.port, 0, 65535);
  check_option("io_threads", options.io_threads, 1, 64);
  check_option("max_body_bytes", options.max_body_bytes, 1, kMany);
  check_option("max_total_body_bytes", options.max_total_body_bytes, 1, kMany);
  // A whole head must fit the buffer of a connection.
  check_option("max_header_bytes", options.max_header_bytes, 64, 60000);
  check_option("max_header_fields", options.max_header_fields, 1, 1 << 20);
  check_option("max_url_bytes", options.max_url_bytes, 16, 60000);
  check_option("max_chunks", options.max_chunks, 1, kMany);
  check_option("max_in_flight_per_key", options.max_in_flight_per_key, 1, kMany);
  check_option("max_connections", options.max_connections, 1, kMany);
  for (const double t :
       {options.header_timeout, options.idle_timeout, options.request_timeout, options.drain_timeout}) {
    if (!(t >= 0 && t <= 86400)) {
      throw Error(ErrorKind::value, "timeouts must be in [0, 86400] seconds, received " + std::to_string(t));
    }
  }
  check_host(options.host, !options.keys_file.empty(), options.insecure_no_auth);
  impl_ = std::make_unique<Impl>(std::move(options));
}

Server::~Server() { stop(); }

void Server::add_model(std::shared_ptr<Servable> servable, const BatcherOptions& options) {
  if (impl_->started) throw Error(ErrorKind::runtime, "models must be added before the server starts");
  impl_->service.add_model(std::move(servable), options);
}

void Server::load_model(std::shared_ptr<Servable> servable, const BatcherOptions& options) {
  impl_->service.load_model(std::move(servable), options);
}

bool Server::unload_model(const std::string& name) { return impl_->service.unload_model(name); }

std::vector<std::string> Server::models() const { return impl_->service.models(); }

void Server::set_model_store(std::shared_ptr<ModelStore> store, bool may_change) {
  if (impl_->started) throw Error(ErrorKind::runtime, "the model store must be set before the server starts");
  impl_->service.set_store(std::move(store), may_change);
}

void Server::set_image_decoder(std::shared_ptr<ImageDecoder> decoder) {
  if (impl_->started) throw Error(ErrorKind::runtime, "the image decoder must be set before the server starts");
  impl_->service.set_image_decoder(std::move(decoder));
}

GrpcAnswer Server::grpc(std::string_view method, std::string_view message, const GrpcClient& client) {
  return impl_->service.grpc(method, message, client);
}

GrpcAnswer Server::grpc_admits(std::string_view method, const GrpcClient& client) {
  return impl_->service.grpc_admits(method, client);
}

std::tuple<int, std::string, std::string, std::string> Server::manage(std::string_view route, const std::string& model,
                                                                      std::string_view body, const Decision& decision) {
  Route r;
  r.id = find_route(route);
  r.model = model;
  r.bad_name = !model.empty() && !valid_name(model);
  Response response;
  try {
    impl_->service.manage(r, body, decision.key, response);
  } catch (...) {
    response.error(500, "internal error");
  }
  return {response.status, std::move(response.headers), response.content_type, std::move(response.body)};
}

void Server::start() {
  std::lock_guard lock(impl_->mutex);
  if (impl_->started) throw Error(ErrorKind::runtime, "the server was already started");
  impl_->listener = listen_http(impl_->options, impl_->service, impl_->tls.get());
  impl_->port = impl_->listener->port();
  impl_->started = true;
  impl_->service.set_ready(true);
}

Access& Server::access() { return impl_->service.access; }

const Tls* Server::tls() const { return impl_->tls.get(); }

void Server::reload() {
  std::exception_ptr problem;
  const auto attempt = [&](auto&& step) {
    try {
      step();
    } catch (...) {
      if (!problem) problem = std::current_exception();
    }
  };
  if (!impl_->options.keys_file.empty()) attempt([&] { impl_->service.access.read(impl_->options.keys_file); });
  if (impl_->service.access_log) attempt([&] { impl_->service.access_log->reopen(); });
  if (impl_->tls) attempt([&] { impl_->tls->reload(); });
  if (problem) std::rethrow_exception(problem);
}

int Server::port() const { return impl_->started ? impl_->port : impl_->options.port; }

void Server::stop() {
  std::lock_guard one(impl_->stop_mutex);
  const auto limit = Clock::now() + seconds(impl_->options.drain_timeout);
  impl_->service.set_ready(false);
  if (impl_->listener) impl_->listener->drain(seconds(impl_->options.drain_timeout));
  impl_->service.stop(std::max(Clock::duration::zero(), limit - Clock::now()));
  if (impl_->listener) impl_->listener->stop();
  if (impl_->service.access_log) impl_->service.access_log->flush();
  std::lock_guard lock(impl_->mutex);
  impl_->listener.reset();
  impl_->stopped = true;
  impl_->stopped_changed.notify_all();
}

bool Server::wait(double s) const {
  std::unique_lock lock(impl_->mutex);
  const auto done = [&] { return impl_->stopped; };
  if (s < 0) {
    impl_->stopped_changed.wait(lock, done);
    return true;
  }
  return impl_->stopped_changed.wait_for(lock, seconds(std::min(s, 86400.0)), done);
}

}  // namespace maas::serving
