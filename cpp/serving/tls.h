// The certificate of a server: read from files, read again when they change.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>

#include "core/export.h"
#include "serving/tls_api.h"

namespace maas::serving {

struct TlsFiles {
  std::string cert, key, client_ca;  // key: empty if it is in the file of the certificate
};

class MAAS_API Tls {
 public:
  // Throws Error(value) for files that hold no such things, Error(runtime) if one cannot be read, and
  // Error(not_implemented) without OpenSSL.
  explicit Tls(TlsFiles files);

  std::shared_ptr<TlsContext> context() const;
  TlsPem pem() const;
  // Raised by every change. A connection of an older one ends if clients need certificates: its own may be revoked.
  uint64_t generation() const { return generation_.load(std::memory_order_relaxed); }
  bool asks_clients() const { return !files_.client_ca.empty(); }

  void reload();            // throws as the constructor; what was there stays
  void refresh() noexcept;  // reads the files again if they have changed. Errors go to stderr

 private:
  std::string stamp() const;
  void load();

  const TlsFiles files_;
  std::atomic<uint64_t> generation_{0};
  std::mutex reading_;  // held from the stamp until the files are in use, so that old ones never replace newer ones
  std::string stamp_;
  mutable std::mutex mutex_;  // guards what follows
  std::shared_ptr<TlsContext> context_;
  TlsPem pem_;
};

// Version of the OpenSSL that is loaded, such as "OpenSSL 3.0.15 ...". Throws Error(not_implemented) without it.
MAAS_API std::string openssl_version();

}  // namespace maas::serving
