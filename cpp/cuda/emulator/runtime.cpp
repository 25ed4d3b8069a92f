// The device, its limits and errors, launches.
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>

#include "core/error.h"
#include "cuda/emulator/collectives.h"
#include "cuda/emulator/emulator.h"

namespace maas::cuda::emulator {
namespace {

struct Errors {
  cudaError_t last = cudaSuccess;    // for cudaGetLastError
  cudaError_t device = cudaSuccess;  // of a kernel: stays
  std::string detail, device_detail;
};
Errors& errors() {
  static auto* const e = new Errors;
  return *e;
}
std::map<const void*, size_t>& most_shared() {
  static auto* const m = new std::map<const void*, size_t>;
  return *m;
}
int device_count() {
  const char* const v = std::getenv("MAAS_EMULATOR_DEVICES");
  return v ? std::atoi(v) : 1;
}

void run(const KernelLaunch& launch) {
  if (device_error() != cudaSuccess) return;
  const KernelResult r = run_grid(launch);
  if (r.error != cudaSuccess) {
    set_device_error(r.error, maas::text(r.what, ", in ", kernel_name(launch.kernel)));
    return;
  }
  if (allocation_count() <= 64) check_guards([&] { return kernel_name(launch.kernel); });
}

}  // namespace

std::recursive_mutex& lock() {
  static auto* const m = new std::recursive_mutex;
  return *m;
}
cudaError_t failed(cudaError_t error, const std::string& detail) {
  std::lock_guard guard(lock());
  errors().last = error;
  errors().detail = detail;
  return error;
}
cudaError_t device_error() { return errors().device; }
void set_device_error(cudaError_t error, const std::string& detail) {
  if (errors().device != cudaSuccess) return;
  errors().device = error;
  errors().device_detail = detail;
}
void clear_device_error() { errors() = {}; }
std::string detail() {
  std::lock_guard guard(lock());
  return errors().device != cudaSuccess ? errors().device_detail : errors().detail;
}

cudaError_t launch(KernelLaunch l) {
  std::lock_guard guard(lock());
  if (device_error() != cudaSuccess) return failed(device_error());
  const auto threads = static_cast<uint64_t>(l.block.x) * l.block.y * l.block.z;
  const auto name = [&] { return kernel_name(l.kernel); };
  if (threads == 0 || threads > kMaxThreads || l.block.z > 64)
    return failed(cudaErrorInvalidConfiguration, maas::text(name(), ": ", threads, " threads in a block"));
  if (l.grid.x == 0 || l.grid.y == 0 || l.grid.z == 0 || l.grid.x > 0x7fffffffu || l.grid.y > 65535 || l.grid.z > 65535)
    return failed(cudaErrorInvalidConfiguration,
                  maas::text(name(), ": a grid of ", l.grid.x, " x ", l.grid.y, " x ", l.grid.z));
  const auto most = most_shared().find(l.kernel);
  if (l.shared > kSharedPerBlock ||
      (l.shared > kSharedDefault && (most == most_shared().end() || l.shared > most->second)))
    return failed(cudaErrorInvalidValue, maas::text(name(), ": ", l.shared, " bytes of dynamic shared memory"));
  const cudaStream_t stream = l.stream;
  enqueue(stream, [l = std::move(l)] { run(l); });
  return cudaSuccess;
}

}  // namespace maas::cuda::emulator

using namespace maas::cuda::emulator;

extern "C" {

cudaError_t cudaGetLastError() {
  std::lock_guard guard(lock());
  if (device_error() != cudaSuccess) return device_error();
  return std::exchange(errors().last, cudaSuccess);
}
cudaError_t cudaPeekAtLastError() { return device_error() != cudaSuccess ? device_error() : errors().last; }
const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
#define MAAS_NAME(e) \
  case e:            \
    return #e;
    MAAS_NAME(cudaSuccess)
    MAAS_NAME(cudaErrorInvalidValue)
    MAAS_NAME(cudaErrorMemoryAllocation)
    MAAS_NAME(cudaErrorInvalidConfiguration)
    MAAS_NAME(cudaErrorInvalidDevice)
    MAAS_NAME(cudaErrorNoDevice)
    MAAS_NAME(cudaErrorInvalidResourceHandle)
    MAAS_NAME(cudaErrorIllegalState)
    MAAS_NAME(cudaErrorNotReady)
    MAAS_NAME(cudaErrorIllegalAddress)
    MAAS_NAME(cudaErrorMisalignedAddress)
    MAAS_NAME(cudaErrorLaunchFailure)
    MAAS_NAME(cudaErrorLaunchTimeout)
    MAAS_NAME(cudaErrorNotSupported)
    MAAS_NAME(cudaErrorStreamCaptureUnsupported)
    MAAS_NAME(cudaErrorStreamCaptureIsolation)
    MAAS_NAME(cudaErrorStreamCaptureMerge)
    MAAS_NAME(cudaErrorStreamCaptureUnmatched)
    MAAS_NAME(cudaErrorCapturedEvent)
    MAAS_NAME(cudaErrorInvalidPitchValue)
    MAAS_NAME(cudaErrorGraphExecUpdateFailure)
#undef MAAS_NAME
    default:
      return "cudaErrorUnknown";
  }
}
const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "no error";
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorIllegalAddress:
      return "an illegal memory access was encountered";
    case cudaErrorInvalidValue:
      return "invalid argument";
    case cudaErrorInvalidConfiguration:
      return "invalid configuration argument";
    case cudaErrorMisalignedAddress:
      return "misaligned address";
    case cudaErrorStreamCaptureUnsupported:
      return "operation not permitted when stream is capturing";
    default:
      return cudaGetErrorName(error);
  }
}

cudaError_t cudaGetDeviceCount(int* count) {
  *count = device_count();
  return *count > 0 ? cudaSuccess : failed(cudaErrorNoDevice);
}
cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return device_count() > 0 ? cudaSuccess : failed(cudaErrorNoDevice);
}
cudaError_t cudaSetDevice(int device) {
  if (device_count() == 0) return failed(cudaErrorNoDevice);
  return device >= 0 && device < device_count() ? cudaSuccess : failed(cudaErrorInvalidDevice);
}
cudaError_t cudaDeviceReset() {
  run_all();
  clear_device_error();
  return cudaSuccess;
}
cudaError_t cudaDeviceSetLimit(cudaLimit, size_t) { return cudaSuccess; }
cudaError_t cudaSetDeviceFlags(unsigned) { return cudaSuccess; }
cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
  *least = 0;
  *greatest = -5;
  return cudaSuccess;
}
cudaError_t cudaDeviceCanAccessPeer(int* can, int, int) {
  *can = 0;
  return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int device) {
  if (device < 0 || device >= device_count()) return failed(cudaErrorInvalidDevice);
  std::memset(p, 0, sizeof *p);
  std::strcpy(p->name, "emulated sm_90");
  size_t free_bytes = 0;
  cudaMemGetInfo(&free_bytes, &p->totalGlobalMem);
  p->major = 9;
  p->multiProcessorCount = 132;
  p->warpSize = 32;
  p->maxThreadsPerBlock = static_cast<int>(kMaxThreads);
  p->maxThreadsDim[0] = p->maxThreadsDim[1] = 1024;
  p->maxThreadsDim[2] = 64;
  p->maxGridSize[0] = 0x7fffffff;
  p->maxGridSize[1] = p->maxGridSize[2] = 65535;
  p->sharedMemPerBlock = kSharedDefault;
  p->sharedMemPerBlockOptin = kSharedPerBlock;
  p->sharedMemPerMultiprocessor = 228 * 1024;
  p->reservedSharedMemPerBlock = 1024;
  p->regsPerBlock = p->regsPerMultiprocessor = 65536;
  p->maxThreadsPerMultiProcessor = 2048;
  p->maxBlocksPerMultiProcessor = 32;
  p->l2CacheSize = 50 << 20;
  p->memoryBusWidth = 5120;
  p->asyncEngineCount = 3;
  p->concurrentKernels = p->unifiedAddressing = p->cooperativeLaunch = p->canMapHostMemory = 1;
  p->memoryPoolsSupported = 1;
  p->textureAlignment = 512;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  cudaDeviceProp p;
  if (const cudaError_t e = cudaGetDeviceProperties(&p, device); e != cudaSuccess) return e;
  switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock:
      *value = p.maxThreadsPerBlock;
      return cudaSuccess;
    case cudaDevAttrMultiProcessorCount:
      *value = p.multiProcessorCount;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMajor:
      *value = p.major;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor:
      *value = p.minor;
      return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlock:
      *value = static_cast<int>(p.sharedMemPerBlock);
      return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = static_cast<int>(p.sharedMemPerBlockOptin);
      return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
      *value = static_cast<int>(p.sharedMemPerMultiprocessor);
      return cudaSuccess;
    case cudaDevAttrWarpSize:
      *value = 32;
      return cudaSuccess;
    case cudaDevAttrL2CacheSize:
      *value = p.l2CacheSize;
      return cudaSuccess;
    case cudaDevAttrMaxThreadsPerMultiProcessor:
      *value = p.maxThreadsPerMultiProcessor;
      return cudaSuccess;
    case cudaDevAttrMemoryPoolsSupported:
    case cudaDevAttrConcurrentKernels:
    case cudaDevAttrUnifiedAddressing:
      *value = 1;
      return cudaSuccess;
    case cudaDevAttrCooperativeLaunch:
    case cudaDevAttrIntegrated:
    case cudaDevAttrManagedMemory:
      *value = 0;
      return cudaSuccess;
    default:
      return failed(cudaErrorInvalidValue, maas::text("emulator: device attribute ", static_cast<int>(attribute)));
  }
}

cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute attribute, int value) {
  std::lock_guard guard(lock());
  if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) return cudaSuccess;
  if (value < 0 || static_cast<size_t>(value) > kSharedPerBlock)
    return failed(cudaErrorInvalidValue,
                  maas::text(kernel_name(kernel), ": ", value, " bytes of dynamic shared memory"));
  most_shared()[kernel] = static_cast<size_t>(value);
  return cudaSuccess;
}
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* out, const void*) {
  *out = {};
  out->maxThreadsPerBlock = static_cast<int>(kMaxThreads);
  out->numRegs = 64;
  out->ptxVersion = out->binaryVersion = 90;
  out->maxDynamicSharedSizeBytes = static_cast<int>(kSharedPerBlock);
  return cudaSuccess;
}
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void*, int threads, size_t shared) {
  const int by_threads = 2048 / (threads > 0 ? threads : 1);
  const int by_shared = static_cast<int>(228 * 1024 / (shared + 1024));
  *blocks = by_threads < by_shared ? by_threads : by_shared;
  return cudaSuccess;
}
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks, const void* kernel, int threads,
                                                                   size_t shared, unsigned) {
  return cudaOccupancyMaxActiveBlocksPerMultiprocessor(blocks, kernel, threads, shared);
}

cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t* pool, int) {
  *pool = nullptr;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetMemPool(cudaMemPool_t* pool, int device) { return cudaDeviceGetDefaultMemPool(pool, device); }
cudaError_t cudaMemPoolTrimTo(cudaMemPool_t, size_t) { return cudaSuccess; }
// No driver.
cudaError_t cudaGetDriverEntryPointByVersion(const char*, void** function, unsigned, unsigned long long,
                                             cudaDriverEntryPointQueryResult* status) {
  *function = nullptr;
  if (status) *status = cudaDriverEntryPointSymbolNotFound;
  return cudaSuccess;
}
cudaError_t cudaGetDriverEntryPoint(const char* name, void** function, unsigned long long flags,
                                    cudaDriverEntryPointQueryResult* status) {
  return cudaGetDriverEntryPointByVersion(name, function, CUDART_VERSION, flags, status);
}

// What gcc calls for -fsanitize=alignment,bounds: kernels are compiled so, and faults name the line.
struct UbsanLocation {
  const char* file;
  unsigned line, column;
};
static void ubsan(const UbsanLocation& at, cudaError_t error, const char* what) {
  fault(error, maas::text(what, " at ", at.file, ":", at.line, ":", at.column).c_str());
}
__attribute__((visibility("hidden"))) void __ubsan_handle_type_mismatch_v1(const UbsanLocation* data, uintptr_t) {
  ubsan(*data, cudaErrorMisalignedAddress, "an address that is not aligned to its type, or null,");
}
__attribute__((visibility("hidden"))) void __ubsan_handle_out_of_bounds(const UbsanLocation* data, uintptr_t) {
  ubsan(*data, cudaErrorIllegalAddress, "an index outside of an array");
}

}  // extern "C"
