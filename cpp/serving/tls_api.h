// What libmaas asks of the library that holds OpenSSL (cpp/serving/tls). That library is loaded when a certificate is
// given, so that everything else works on a machine without OpenSSL.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace maas::serving {

// The texts of the files, read at one moment.
struct TlsPem {
  std::string cert, key, client_ca;  // client_ca: certificates and revocation lists; empty: clients need no certificate
};

enum class TlsResult : uint8_t { ok, want_read, want_write, closed, failed };

// One connection. Reads and writes a non-blocking socket, which stays its caller's.
class TlsStream {
 public:
  virtual ~TlsStream() = default;
  virtual TlsResult handshake() = 0;
  virtual TlsResult read(char* data, size_t size, size_t& got) = 0;
  virtual TlsResult write(const char* data, size_t size, size_t& sent) = 0;
  virtual void say_end() noexcept = 0;  // tells the client that nothing more comes, if the socket takes it
};

// A certificate in use. Any thread may call it.
class TlsContext {
 public:
  virtual ~TlsContext() = default;
  virtual std::unique_ptr<TlsStream> accept(int socket) = 0;
  // Whether a client's certificates (PEM, its own first) are valid now under client_ca.
  virtual bool trusts(std::string_view pem) = 0;
};

struct TlsApi {
  const char* maas_version;
  std::string (*openssl_version)();
  // Null, and why, if the texts are not a certificate, its key and authorities. `warning`: what is odd but works.
  std::unique_ptr<TlsContext> (*make)(const TlsPem& pem, std::string& problem, std::string& warning);
};

inline constexpr const char* kTlsApiName = "maas_tls_api";  // const TlsApi* maas_tls_api()

}  // namespace maas::serving
