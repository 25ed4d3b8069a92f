// The parts of the server without a socket: number reader and writer, router, head scan, batcher under threads.
#include <unistd.h>

#include <bit>
#include <boost/test/unit_test.hpp>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <random>
#include <thread>

#include "core/error.h"
#include "serving/access_log.h"
#include "serving/codec.h"
#include "serving/http_head.h"
#include "serving/images.h"
#include "serving/numbers.h"
#include "serving/server.h"
#include "serving/service.h"
#include "tests/affine_servable.h"

using namespace maas::serving;

namespace {

std::string written(float v) {
  std::string out;
  write_json_elements(out, Datatype::fp32, &v, 1);
  return out;
}

std::string request_for(const std::vector<float>& x, int64_t rows) {
  std::string out = R"({"inputs":[{"name":"x","datatype":"FP32","shape":[)" + std::to_string(rows) + ",16],\"data\":[";
  write_json_elements(out, Datatype::fp32, x.data(), static_cast<int64_t>(x.size()));
  return out + "]}]}";
}

std::string answer_for(const std::vector<float>& x, int64_t rows) {
  std::vector<float> y;
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < 4; ++j) y.push_back(AffineServable::expected(&x[static_cast<size_t>(i) * 16], j));
  }
  std::string out = R"({"model_name":"affine","model_version":"1","outputs":[{"name":"y","shape":[)" +
                    std::to_string(rows) + ",4],\"datatype\":\"FP32\",\"data\":[";
  write_json_elements(out, Datatype::fp32, y.data(), static_cast<int64_t>(y.size()));
  return out + "]}]}";
}

// Waits for answers that end on the worker thread.
struct Inbox final : Waiter {
  std::mutex mutex;
  std::condition_variable changed;
  std::shared_ptr<Pending> got;
  void job_done(std::shared_ptr<Pending> r) noexcept override {
    std::lock_guard lock(mutex);
    got = std::move(r);
    changed.notify_one();
  }
  std::shared_ptr<Pending> take() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return got != nullptr; });
    return std::move(got);
  }
};

Response ask(Service& service, const std::shared_ptr<Inbox>& inbox, const std::string& body) {
  Request request;
  request.method = "POST";
  request.target = "/v2/models/affine/infer";
  request.body = body;
  request.arrived = Clock::now();
  Response response;
  if (service.handle(request, response, inbox)) inbox->take()->render(response);
  return response;
}

}  // namespace

BOOST_AUTO_TEST_CASE(every_float_reads_back_to_its_bits) {
  std::mt19937 random(1);
  for (int i = 0; i < 200000; ++i) {
    const float v = std::bit_cast<float>(static_cast<uint32_t>(random()));
    float back = 0;
    BOOST_REQUIRE(parse_element<float>(written(v), &back) == Parsed::ok);
    if (std::isnan(v)) {
      BOOST_REQUIRE(std::isnan(back));
    } else {
      BOOST_REQUIRE_EQUAL(std::bit_cast<uint32_t>(back), std::bit_cast<uint32_t>(v));
    }
  }
  BOOST_TEST(written(-0.f) == "-0.0");
}

BOOST_AUTO_TEST_CASE(overflow_is_refused_and_underflow_is_not) {
  float f = 0;
  double d = 0;
  for (const char* s : {"1e39", "-1e39", "3.4028236e38", "1e400", "1000e398", "123456789e9999999999"}) {
    BOOST_TEST((parse_element<float>(s, &f) == Parsed::out_of_range), s);
  }
  BOOST_TEST((parse_element<double>("1e400", &d) == Parsed::out_of_range));
  BOOST_TEST((parse_element<double>("1" + std::string(400, '0'), &d) == Parsed::out_of_range));
  for (const char* s : {"1e-60", "0.000001e-60", "1e-400", "0e9999999999", "1e-9999999999", "0.0"}) {
    f = 1;
    BOOST_TEST((parse_element<float>(s, &f) == Parsed::ok), s);
    BOOST_TEST(f == 0.f, s);
  }
  BOOST_TEST((parse_element<double>("0." + std::string(400, '0') + "1e2", &d) == Parsed::ok));
  BOOST_TEST(d == 0.0);
  BOOST_TEST((parse_element<float>("-1e-400", &f) == Parsed::ok));
  BOOST_TEST(std::signbit(f));
  BOOST_TEST((parse_element<float>("1e-44", &f) == Parsed::ok));
  BOOST_TEST(f == 1e-44f);
  int8_t i = 0;
  BOOST_TEST((parse_element<int8_t>("127", &i) == Parsed::ok));
  BOOST_TEST((parse_element<int8_t>("128", &i) == Parsed::out_of_range));
  BOOST_TEST((parse_element<int8_t>("1.0", &i) == Parsed::not_a_value));
  BOOST_TEST((parse_element<int8_t>("1e1", &i) == Parsed::not_a_value));
}

BOOST_AUTO_TEST_CASE(one_path_has_one_spelling) {
  BOOST_TEST((match_route("/v2/models/a/infer?x=/b").id == RouteId::infer));
  BOOST_TEST(match_route("/v2/models/%61%2Db/versions/2/ready").model == "a-b");
  BOOST_TEST(match_route("/v2/models/%61/versions/2/ready").version == "2");
  for (const char* path :
       {"", "/v2/models/", "/v2//models", "/v2/models/a/", "//", "/V2", "/v2/models/a/infer/b", "/%762"}) {
    BOOST_TEST((match_route(path).id == RouteId::none), path);
  }
  for (const char* name : {"%2e%2e", "..", "%2525", "a%2fb", "%", "%0", "%00", "a%0d%0a", "%c0%ae"}) {
    BOOST_TEST(match_route(std::string("/v2/models/") + name).bad_name, name);
  }
}

BOOST_AUTO_TEST_CASE(a_head_is_found_at_every_cut) {
  const std::string head = "GET /v2?a=b HTTP/1.1\r\nHost: a\r\nX:\r\n\r\n";
  const HeadLimits limits{1000, 10, 100};
  for (size_t n = 0; n < head.size(); ++n) {
    const HeadScan r = scan_head(std::string_view(head).substr(0, n), limits);
    BOOST_TEST(r.size == 0u);
    BOOST_TEST(r.status == 0);
  }
  BOOST_TEST(scan_head(head + "rest", limits).size == head.size());
}

BOOST_AUTO_TEST_CASE(threads_get_their_own_answers) {
  for (const bool inline_runs : {true, false}) {
    auto model = std::make_shared<AffineServable>();
    model->allow_inline(inline_runs);
    Service service(std::chrono::seconds(60));
    BatcherOptions options;
    options.max_batch_size = 8;
    service.add_model(model, options);
    std::vector<std::thread> threads;
    std::atomic<int> wrong{0};
    for (unsigned t = 0; t < 6; ++t) {
      threads.emplace_back([&, t] {
        auto inbox = std::make_shared<Inbox>();
        std::mt19937 random(t);
        for (int i = 0; i < 500; ++i) {
          const int64_t rows = 1 + static_cast<int64_t>(random() % 8);
          std::vector<float> x(static_cast<size_t>(rows) * 16);
          for (float& v : x) v = static_cast<float>(random() % 1000) / 8;
          const std::string body = request_for(x, rows);
          // Some requests break off in the middle of their rows, which must leave no gap in the batch.
          if (random() % 4 == 0) {
            if (ask(service, inbox, body.substr(0, body.size() - 1 - random() % 20)).status != 400) ++wrong;
          }
          const Response r = ask(service, inbox, body);
          if (r.status != 200 || r.body != answer_for(x, rows)) ++wrong;
        }
      });
    }
    std::thread sweeper([&] {
      for (int i = 0; i < 100; ++i) {
        service.expire(Clock::now());
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    });
    for (auto& t : threads) t.join();
    sweeper.join();
    BOOST_TEST(wrong == 0);
    service.stop(std::chrono::seconds(5));
  }
}

BOOST_AUTO_TEST_CASE(deadlines_race_with_runs) {
  Service service(std::chrono::seconds(60));
  service.add_model(std::make_shared<AffineServable>(), [] {
    BatcherOptions o;
    o.max_queue_delay_us = 300;
    o.max_batch_size = 4;
    return o;
  }());
  std::atomic<int> answered{0}, late{0}, wrong{0};
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      auto inbox = std::make_shared<Inbox>();
      for (int i = 0; i < 300; ++i) {
        std::vector<float> x(16, static_cast<float>(t * 1000 + static_cast<unsigned>(i)));
        std::string body = request_for(x, 1);
        body.insert(1, "\"parameters\":{\"timeout\":" + std::to_string(1 + i % 400) + "},");
        const Response r = ask(service, inbox, body);
        if (r.status == 504) {
          ++late;
        } else if (r.status == 200 && r.body == answer_for(x, 1)) {
          ++answered;
        } else {
          ++wrong;
        }
      }
    });
  }
  for (int i = 0; i < 50; ++i) {
    service.expire(Clock::now());
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  for (auto& t : threads) t.join();
  BOOST_TEST(wrong == 0);
  BOOST_TEST(answered + late == 1200);
  BOOST_TEST(late > 0);
}

BOOST_AUTO_TEST_CASE(server_starts_and_stops) {
  for (int i = 0; i < 3; ++i) {
    ServerOptions options;
    options.port = 0;
    options.io_threads = 2;
    Server server(options);
    server.add_model(std::make_shared<AffineServable>(), {});
    server.start();
    BOOST_TEST(server.port() > 0);
    BOOST_CHECK_THROW(server.start(), maas::Error);
    server.stop();
    BOOST_TEST(server.wait(0));
  }
}

// ---- images and the access log: what threads of their own do

namespace {

// y = x, of one image of 2 x 2 pixels in RGB a row.
class MirrorServable final : public Servable {
 public:
  MirrorServable() {
    info_.name = "mirror";
    info_.inputs = {{"x", Datatype::uint8, {-1, 2, 2, 3}}};
    info_.outputs = {{"y", Datatype::uint8, {-1, 2, 2, 3}}};
  }
  const ModelInfo& info() const override { return info_; }
  std::unique_ptr<Batch> make_batch(int64_t capacity, const std::vector<Shape>&) override {
    auto b = std::make_unique<Memory>();
    b->x.resize(static_cast<size_t>(capacity) * 12);
    return b;
  }
  void run(Batch& batch, int64_t) override {
    auto& b = static_cast<Memory&>(batch);
    b.y = b.x;
  }

 private:
  struct Memory final : Batch {
    std::vector<uint8_t> x, y;
    void* input(size_t) override { return x.data(); }
    const void* output(size_t) const override { return y.data(); }
    Shape output_row_shape(size_t) const override { return {2, 2, 3}; }
  };
  ModelInfo info_;
};

// A file is its pixels.
struct PlainDecoder final : ImageDecoder {
  Pixels decode(std::string_view file, const ImageInput& input) override {
    // Boost.Test's own checks are for one thread.
    if (input.height != 2 || input.width != 2 || input.channels != 3) std::abort();
    if (file.size() != 12) throw maas::Error(maas::ErrorKind::value, "no image");
    return {2, 2, {file.begin(), file.end()}};
  }
};

struct Departed final : Waiter {
  void job_done(std::shared_ptr<Pending> request) noexcept override { request->drop(); }
};

}  // namespace

BOOST_AUTO_TEST_CASE(images_of_many_threads) {
  Service service(std::chrono::seconds(60));
  service.set_image_decoder(std::make_shared<PlainDecoder>());
  service.add_model(std::make_shared<MirrorServable>(), {});
  std::atomic<int> good{0}, bad{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 100; ++i) {
        // "BBBB" stands for the bytes 4 16 65.
        const bool broken = (i + t) % 5 == 0;
        const std::string image = broken ? R"({"b64":"BBBB"})" : R"({"b64":"BBBBBBBBBBBBBBBB"})";
        const std::string text =
            R"({"inputs":[{"name":"x","shape":[2],"datatype":"BYTES","data":[{"b64":"BBBBBBBBBBBBBBBB"},)" + image +
            "]}]}";
        Request request;
        request.method = "POST";
        request.target = "/v2/models/mirror/infer";
        request.body = text;
        request.arrived = Clock::now();
        Response response;
        if (i % 7 == 0) {  // the client goes at once
          service.handle(request, response, std::make_shared<Departed>());
          continue;
        }
        const auto inbox = std::make_shared<Inbox>();
        const auto pending = service.handle(request, response, inbox);
        if (pending) inbox->take()->render(response);
        if (response.status == 200 && response.body.find("[4,16,65,4,16,65") != std::string::npos) ++good;
        if (response.status == 400 && response.body == R"({"error":"no image"})") ++bad;
      }
    });
  }
  for (auto& t : threads) t.join();
  int asked = 0, broken = 0;
  for (int t = 0; t < 8; ++t) {
    for (int i = 0; i < 100; ++i) {
      if (i % 7 == 0) continue;
      ++asked;
      broken += (i + t) % 5 == 0;
    }
  }
  BOOST_TEST(good == asked - broken);
  BOOST_TEST(bad == broken);
  const auto begin = Clock::now();
  service.stop(std::chrono::seconds(30));
  BOOST_TEST(((Clock::now() - begin) < std::chrono::seconds(30)), "a request that ended is still counted");
}

namespace {

// Whose outputs nobody can be told, for want of memory.
class UntoldServable final : public Servable {
 public:
  UntoldServable() {
    info_.name = "untold";
    info_.inputs = {{"x", Datatype::fp32, {-1, 1}}};
    info_.outputs = {{"y", Datatype::fp32, {-1, 1}}};
  }
  const ModelInfo& info() const override { return info_; }
  bool may_run_inline() const override { return true; }
  std::unique_ptr<Batch> make_batch(int64_t capacity, const std::vector<Shape>&) override {
    auto b = std::make_unique<Memory>();
    b->x.resize(static_cast<size_t>(capacity));
    return b;
  }
  void run(Batch&, int64_t) override {}

 private:
  struct Memory final : Batch {
    std::vector<float> x;
    void* input(size_t) override { return x.data(); }
    const void* output(size_t) const override { return x.data(); }
    Shape output_row_shape(size_t) const override { throw std::bad_alloc(); }
  };
  ModelInfo info_;
};

}  // namespace

BOOST_AUTO_TEST_CASE(an_answer_without_memory_is_not_in_flight_for_ever) {
  Service service(std::chrono::seconds(60));
  service.add_model(std::make_shared<UntoldServable>(), {});
  for (int i = 0; i < 3; ++i) {
    Request request;
    request.method = "POST";
    request.target = "/v2/models/untold/infer";
    request.body = R"({"inputs":[{"name":"x","shape":[1,1],"datatype":"FP32","data":[1]}]})";
    request.arrived = Clock::now();
    Response response;
    const auto inbox = std::make_shared<Inbox>();
    try {
      if (const auto pending = service.handle(request, response, inbox)) inbox->take()->answer(response);
    } catch (const std::bad_alloc&) {
      response.error(500, "as the listener answers");
    }
    BOOST_TEST(response.status == 500);
  }
  const auto begin = Clock::now();
  service.stop(std::chrono::seconds(10));
  BOOST_TEST(((Clock::now() - begin) < std::chrono::seconds(5)), "a request that ended is still counted");
}

BOOST_AUTO_TEST_CASE(access_log_of_many_threads) {
  const std::string path = "access_log_" + std::to_string(getpid()) + ".test";
  LogMetrics metrics;
  {
    AccessLog log(path, metrics);
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 2000; ++i) {
          AccessRecord r;
          r.model = "m\n\"\x7f";
          log.add(std::move(r));
          if (i % 500 == 0) log.reopen();
        }
      });
    }
    for (auto& t : threads) t.join();
  }
  std::ifstream file(path);
  uint64_t lines = 0;
  for (std::string line; std::getline(file, line); ++lines)
    BOOST_REQUIRE(line.find(R"("model":"m\u000a\u0022\u007f")") != std::string::npos);
  std::remove(path.c_str());
  BOOST_TEST(lines == metrics.written.load());
  BOOST_TEST(lines + metrics.dropped.load() == 8000u);
  BOOST_TEST(metrics.failed.load() == 0u);
}
