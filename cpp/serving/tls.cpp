#include "serving/tls.h"

#include <dlfcn.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <fstream>

#include "core/error.h"
#include "core/version.h"
#include "serving/file_stamp.h"

namespace maas::serving {
namespace {

constexpr size_t kMaxPem = size_t{4} << 20;

const TlsApi& load_tls_api() {
  Dl_info info{};
  dladdr(reinterpret_cast<const void*>(&version), &info);
  const std::string self = info.dli_fname ? info.dli_fname : "";
  const std::string path = self.substr(0, self.find_last_of('/') + 1) + "libmaas_tls.so";
  if (access(path.c_str(), F_OK) != 0) {
    fail(ErrorKind::not_implemented,
         "TLS is not built in: install OpenSSL's headers (Debian: libssl-dev) and build maas again (MAAS_TLS=ON), "
         "received a request for TLS");
  }
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr)
    fail(ErrorKind::not_implemented, "TLS needs OpenSSL's libssl on this machine, received: ", dlerror());
  const auto get = reinterpret_cast<const TlsApi* (*)()>(dlsym(library, kTlsApiName));
  const TlsApi* api = get ? get() : nullptr;
  if (api == nullptr || std::strcmp(api->maas_version, MAAS_VERSION) != 0)
    fail(ErrorKind::not_implemented, "TLS: libmaas_tls.so must be version " MAAS_VERSION ", received ",
         api ? api->maas_version : "another library");
  return *api;
}

// A failure is not kept, so that a machine that is mended in between works.
const TlsApi& tls_api() {
  static const TlsApi& api = load_tls_api();
  return api;
}

std::string read_pem(const std::string& path, const char* what) {
  std::ifstream file(path, std::ios::binary);
  std::string text(kMaxPem + 1, '\0');
  if (file) file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!file.is_open() || file.bad() || file.gcount() == 0)
    fail(ErrorKind::runtime, "TLS: the ", what, " cannot be read, received '", path, "'");
  text.resize(static_cast<size_t>(file.gcount()));
  if (text.size() > kMaxPem) fail(ErrorKind::value, "TLS: the ", what, " is larger than 4 MiB, received '", path, "'");
  return text;
}

}  // namespace

Tls::Tls(TlsFiles files) : files_(std::move(files)) { reload(); }

std::shared_ptr<TlsContext> Tls::context() const {
  std::lock_guard lock(mutex_);
  return context_;
}

TlsPem Tls::pem() const {
  std::lock_guard lock(mutex_);
  return pem_;
}

std::string Tls::stamp() const {
  std::string all;
  for (const std::string* path : {&files_.cert, &files_.key, &files_.client_ca}) {
    if (!path->empty()) all += stamp_of(*path) + '/';
  }
  return all;
}

void Tls::load() {
  const std::string& key_file = files_.key.empty() ? files_.cert : files_.key;
  TlsPem pem;
  pem.cert = read_pem(files_.cert, "certificate");
  pem.key = read_pem(key_file, "key");
  if (asks_clients()) pem.client_ca = read_pem(files_.client_ca, "file of client authorities");
  std::string problem, warning;
  std::shared_ptr<TlsContext> made = tls_api().make(pem, problem, warning);
  if (!made)
    fail(ErrorKind::value, "TLS: ", problem, ", received '", files_.cert, "', '", key_file, "'",
         asks_clients() ? ", '" + files_.client_ca + "'" : std::string());
  struct stat s{};
  if (stat(key_file.c_str(), &s) == 0 && (s.st_mode & 077) != 0) {
    std::fprintf(stderr, "maas: warning: others may read the TLS key (mode %04o); chmod 600 '%s'\n",
                 static_cast<unsigned>(s.st_mode & 07777), key_file.c_str());
  }
  if (!warning.empty()) std::fprintf(stderr, "maas: warning: TLS: %s\n", warning.c_str());
  std::lock_guard lock(mutex_);
  context_ = std::move(made);
  pem_ = std::move(pem);
  generation_.fetch_add(1, std::memory_order_relaxed);
}

void Tls::reload() {
  std::lock_guard one(reading_);
  // The stamp comes first: a change while the files are read is seen as one more.
  const std::string now = stamp();
  load();
  stamp_ = now;
}

void Tls::refresh() noexcept {
  try {
    std::unique_lock one(reading_, std::try_to_lock);
    if (!one) return;  // another thread reads them; the next look finds what it has not seen
    std::string now = stamp();
    if (now == stamp_) return;
    stamp_ = std::move(now);  // files that do not fit together, such as the first new one of two, are said once
    load();
    std::fputs("maas: the TLS certificate was read again\n", stderr);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "maas: the TLS certificate stays as it was: %s\n", e.what());
  }
}

std::string openssl_version() { return tls_api().openssl_version(); }

}  // namespace maas::serving
