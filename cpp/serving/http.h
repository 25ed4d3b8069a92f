// The listener and its connections, behind an interface without Asio so that only the http_*.cpp files pay for its
// headers.
#pragma once

#include <memory>

#include "serving/server.h"
#include "serving/service.h"
#include "serving/tls.h"

namespace maas::serving {

class HttpListener {
 public:
  virtual ~HttpListener() = default;
  virtual int port() const = 0;
  virtual void drain(Clock::duration limit) = 0;  // stops accepting; returns when connections are gone or at the limit
  virtual void stop() = 0;                        // closes what is left and ends the threads
};

// `tls` null: connections are plain.
std::unique_ptr<HttpListener> listen_http(const ServerOptions& options, Service& service, Tls* tls);

}  // namespace maas::serving
