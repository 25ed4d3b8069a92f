#include "core/kernel.h"

#include <cstdlib>
#include <cstring>
#include <mutex>
#include <vector>

namespace maas {
namespace {
// Filled while the CUDA library is loaded, read by every plan.
struct CudaTables {
  std::mutex mutex;
  std::vector<KernelTable> list;
};
CudaTables& tables() {
  static auto* const all = new CudaTables;
  return *all;
}
}  // namespace

bool unverified_allowed() {
  static const bool allowed = [] {
    const char* v = std::getenv("MAAS_UNVERIFIED");
    return v && std::strcmp(v, "1") == 0;
  }();
  return allowed;
}

KernelTable cuda_kernels(const char* table) {
  std::lock_guard guard(tables().mutex);
  for (const KernelTable& t : tables().list)
    if (std::strcmp(t.name, table) == 0) return t;
  return {nullptr, 0, table};
}

void register_cuda_kernels(const KernelTable& rows) {
  std::lock_guard guard(tables().mutex);
  tables().list.push_back(rows);
}

}  // namespace maas
