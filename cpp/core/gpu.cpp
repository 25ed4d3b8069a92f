#include "core/gpu.h"

#include <dlfcn.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <mutex>
#include <string>

#include "core/error.h"
#include "core/version.h"

namespace maas {
namespace {

GpuApi* g_registered = nullptr;
std::string g_version;
std::atomic<GpuApi*> g_api{nullptr};
pid_t g_owner = 0;

// MAAS_CUDA_LIBRARY names another file: tests build one for themselves.
std::string beside_this_library() {
  if (const char* path = std::getenv("MAAS_CUDA_LIBRARY")) return path;
  Dl_info info{};
  dladdr(reinterpret_cast<const void*>(&version), &info);
  const std::string path = info.dli_fname ? info.dli_fname : "";
  return path.substr(0, path.find_last_of('/') + 1) + "libmaas_cuda.so";
}

// Throws; nothing is kept of a failure, so that a machine that is mended in between works.
void load() {
  if (!g_registered) {
    const std::string path = beside_this_library();
    if (access(path.c_str(), F_OK) != 0)
      fail(ErrorKind::runtime,
           "no GPU: this build of maas has no CUDA library (build it with MAAS_CUDA=ON), received a request for one");
    if (!dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL))
      fail(ErrorKind::runtime, "no GPU: the CUDA library does not load, received: ", dlerror());
    if (!g_registered) fail(ErrorKind::runtime, "no GPU: the CUDA library did not register, received ", path);
  }
  if (g_version != version())
    fail(ErrorKind::runtime, "no GPU: the CUDA library must be version ", version(), ", received ", g_version);
  if (g_registered->count() == 0) fail(ErrorKind::runtime, "no GPU: the driver sees none, received 0 devices");
  g_owner = getpid();
  g_api.store(g_registered, std::memory_order_release);
}

}  // namespace

GpuApi& gpu() {
  GpuApi* api = g_api.load(std::memory_order_acquire);
  if (!api) {
    static std::mutex mutex;
    std::lock_guard guard(mutex);
    if (!(api = g_api.load(std::memory_order_acquire))) {
      load();
      api = g_api.load(std::memory_order_acquire);
    }
  }
  if (g_owner != getpid())
    fail(ErrorKind::runtime,
         "CUDA does not survive a fork: start worker processes with the 'spawn' method, received a call in a child");
  return *api;
}

std::string gpu_problem() {
  try {
    gpu();
    return "";
  } catch (const Error& e) {
    return e.what();
  }
}

void register_gpu(GpuApi* api, const char* of_version) {
  g_registered = api;
  g_version = of_version;
}

}  // namespace maas
