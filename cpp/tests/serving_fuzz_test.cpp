// The server on requests that were changed at random: over its sockets, and the readers of bodies alone.
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>

#include "serving/content_coding.h"
#include "serving/grpc_service.h"
#include "serving/server.h"
#include "serving/service.h"
#include "tests/affine_servable.h"
#include "tests/fuzz.h"

using namespace maas::serving;
using maas::fuzz::fuzz;

namespace {

std::string row(const char* text, int n) {
  std::string out = "[";
  for (int i = 0; i < n; ++i) out += (i ? "," : "") + std::string(text);
  return out + "]";
}

std::string body(const std::string& data, const char* shape = "[1,16]") {
  return R"({"id":"a","inputs":[{"name":"x","datatype":"FP32","shape":)" + std::string(shape) + R"(,"data":)" + data +
         R"(}],"outputs":[{"name":"y"}],"parameters":{"timeout":1000000}})";
}

const std::string kBinaryHead =
    R"({"inputs":[{"name":"x","datatype":"FP32","shape":[1,16],"parameters":{"binary_data_size":64}}],)"
    R"("outputs":[{"name":"y","parameters":{"binary_data":true}}]})";

std::string post(const std::string& data, const std::string& lines = "") {
  return "POST /v2/models/affine/infer HTTP/1.1\r\nHost: a\r\n" + lines +
         "Content-Length: " + std::to_string(data.size()) + "\r\n\r\n" + data;
}

const std::vector<std::string> kWords = {"\r\n",
                                         "\r\n\r\n",
                                         "\n",
                                         "\r",
                                         ":",
                                         " ",
                                         "\t",
                                         std::string(1, 0),
                                         ",",
                                         "HTTP/1.0",
                                         "HTTP/1.1",
                                         "HTTP/2",
                                         "GET ",
                                         "HEAD ",
                                         "POST ",
                                         "Content-Length: 5\r\n",
                                         "Transfer-Encoding: chunked\r\n",
                                         "Connection: close\r\n",
                                         "Expect: 100-continue\r\n",
                                         "Inference-Header-Content-Length: 10\r\n",
                                         "Content-Encoding: gzip\r\n",
                                         "/v2/models/affine",
                                         "/versions/1",
                                         "%2e",
                                         "?a=b",
                                         "0\r\n\r\n",
                                         "ffffffffffffffff\r\n",
                                         ";ext=\"a\"",
                                         "{",
                                         "}",
                                         "[",
                                         "]",
                                         "\"",
                                         "\\u0000",
                                         "\"FP64\"",
                                         "\"BYTES\"",
                                         "\"INT8\"",
                                         "\"BOOL\"",
                                         "NaN",
                                         "Infinity",
                                         "-1",
                                         "1e39",
                                         "null",
                                         "\"binary_data_size\":",
                                         "\"shape\":",
                                         "\"data\":",
                                         "\"outputs\":",
                                         "\"classification\":",
                                         "\xff",
                                         "\xc3\xa9"};

// Everything that comes back until the server closes, or what it says to two requests on one connection.
std::string exchange(int port, const std::string& bytes, size_t cut) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval limit{5, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(port));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  BOOST_REQUIRE(connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0);
  // The server may have answered and closed before all of it is out.
  for (size_t at = 0, n; at < bytes.size(); at += n) {
    n = at == 0 ? std::min(cut, bytes.size()) : bytes.size() - at;
    const ssize_t sent = send(fd, bytes.data() + at, n, MSG_NOSIGNAL);
    if (sent <= 0) break;
    n = static_cast<size_t>(sent);
  }
  shutdown(fd, SHUT_WR);
  std::string answer;
  char buffer[4096];
  ssize_t n;
  while ((n = recv(fd, buffer, sizeof buffer, 0)) > 0) answer.append(buffer, static_cast<size_t>(n));
  const bool late = n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
  close(fd);
  BOOST_REQUIRE_MESSAGE(!late, "no answer and no end after 5 s");
  return answer;
}

// Takes the answer of a run on the worker thread, and wants none of it.
struct Nobody final : Waiter {
  void job_done(std::shared_ptr<Pending> request) noexcept override { request->drop(); }
};

}  // namespace

BOOST_AUTO_TEST_CASE(requests_over_sockets) {
  ServerOptions options;
  options.port = 0;
  options.max_body_bytes = 1 << 20;
  Server server(options);
  server.add_model(std::make_shared<AffineServable>(), {});
  server.start();
  const std::string data = body(row("0.5", 16));
  const std::string good = "HTTP/1.1 200 OK\r\n";
  const std::string chunked = "POST /v2/models/affine/infer HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::string size = [&] {
    char text[20];
    std::snprintf(text, sizeof text, "%zx\r\n", data.size());
    return std::string(text);
  }();
  std::vector<std::string> corpus = {
      post(data),
      post(kBinaryHead + std::string(64, '\0'),
           "Inference-Header-Content-Length: " + std::to_string(kBinaryHead.size()) + "\r\n"),
      post(data, "Expect: 100-continue\r\n"),
      chunked + size + data + "\r\n0\r\n\r\n",
      post(data) + "GET /v2/health/ready HTTP/1.1\r\nHost: a\r\n\r\n" + post(data, "Connection: close\r\n"),
      "GET /v2/models/affine/versions/1 HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n",
      "HEAD /metrics HTTP/1.0\r\n\r\n",
  };
  for (const auto& s : corpus) BOOST_REQUIRE(exchange(server.port(), s, 50).starts_with("HTTP/1.1 "));
  size_t cut = 1;
  const auto outcomes = fuzz(corpus, kWords, [&](const std::string& s) {
    cut = cut * 31 % 1009;
    const std::string answer = exchange(server.port(), s, 1 + cut);
    BOOST_REQUIRE(answer.empty() || answer.starts_with("HTTP/1."));
    // The status and the error stand for the outcome.
    const size_t error = answer.find("{\"error\"");
    return answer.substr(0, 12) + (error == std::string::npos ? "" : answer.substr(error, 60));
  });
  BOOST_TEST(outcomes.size() > 10u);
  BOOST_TEST(exchange(server.port(), post(data), 7).starts_with(good));
  server.stop();
}

BOOST_AUTO_TEST_CASE(bodies) {
  Service service(std::chrono::seconds(60));
  service.add_model(std::make_shared<AffineServable>(), {});
  const auto waiter = std::make_shared<Nobody>();
  std::vector<std::string> corpus = {
      body(row("-1.25e-3", 16)), body(row(row("7", 16).c_str(), 2), "[2,16]"),
      body("[NaN,Infinity,-Infinity,1,2,3,4,5,6,7,8,9,10,11,12,13]"),
      R"({"inputs":[{"data":)" + row("1", 16) + R"(,"shape":[1,16],"name":"x","datatype":"FP32"}]})", kBinaryHead};
  const auto outcomes = fuzz(corpus, kWords, [&](const std::string& s) {
    Request request;
    request.method = "POST";
    request.target = "/v2/models/affine/infer";
    std::string whole = s;
    if (s.find("binary") != std::string::npos) {
      request.json_length = std::to_string(s.size());
      whole += std::string(64, '\x3f');
    }
    request.body = whole;
    request.arrived = Clock::now();
    Response response;
    if (service.handle(request, response, waiter)) return std::string("later");
    BOOST_REQUIRE((response.status == 200 || (response.status >= 400 && response.status < 500)));
    return std::to_string(response.status / 100) + (response.status == 200 ? "" : response.body.substr(0, 60));
  });
  BOOST_TEST(outcomes.size() > 10u);
  const auto begin = Clock::now();
  service.stop(std::chrono::seconds(30));
  BOOST_TEST(((Clock::now() - begin) < std::chrono::seconds(30)), "a refused body still holds its rows");
}

BOOST_AUTO_TEST_CASE(tfs_bodies) {
  Service service(std::chrono::seconds(60));
  service.add_model(std::make_shared<AffineServable>(), {});
  const auto waiter = std::make_shared<Nobody>();
  const std::string x = row("0.5", 16);
  const std::vector<std::string> corpus = {
      R"({"signature_name":"serving_default","instances":[)" + x + "," + x + "]}",
      R"({"instances":[{"x":)" + x + R"(},{"x":)" + x + "}]}",
      R"({"inputs":{"x":[)" + x + R"(],"other":{"b64":"YQ=="}}})",
      R"({"inputs":[)" + x + "]}",
      R"({"context":{"z":[1,"a"]},"examples":[{"x":)" + x + R"(,"y":{"b64":"YWI="}}]})",
      R"({"instances":[{"b64":"YQ=="}]})"};
  std::vector<std::string> words = kWords;
  for (const char* w :
       {"\"instances\":", "\"inputs\":", "\"examples\":", "\"context\":", "{\"b64\":\"YQ==\"}", "[[", "]]", "\"x\":"})
    words.emplace_back(w);
  size_t n = 0;
  const auto outcomes = fuzz(corpus, words, [&](const std::string& s) {
    constexpr const char* kVerbs[] = {":predict", ":classify", ":regress"};
    const std::string target = std::string("/v1/models/affine") + kVerbs[n++ % 3];
    Request request;
    request.method = "POST";
    request.target = target;
    request.body = s;
    request.arrived = Clock::now();
    Response response;
    if (service.handle(request, response, waiter)) return std::string("later");
    BOOST_REQUIRE((response.status == 200 || (response.status >= 400 && response.status < 500)));
    return target.substr(18, 1) + (response.status == 200 ? "" : response.body.substr(0, 60));
  });
  BOOST_TEST(outcomes.size() > 10u);
}

BOOST_AUTO_TEST_CASE(compressed_bodies) {
  std::vector<std::string> corpus;
  for (const size_t size : {600, 5000}) {
    for (const Coding coding : {Coding::gzip, Coding::deflate}) {
      Response response;
      for (size_t i = 0; i < size; ++i) response.body += static_cast<char>('a' + i * i % 7);
      encode_body(response, coding);
      BOOST_REQUIRE(!response.headers.empty());
      corpus.push_back(response.body);
    }
  }
  size_t good = 0;
  const auto outcomes = fuzz(corpus, kWords, [&](const std::string& s) {
    std::string all;
    for (const char* coding : {"gzip", "deflate"}) {
      Request request;
      request.body = s;
      request.content_encoding = coding;
      request.max_body = 1 << 16;
      const PlainBody plain(request);
      BOOST_REQUIRE(plain.body.size() <= request.max_body);
      good += plain.status == 0;
      all += plain.status == 0 ? "good" : plain.problem;
    }
    return all;
  });
  BOOST_TEST(outcomes.size() > 1u);
  BOOST_TEST(good > 0u);
  for (const std::string& s : corpus) {
    Request request;
    request.body = s;
    request.content_encoding = s[0] == '\x1f' ? "gzip" : "deflate";
    const PlainBody plain(request);
    BOOST_TEST(plain.status == 0);
    BOOST_TEST((plain.body.size() == 600 || plain.body.size() == 5000));
  }
}

BOOST_AUTO_TEST_CASE(grpc_messages) {
  Service service(std::chrono::seconds(60));
  service.add_model(std::make_shared<AffineServable>(), {});
  service.set_ready(true);
  const auto text = [](uint32_t field, const std::string& s) {
    return std::string(1, static_cast<char>(field << 3 | 2)) + static_cast<char>(s.size()) + s;
  };
  const std::string tensor = text(1, "x") + text(2, "FP32") + text(3, "\x01\x10");
  const std::string raw(64, '\x3f');
  const std::vector<std::string> corpus = {
      text(1, "affine") + text(3, "id") + text(5, tensor) + text(6, text(1, "y")) + text(7, raw),
      text(1, "affine") + text(2, "1") + text(5, tensor + text(5, text(6, raw))),
      text(1, "affine") + text(4, text(1, "timeout") + text(2, "\x10\x7f")) + text(5, tensor) + text(7, raw)};
  const auto outcomes = fuzz(corpus, kWords, [&](const std::string& s) {
    std::string all;
    for (const char* method : {"ModelInfer", "ModelStreamInfer", "ModelStatistics", "RepositoryIndex", "HealthCheck"}) {
      const GrpcAnswer a = service.grpc(method, s, {});
      BOOST_REQUIRE((a.code != GrpcCode::internal && a.code != GrpcCode::unavailable));
      all += std::to_string(static_cast<int>(a.code)) + a.message.substr(0, 40);
    }
    return all;
  });
  BOOST_TEST(outcomes.size() > 10u);
  const GrpcAnswer a = service.grpc("ModelInfer", corpus[0], {});
  BOOST_TEST((a.code == GrpcCode::ok && !a.body.empty()));
}
