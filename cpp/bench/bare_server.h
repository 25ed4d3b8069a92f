// The least that Beast needs to answer HTTP: what a server costs that does nothing. The yardstick of the load
// generator.
#pragma once

#include <memory>
#include <string>

#include "core/export.h"

namespace maas::bench {

class MAAS_API BareServer {
 public:
  // Listens on a free port of 127.0.0.1 and answers every request with status 200 and `body`, on one thread.
  explicit BareServer(std::string body);
  ~BareServer();
  int port() const;
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace maas::bench
