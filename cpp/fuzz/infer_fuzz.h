// One request to a small model through the whole service, without a socket: reader, batch, run and answer.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "serving/service.h"
#include "tests/affine_servable.h"

namespace maas::serving {

struct Fuzzed {
  struct Nobody final : Waiter {
    void job_done(std::shared_ptr<Pending> request) noexcept override { request->drop(); }
  };
  Fuzzed() {
    service.add_model(std::make_shared<AffineServable>(), {});
    service.set_ready(true);
  }
  ~Fuzzed() { service.stop(Clock::duration::zero()); }

  void ask(const char* target, std::string_view body, std::optional<std::string> json_length,
           std::string_view encoding = {}) {
    Request request;
    request.method = "POST";
    request.target = target;
    request.body = body;
    request.json_length = std::move(json_length);
    request.content_encoding = encoding;
    request.max_body = 1 << 20;
    request.arrived = Clock::now();
    Response response;
    const auto pending = service.handle(request, response, waiter);
    if (pending) return;
    // Errors are the client's: a server that answers 500 has found a case that it does not know.
    if (response.status >= 500 && response.status != 503) __builtin_trap();
    if (response.status != 200 && response.body.find("\"error\"") == std::string::npos) __builtin_trap();
  }

  Service service{std::chrono::seconds(5)};
  std::shared_ptr<Nobody> waiter = std::make_shared<Nobody>();
};

inline Fuzzed& fuzzed() {
  static Fuzzed one;
  return one;
}

}  // namespace maas::serving
