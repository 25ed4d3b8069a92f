// The server: listener, I/O threads and models behind one object. Nothing of Boost leaks through this header.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/export.h"
#include "serving/access.h"
#include "serving/batcher.h"
#include "serving/servable.h"

namespace maas::serving {

class ModelStore;
class Tls;
class ImageDecoder;
struct GrpcAnswer;
struct GrpcClient;

struct ServerOptions {
  std::string host = "127.0.0.1";  // an IP address or "localhost"
  int port = 8000;                 // 0: a free port, see Server::port
  int io_threads = 1;              // more made it slower wherever client and server share the cores
  size_t max_body_bytes = size_t{64} << 20;
  int64_t max_total_body_bytes = int64_t{1} << 30;  // of all requests being received; more get 503
  size_t max_header_bytes = size_t{16} << 10;
  size_t max_header_fields = 100;
  size_t max_url_bytes = size_t{8} << 10;
  size_t max_chunks = 65536;
  int64_t max_connections = 4096;
  std::string tls_cert, tls_key;        // PEM files; empty: plain HTTP. The key may be in the certificate's file
  std::string client_ca;                // PEM file of the authorities whose certificates clients need; empty: none
  std::string access_log;               // file of a line for each request, "-" for the standard output; empty: none
  std::string keys_file;                // of `maas keys`; empty: no keys are asked for
  bool insecure_no_auth = false;        // listen where other machines reach it although no keys are asked for
  int64_t max_in_flight_per_key = 256;  // more get 429
  double header_timeout = 10, idle_timeout = 60, request_timeout = 60, drain_timeout = 30;  // seconds
};

class MAAS_API Server {
 public:
  explicit Server(ServerOptions options);
  ~Server();
  void add_model(std::shared_ptr<Servable> servable, const BatcherOptions& options);  // before start
  void set_model_store(std::shared_ptr<ModelStore> store, bool may_change);           // before start
  void set_image_decoder(std::shared_ptr<ImageDecoder> decoder);                      // before start
  void start();  // binds and returns; throws maas::Error if it cannot listen
  // At any time: load warms up first, then swaps; requests on the way end with the model they found.
  void load_model(std::shared_ptr<Servable> servable, const BatcherOptions& options);
  bool unload_model(const std::string& name);
  std::vector<std::string> models() const;
  int port() const;  // the bound port
  Access& access();
  // Reads keys and certificates again now, rather than when they are seen to have changed, and opens the access log
  // again. Throws what is wrong with one of them, which stays as it was; the others are read.
  void reload();
  // Of the running server; null without TLS.
  const Tls* tls() const;
  // One request of the management listener: `route` is the name of a route, `decision` what Access said of it.
  // (status, header lines, content type, body).
  std::tuple<int, std::string, std::string, std::string> manage(std::string_view route, const std::string& model,
                                                                std::string_view body, const Decision& decision);
  // One call of gRPC, and the check before it, as in Service.
  GrpcAnswer grpc(std::string_view method, std::string_view message, const GrpcClient& client);
  GrpcAnswer grpc_admits(std::string_view method, const GrpcClient& client);
  void stop();                      // drains: stops accepting, answers what is in flight, ends the threads. Idempotent
  bool wait(double seconds) const;  // true once the server has stopped; negative waits for ever

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace maas::serving
