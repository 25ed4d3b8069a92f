// What each route does, independent of the transport: a parsed HTTP request in, a response or a pending job out.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "serving/access.h"
#include "serving/batcher.h"
#include "serving/codec.h"
#include "serving/model_table.h"
#include "serving/router.h"

namespace maas::serving {

struct Request {
  std::string_view method;
  std::string_view target;
  std::string_view body;
  std::optional<std::string> json_length;  // Inference-Header-Content-Length
  std::optional<Route> route;              // of `target`, where it has already been matched
  std::shared_ptr<const Key> key;          // that the request came with, if any was asked for
  bool encoded = false;                    // has a Content-Encoding other than identity
  Clock::time_point arrived;
};

struct Response {
  int status = 200;
  const char* content_type = "application/json";
  std::string headers;  // further complete header lines
  std::string body;
  void error(int code, std::string_view text) {
    status = code;
    content_type = "application/json";
    headers.clear();
    body = error_body(text);
  }
};

class InferRequest;

// The connection a request came from. `job_done` may be called on any thread.
class Waiter {
 public:
  virtual ~Waiter() = default;
  virtual void job_done(std::shared_ptr<InferRequest> request) noexcept = 0;
};

class InferRequest final : public Job, private InferSink {
 public:
  InferRequest(std::shared_ptr<Model> model, std::weak_ptr<Waiter> waiter)
      : model_(std::move(model)), waiter_(std::move(waiter)) {}
  ~InferRequest() override;

  // Reads the body into the batch. False: `response` holds the refusal.
  bool read(const Request& request, Clock::duration time_limit, Response& response);
  // True: ended on this thread.
  bool submit();
  void render(Response& response);
  void job_done() noexcept override;
  bool unwanted() const noexcept override { return waiter_.expired(); }
  void drop() noexcept;  // nobody waits for the answer any more

 private:
  void* open(const std::string& name, Datatype datatype, const Shape& shape) override;
  void admit();
  void finish_inputs();
  void choose_outputs();
  void count(Outcome outcome);

  std::shared_ptr<Model> model_;
  std::weak_ptr<Waiter> waiter_;
  InferHead head_;
  std::vector<Shape> rows_shape_;  // per input
  std::vector<bool> given_;
  std::vector<std::vector<std::byte>> held_;     // inputs read before the rows could be reserved
  std::vector<std::pair<size_t, bool>> chosen_;  // output and whether it goes out binary
  bool admitted_ = false, submitted_ = false, counted_ = false;
  Batcher::Admission admission_ = Batcher::Admission::ok;
  Clock::time_point arrived_;
};

class Service {
 public:
  explicit Service(Clock::duration request_timeout, int64_t max_in_flight_per_key = 256)
      : access(max_in_flight_per_key), request_timeout_(request_timeout) {}
  ~Service() { stop(Clock::duration::zero()); }
  // Throws Error(value) if there is a model of that name, or the options are out of range.
  void add_model(std::shared_ptr<Servable> servable, const BatcherOptions& options);
  // Warms the model up and then, at once, puts it in place of the one with its name, which ends after its last request.
  void load_model(std::shared_ptr<Servable> servable, const BatcherOptions& options);
  bool unload_model(const std::string& name);  // false: there is none
  std::vector<std::string> models() const;

  // Answers into `response`, or returns the request that will end later through `waiter`.
  std::shared_ptr<InferRequest> handle(const Request& request, Response& response,
                                       const std::shared_ptr<Waiter>& waiter);

  void expire(Clock::time_point now);
  bool has_waiting() const;
  void set_ready(bool ready) { ready_ = ready; }
  bool ready() const { return ready_; }
  void stop(Clock::duration drain);
  HttpMetrics http_metrics;
  Access access;

 private:
  std::shared_ptr<Model> find(const Route& route, Response& response) const;

  ModelTable models_;
  std::atomic<bool> ready_{false};
  Clock::duration request_timeout_;
};

}  // namespace maas::serving
