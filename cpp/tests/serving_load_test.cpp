// The server under the load generator, with clients that go away at random points: nothing is lost, nothing is left
// over. Under the sanitizers this is what looks for races and broken memory in the whole data plane.
#include <atomic>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <cstdlib>
#include <thread>

#include "bench/bare_server.h"
#include "bench/load.h"
#include "core/error.h"
#include "serving/server.h"
#include "tests/affine_servable.h"

using namespace maas::serving;
using maas::bench::BareServer;
using maas::bench::LoadOptions;
using maas::bench::LoadResult;
using maas::bench::run_load;

namespace {

double stress_seconds() {
  const char* text = std::getenv("MAAS_STRESS_SECONDS");
  return text ? std::atof(text) : 2;
}

// Runs on the worker: its runs are too long for a thread that serves connections.
class SlowAffine final : public Servable {
 public:
  SlowAffine(const char* name, int microseconds) : inner_(name), time_(microseconds) {}
  const ModelInfo& info() const override { return inner_.info(); }
  std::unique_ptr<Batch> make_batch(int64_t capacity, const std::vector<Shape>& rows) override {
    return inner_.make_batch(capacity, rows);
  }
  void run(Batch& batch, int64_t rows) override {
    std::this_thread::sleep_for(time_);
    inner_.run(batch, rows);
  }

 private:
  AffineServable inner_;
  std::chrono::microseconds time_;
};

std::string json_request(const std::string& model, float first, const std::string& lines = "") {
  std::string data = std::to_string(first);
  for (int i = 1; i < 16; ++i) data += ",0.5";
  const std::string body = R"({"inputs":[{"name":"x","datatype":"FP32","shape":[1,16],"data":[)" + data + "]}]}";
  return "POST /v2/models/" + model + "/infer HTTP/1.1\r\nHost: a\r\n" + lines +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

std::string binary_request(const std::string& model, int64_t rows) {
  const std::string size = std::to_string(rows * 64);
  const std::string head = R"({"inputs":[{"name":"x","datatype":"FP32","shape":[)" + std::to_string(rows) +
                           R"(,16],"parameters":{"binary_data_size":)" + size +
                           R"(}}],"parameters":{"binary_data_output":true}})";
  return "POST /v2/models/" + model +
         "/infer HTTP/1.1\r\nHost: a\r\nInference-Header-Content-Length: " + std::to_string(head.size()) +
         "\r\nContent-Length: " + std::to_string(head.size() + rows * 64) + "\r\n\r\n" + head +
         std::string(static_cast<size_t>(rows) * 64, '\0');
}

std::string tfs_request(const std::string& model) {
  std::string row = "[1";
  for (int i = 1; i < 16; ++i) row += ",0.25";
  const std::string body = R"({"instances":[)" + row + "]]}";
  return "POST /v1/models/" + model +
         ":predict HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}

std::string get_request(const std::string& path) { return "GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n"; }

std::vector<std::string> mixed() {
  std::vector<std::string> all;
  for (const char* model : {"short", "slow"}) {
    for (int i = 0; i < 3; ++i) all.push_back(json_request(model, 0.25f * static_cast<float>(i)));
    all.push_back(binary_request(model, 1));
    all.push_back(binary_request(model, 40));  // more rows than a batch holds
    all.push_back(tfs_request(model));
  }
  all.push_back(get_request("/metrics"));
  all.push_back(get_request("/v2/models/short"));
  return all;
}

// Value of a line of /metrics, by its beginning.
double metric(int port, const std::string& name) {
  LoadOptions o;
  o.port = port;
  o.requests = {get_request("/metrics")};
  o.connections = 1;
  o.requests_limit = 1;
  o.warm_up = 0;
  const std::string text = "\n" + run_load(o).first_answer;
  const size_t at = text.find("\n" + name);
  BOOST_REQUIRE_MESSAGE(at != std::string::npos, "no metric " << name);
  return std::atof(text.c_str() + text.find(' ', at + name.size()));
}

double labelled(int port, const std::string& name, const std::string& model, const std::string& more = "") {
  return metric(port, name + "{model=\"" + model + "\",version=\"1\"" + more);
}

constexpr const char* kModels[] = {"short", "slow", "long"};

void require_quiet(int port) {
  // A run that was begun ends after its client has gone.
  for (int i = 0; i < 500; ++i) {
    double left = 0;
    for (const char* model : kModels) left += labelled(port, "maas_inference_in_flight", model);
    if (left == 0) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  for (const char* model : kModels) {
    BOOST_TEST(labelled(port, "maas_inference_in_flight", model) == 0);
    BOOST_TEST(labelled(port, "maas_queue_depth", model) == 0);
  }
  BOOST_TEST(metric(port, "maas_http_body_bytes ") == 0);
  BOOST_TEST(metric(port, "maas_http_connections ") == 1);
}

struct Running {
  explicit Running(int io_threads) : server(options(io_threads)) {
    BatcherOptions b;
    b.max_queue_size = 64;
    server.add_model(std::make_shared<AffineServable>("short"), b);
    server.add_model(std::make_shared<SlowAffine>("slow", 300), b);
    server.add_model(std::make_shared<SlowAffine>("long", 60000), b);
    server.start();
  }
  static ServerOptions options(int io_threads) {
    ServerOptions o;
    o.port = 0;
    o.io_threads = io_threads;
    return o;
  }
  Server server;
};

}  // namespace

BOOST_AUTO_TEST_CASE(load_with_cancels_and_reloads) {
  Running r(2);
  LoadOptions o;
  o.port = r.server.port();
  o.requests = mixed();
  o.connections = 24;
  o.cancel = 0.05;
  o.warm_up = 0;
  o.seconds = stress_seconds();
  // Models are swapped under the load as well.
  std::atomic<bool> over{false};
  std::thread reloads([&] {
    while (!over) {
      r.server.load_model(std::make_shared<AffineServable>("short"), {});
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  });
  LoadResult result;
  try {
    result = run_load(o);
  } catch (const maas::Error& e) {
    BOOST_ERROR(e.what());
  }
  over = true;
  reloads.join();
  BOOST_TEST(result.answers > 100);
  BOOST_TEST(result.cancelled > 0);
  BOOST_TEST(result.invalid == 0);
  BOOST_TEST(result.timed_out == 0);
  BOOST_TEST(result.closed_early == 0);
  for (const auto& [status, n] : result.statuses) BOOST_TEST((status == 200 || status == 429), status << ": " << n);
  require_quiet(r.server.port());
}

// S-23: clients that close while they send, while they wait and while they are answered.
BOOST_AUTO_TEST_CASE(clients_that_close_at_random_places) {
  Running r(1);
  LoadOptions o;
  o.port = r.server.port();
  o.requests = mixed();
  o.requests.push_back(json_request("long", 1));  // long enough for the server to notice who has gone
  o.connections = 64;
  o.cancel = 0.9;
  o.warm_up = 0;
  o.seconds = 300;
  o.requests_limit = stress_seconds() < 2 ? 2000 : 10000;
  const LoadResult result = run_load(o);
  BOOST_TEST(result.cancelled > o.requests_limit / 2);
  BOOST_TEST(result.invalid == 0);
  require_quiet(r.server.port());
  BOOST_TEST(labelled(r.server.port(), "maas_inference_requests_total", "long",
                      ",protocol=\"http\",outcome=\"cancelled\"") > 0);
  o.cancel = 0;
  o.requests_limit = 100;
  BOOST_TEST(run_load(o).answers == 100);
}

BOOST_AUTO_TEST_CASE(stop_under_load_leaves_nobody_without_an_answer) {
  auto r = std::make_unique<Running>(1);
  LoadOptions o;
  o.port = r->server.port();
  o.requests = {json_request("short", 1), json_request("slow", 1)};
  o.connections = 16;
  o.warm_up = 0;
  o.seconds = 0.5;
  std::thread stops([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(250));
    r->server.stop();
  });
  const LoadResult result = run_load(o);
  stops.join();
  BOOST_TEST(result.answers > 10);
  BOOST_TEST(result.statuses.size() == 1u);
  BOOST_TEST(result.invalid == 0);
}

BOOST_AUTO_TEST_CASE(open_loop_counts_from_when_a_request_was_due) {
  Running r(1);
  LoadOptions o;
  o.port = r.server.port();
  o.requests = {json_request("slow", 1)};
  o.connections = 1;  // the model takes 0.3 ms, so one connection carries 3,000 a second at most
  o.rate = 6000;
  o.poisson = false;
  o.warm_up = 0;
  o.seconds = 0.5;
  const LoadResult open = run_load(o);
  BOOST_TEST(open.unsent > 100);
  BOOST_TEST(open.latency.percentile(0.5) > 4 * open.service.percentile(0.5));
  BOOST_TEST(open.latency.count() == open.unsent + open.service.count());
}

BOOST_AUTO_TEST_CASE(generator_options_are_checked) {
  BareServer bare("{}");
  LoadOptions good;
  good.port = bare.port();
  good.requests = {get_request("/")};
  good.requests_limit = 50;
  good.warm_up = 0;
  const LoadResult result = run_load(good);
  BOOST_TEST(result.answers == 50);
  BOOST_TEST(result.first_answer == "{}");
  good.keep_alive = false;
  good.threads = 2;
  BOOST_TEST(run_load(good).answers == 50);
  const auto refused = [&](auto change) {
    LoadOptions o = good;
    change(o);
    BOOST_CHECK_THROW(run_load(o), maas::Error);
  };
  refused([](LoadOptions& o) { o.requests.clear(); });
  refused([](LoadOptions& o) { o.connections = 0; });
  refused([](LoadOptions& o) { o.rate = -1; });
  refused([](LoadOptions& o) { o.seconds = 0; });
  refused([](LoadOptions& o) { o.cancel = 2; });
  refused([](LoadOptions& o) { o.port = 0; });
  refused([](LoadOptions& o) { o.host = "192.0.2.1"; });
}
