// What each route does, independent of the transport: a parsed HTTP request in, a response or a pending job out.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <memory_resource>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "serving/access.h"
#include "serving/access_log.h"
#include "serving/batcher.h"
#include "serving/codec.h"
#include "serving/model_stats.h"
#include "serving/model_table.h"
#include "serving/protocol.h"
#include "serving/router.h"

namespace maas::serving {

struct Request {
  std::string_view method;
  std::string_view target;
  std::string_view body;
  std::optional<std::string> json_length;  // Inference-Header-Content-Length
  std::string_view content_encoding;       // as it came, empty if there is none
  size_t max_body = size_t{64} << 20;      // of a body once it is plain
  std::optional<Route> route;              // of `target`, where it has already been matched
  std::shared_ptr<const Key> key;          // that the request came with, if any was asked for
  Clock::time_point arrived;
};

struct Response {
  int status = 200;
  const char* content_type = "application/json";
  std::string headers;  // further complete header lines
  std::string body;
  std::string message;                     // of an error, for protocols that do not send `body`
  int64_t queue_ns = -1, compute_ns = -1;  // of the run that the answer comes from
  void error(int code, std::string_view text) {
    status = code;
    message = text;
    content_type = "application/json";
    headers.clear();
    body = error_body(text);
  }
};

// A request whose answer comes later. Exactly one of the two is called, once it has ended.
class Pending {
 public:
  virtual ~Pending() = default;
  virtual void render(Response& response) = 0;
  virtual void drop() noexcept = 0;  // nobody waits for the answer any more
  // Renders, or drops it if there is no memory for that.
  void answer(Response& response) {
    try {
      render(response);
    } catch (...) {
      drop();
      response.error(500, "internal error");
    }
  }
};

// The connection a request came from. `job_done` may be called on any thread.
class Waiter {
 public:
  virtual ~Waiter() = default;
  virtual void job_done(std::shared_ptr<Pending> request) noexcept = 0;
  // True: what it asks for may wait for other requests of this round of its loop, at the end of which run_deferred is
  // called for the models that run_soon was given.
  virtual bool has_rounds() const noexcept { return false; }
  virtual void run_soon(const std::shared_ptr<Model>& model) noexcept { (void)model; }
};

class InferRequest final : public Job, public Pending, private InferSink {
 public:
  InferRequest(std::shared_ptr<Model> model, std::weak_ptr<Waiter> waiter,
               const InferProtocol& protocol = oip_rest_protocol())
      : model_(std::move(model)), waiter_(std::move(waiter)), protocol_(protocol) {}
  ~InferRequest() override;

  // Reads the body into the batch. False: `response` holds the refusal.
  bool read(const Request& request, Clock::duration time_limit, Response& response);
  // Whether there are encoded images, which go_on decodes before it submits.
  bool has_images() const { return image_bytes_ != 0; }
  int64_t waiting_bytes() const { return image_bytes_ + held_bytes_; }  // while it waits for go_on
  void go_on(ImageDecoder* decoder) noexcept;                           // null: the server is shutting down
  void refuse_images(Outcome outcome) { count(outcome); }
  Batcher::Submitted submit(bool has_rounds = false);
  void render(Response& response) override;
  void job_done() noexcept override;
  bool unwanted() const noexcept override { return waiter_.expired(); }
  void drop() noexcept override;

 private:
  void* open(const std::string& name, Datatype datatype, const Shape& shape) override;
  char* keep(size_t size) override { return static_cast<char*>(texts_.allocate(size, 1)); }
  void refuse_open(Response& response);
  void* open_images(size_t input, const Shape& shape);
  bool decode_images(ImageDecoder& decoder);
  void hold(size_t input, int64_t count);
  void admit();
  void finish_inputs();
  void choose_outputs();
  void render_outputs(Response& response);
  void count(Outcome outcome);

  std::shared_ptr<Model> model_;
  std::weak_ptr<Waiter> waiter_;
  const InferProtocol& protocol_;
  std::pmr::monotonic_buffer_resource texts_;  // of BYTES inputs; a run sees them, so they live as long as the job
  InferHead head_;
  std::vector<Shape> rows_shape_;  // per input
  std::vector<bool> given_;
  std::vector<std::vector<std::byte>> held_;  // inputs read before the rows could be reserved
  int64_t held_bytes_ = 0, held_limit_ = 0;
  std::vector<std::vector<Bytes>> encoded_;  // per input
  int64_t image_bytes_ = 0;
  struct Chosen {
    size_t output;
    bool binary;
    int64_t classes;
  };
  std::vector<Chosen> chosen_;
  bool admitted_ = false, submitted_ = false, counted_ = false;
  Batcher::Admission admission_ = Batcher::Admission::ok;
  Clock::time_point arrived_;
};

// Of the Open Inference Protocol, as the server's metadata lists them.
inline constexpr std::array<const char*, 5> kExtensions = {"binary_tensor_data", "classification",
                                                           "model_configuration", "model_repository", "statistics"};

class ModelStore;
class StoreQueue;
struct GrpcAnswer;
struct GrpcCall;
struct GrpcClient;
struct GrpcMethod;

class Service {
 public:
  explicit Service(Clock::duration request_timeout, int64_t max_in_flight_per_key = 256);
  ~Service();
  // Throws Error(value) if there is a model of that name, or the options are out of range.
  void add_model(std::shared_ptr<Servable> servable, const BatcherOptions& options);
  // Warms the model up and then, at once, puts it in place of the one with its name, which ends after its last request.
  void load_model(std::shared_ptr<Servable> servable, const BatcherOptions& options);
  bool unload_model(const std::string& name);  // false: there is none
  std::vector<std::string> models() const;

  // Answers into `response`, or returns the request that will end later through `waiter`.
  std::shared_ptr<Pending> handle(const Request& request, Response& response, const std::shared_ptr<Waiter>& waiter);

  // Answers a request of the management listener, whose key has been found to be allowed. Waits for the answer.
  void manage(const Route& route, std::string_view body, const std::shared_ptr<const Key>& key, Response& response);

  // Answers one call of gRPC: `method` is the last part of its path, "ModelInfer". Waits until the answer is there, so
  // many threads call it at a time.
  GrpcAnswer grpc(std::string_view method, std::string_view message, const GrpcClient& client);
  // Whether `client` may make such calls of some model, before a message of it is read. Takes nothing of its rate.
  GrpcAnswer grpc_admits(std::string_view method, const GrpcClient& client);

  void set_image_decoder(std::shared_ptr<ImageDecoder> decoder);  // before the listener starts
  void expire(Clock::time_point now);
  // Before the listener starts. `may_change`: clients may load and unload on the data port, not on the management
  // port alone.
  void set_store(std::shared_ptr<ModelStore> store, bool may_change);
  void set_ready(bool ready) { ready_ = ready; }
  bool ready() const { return ready_; }
  void stop(Clock::duration drain);
  HttpMetrics http_metrics;
  Access access;
  std::unique_ptr<AccessLog> access_log;  // null: there is none

 private:
  void answer(const GrpcCall& call, Response& response);
  void log_grpc(const GrpcMethod& row, const GrpcClient& client, AccessRecord&& record);
  std::shared_ptr<Model> find(const Route& route, Response& response) const;
  std::shared_ptr<Pending> infer(std::shared_ptr<Model> model, const InferProtocol& protocol, const Request& request,
                                 Response& response, const std::shared_ptr<Waiter>& waiter);
  std::shared_ptr<Pending> decode(std::shared_ptr<InferRequest> infer, Response& response);
  std::shared_ptr<Model> find_tfs(Route route, Response& response) const;
  std::string tfs_models(const Key* key) const;
  std::shared_ptr<Pending> ask_store(const Request& request, const Route& route, Response& response,
                                     const std::shared_ptr<Waiter>& waiter, Plane plane = kData);
  std::shared_ptr<Pending> respond(const Request& request, const Route& route, Response& response,
                                   const std::shared_ptr<Waiter>& waiter);
  std::string index_of_models(bool ready_only, const Key* key) const;
  std::string all_stats(const Key* key) const;

  ModelTable models_;
  std::unique_ptr<StoreQueue> store_, store_index_;  // a list need not wait for a load
  std::unique_ptr<ImageQueue> images_;
  bool store_may_change_ = false;
  std::atomic<bool> ready_{false};
  Clock::duration request_timeout_;
};

}  // namespace maas::serving
