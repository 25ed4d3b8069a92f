// The server on requests that were changed at random: over its sockets, and the readers of bodies alone.
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>

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
