// Memory of the emulated GPU: the host's, poisoned, with guard bytes around each allocation.
#include <array>
#include <cstdlib>
#include <cstring>
#include <map>
#include <vector>

#include "core/error.h"
#include "cuda/emulator/emulator.h"

namespace maas::cuda::emulator {
namespace {

constexpr size_t kGuard = 512;           // before and after; keeps the 256-byte alignment of cudaMalloc
constexpr uint16_t kGuardWord = 0xfffe;  // NaN in all floating types

enum class Kind { device, host };
struct Allocation {
  Kind kind;
  size_t bytes;
  char* raw;
  size_t after;  // bytes of guard behind
};

struct Memory {
  std::map<char*, Allocation> all;
  size_t used = 0, most = 0;  // bytes of the GPU
};
Memory& memory() {
  static auto* const m = new Memory;
  return *m;
}

size_t total_memory() {
  static const size_t total = [] {
    const char* const megabytes = std::getenv("MAAS_EMULATOR_MEMORY_MB");
    return (megabytes ? std::strtoull(megabytes, nullptr, 10) : 8192) << 20;
  }();
  return total;
}

const char* guard_bytes() {
  static const auto* const bytes = [] {
    auto* const all = new std::array<uint16_t, (kGuard + 256) / 2>;
    all->fill(kGuardWord);
    return all;
  }();
  return reinterpret_cast<const char*>(bytes->data());
}
void fill_guard(char* p, size_t bytes) { std::memcpy(p, guard_bytes(), bytes); }
// Offset of the first byte that was written, or -1.
int64_t guard_damage(const char* p, size_t bytes) {
  if (std::memcmp(p, guard_bytes(), bytes) == 0) return -1;
  size_t i = 0;
  while (p[i] == guard_bytes()[i]) ++i;
  return static_cast<int64_t>(i);
}

std::string damage(char* p, const Allocation& a) {
  if (const int64_t at = guard_damage(a.raw, kGuard); at >= 0)
    return text("write ", static_cast<int64_t>(kGuard) - at, " bytes before an allocation of ", a.bytes, " bytes");
  if (const int64_t at = guard_damage(p + a.bytes, a.after); at >= 0)
    return text("write ", at, " bytes behind the end of an allocation of ", a.bytes, " bytes");
  return {};
}

cudaError_t allocate(void** out, size_t bytes, Kind kind) {
  std::lock_guard guard(lock());
  if (const cudaError_t e = device_error(); e != cudaSuccess) return failed(e);
  if (!out) return failed(cudaErrorInvalidValue);
  *out = nullptr;
  if (bytes == 0) return cudaSuccess;
  Memory& m = memory();
  if (kind == Kind::device && (bytes > total_memory() || m.used + bytes > total_memory()))
    return failed(cudaErrorMemoryAllocation);
  const size_t after = kGuard + (256 - bytes % 256) % 256;
  char* const raw = static_cast<char*>(std::aligned_alloc(256, kGuard + bytes + after));
  if (!raw) return failed(cudaErrorMemoryAllocation);
  char* const p = raw + kGuard;
  fill_guard(raw, kGuard);
  std::memset(p, kPoison, bytes);
  fill_guard(p + bytes, after);
  m.all[p] = {kind, bytes, raw, after};
  if (kind == Kind::device) {
    m.used += bytes;
    if (m.used > m.most) m.most = m.used;
  }
  *out = p;
  return cudaSuccess;
}

cudaError_t release(void* p, Kind kind) {
  std::lock_guard guard(lock());
  if (!p) return cudaSuccess;
  Memory& m = memory();
  const auto found = m.all.find(static_cast<char*>(p));
  if (found == m.all.end() || found->second.kind != kind) return failed(cudaErrorInvalidValue);
  const Allocation a = found->second;
  const std::string what = damage(found->first, a);
  m.all.erase(found);
  if (kind == Kind::device) m.used -= a.bytes;
  std::memset(p, kPoison, a.bytes < (1 << 20) ? a.bytes : 1 << 20);
  std::free(a.raw);
  if (!what.empty()) {
    set_device_error(cudaErrorIllegalAddress, what);
    return failed(cudaErrorIllegalAddress);
  }
  return device_error() == cudaSuccess ? cudaSuccess : failed(device_error());
}

// True for memory that an asynchronous copy may touch later.
bool stays(const void* p) {
  Memory& m = memory();
  auto found = m.all.upper_bound(static_cast<char*>(const_cast<void*>(p)));
  if (found == m.all.begin()) return false;
  --found;
  return static_cast<const char*>(p) < found->first + found->second.bytes;
}
bool on_device(const void* p) {
  Memory& m = memory();
  auto found = m.all.upper_bound(static_cast<char*>(const_cast<void*>(p)));
  if (found == m.all.begin()) return false;
  --found;
  return found->second.kind == Kind::device && static_cast<const char*>(p) < found->first + found->second.bytes;
}

cudaError_t copy(const std::function<void()>& work, const void* to, const void* from, cudaMemcpyKind kind,
                 cudaStream_t stream, bool wait) {
  std::lock_guard guard(lock());
  if (const cudaError_t e = device_error(); e != cudaSuccess) return failed(e);
  const bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  const bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  if (kind != cudaMemcpyDefault && (to_device != on_device(to) || from_device != on_device(from)))
    return failed(cudaErrorInvalidValue, "cudaMemcpy: an address is not where the kind of the copy says");
  if (wait && capturing_any()) return failed(cudaErrorStreamCaptureUnsupported);
  enqueue(stream, work);
  // Ordinary memory of the host is staged: read, or written, before the call returns.
  if (!capturing(stream) && (wait || !stays(from) || !stays(to))) run_stream(stream);
  return device_error() == cudaSuccess ? cudaSuccess : failed(device_error());
}

}  // namespace

void check_guards(const std::function<std::string()>& after) {
  if (device_error() != cudaSuccess) return;
  for (auto& [p, a] : memory().all) {
    const std::string what = damage(p, a);
    if (what.empty()) continue;
    const std::string name = after();
    set_device_error(cudaErrorIllegalAddress, name.empty() ? what : text(what, ", in ", name));
    fill_guard(a.raw, kGuard);
    fill_guard(p + a.bytes, a.after);
    return;
  }
}
size_t allocation_count() { return memory().all.size(); }

}  // namespace maas::cuda::emulator

using namespace maas::cuda::emulator;

extern "C" {

cudaError_t cudaMalloc(void** p, size_t bytes) {
  if (capturing_any()) return failed(cudaErrorStreamCaptureUnsupported);
  return allocate(p, bytes, Kind::device);
}
cudaError_t cudaFree(void* p) {
  if (capturing_any()) return failed(cudaErrorStreamCaptureUnsupported);
  run_all();
  return release(p, Kind::device);
}
cudaError_t cudaMallocAsync(void** p, size_t bytes, cudaStream_t stream) {
  if (capturing(stream)) return failed(cudaErrorStreamCaptureUnsupported, "no memory nodes in the emulator's graphs");
  return allocate(p, bytes, Kind::device);
}
cudaError_t cudaMallocFromPoolAsync(void** p, size_t bytes, cudaMemPool_t, cudaStream_t stream) {
  return cudaMallocAsync(p, bytes, stream);
}
cudaError_t cudaFreeAsync(void* p, cudaStream_t stream) {
  std::lock_guard guard(lock());
  if (capturing(stream)) return failed(cudaErrorStreamCaptureUnsupported, "no memory nodes in the emulator's graphs");
  if (p && !memory().all.contains(static_cast<char*>(p))) return failed(cudaErrorInvalidValue);
  enqueue(stream, [p] { release(p, Kind::device); });
  return cudaSuccess;
}
cudaError_t cudaHostAlloc(void** p, size_t bytes, unsigned) { return allocate(p, bytes, Kind::host); }
cudaError_t cudaMallocHost(void** p, size_t bytes) { return allocate(p, bytes, Kind::host); }
cudaError_t cudaFreeHost(void* p) {
  run_all();
  return release(p, Kind::host);
}
cudaError_t cudaHostGetDevicePointer(void** out, void* p, unsigned) {
  *out = p;
  return cudaSuccess;
}
cudaError_t cudaHostRegister(void*, size_t, unsigned) { return cudaSuccess; }
cudaError_t cudaHostUnregister(void*) { return cudaSuccess; }
cudaError_t cudaMemGetInfo(size_t* free_bytes, size_t* total) {
  std::lock_guard guard(lock());
  *total = total_memory();
  *free_bytes = total_memory() - memory().used;
  return device_error() == cudaSuccess ? cudaSuccess : failed(device_error());
}
cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t, cudaMemPoolAttr attribute, void* value) {
  std::lock_guard guard(lock());
  const bool most = attribute == cudaMemPoolAttrUsedMemHigh || attribute == cudaMemPoolAttrReservedMemHigh;
  const uint64_t bytes = most ? memory().most : memory().used;
  std::memcpy(value, &bytes, sizeof bytes);
  return cudaSuccess;
}
cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t, cudaMemPoolAttr attribute, void*) {
  std::lock_guard guard(lock());
  if (attribute == cudaMemPoolAttrUsedMemHigh) memory().most = memory().used;
  return cudaSuccess;
}
cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* out, const void* p) {
  std::lock_guard guard(lock());
  *out = {};
  out->type = on_device(p) ? cudaMemoryTypeDevice : stays(p) ? cudaMemoryTypeHost : cudaMemoryTypeUnregistered;
  out->device = out->type == cudaMemoryTypeUnregistered ? -2 : 0;
  out->devicePointer = out->type == cudaMemoryTypeUnregistered ? nullptr : const_cast<void*>(p);
  out->hostPointer = out->type == cudaMemoryTypeDevice ? nullptr : const_cast<void*>(p);
  return cudaSuccess;
}

cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  if (bytes == 0) return cudaSuccess;
  return copy([=] { std::memmove(to, from, bytes); }, to, from, kind, nullptr, true);
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  if (bytes == 0) return cudaSuccess;
  return copy([=] { std::memmove(to, from, bytes); }, to, from, kind, stream, false);
}
cudaError_t cudaMemcpyPeerAsync(void* to, int, const void* from, int, size_t bytes, cudaStream_t stream) {
  return cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream);
}
cudaError_t cudaMemcpy2DAsync(void* to, size_t to_pitch, const void* from, size_t from_pitch, size_t width,
                              size_t height, cudaMemcpyKind kind, cudaStream_t stream) {
  if (width == 0 || height == 0) return cudaSuccess;
  if (to_pitch < width || from_pitch < width) return failed(cudaErrorInvalidPitchValue);
  const auto work = [=] {
    for (size_t i = 0; i < height; ++i)
      std::memmove(static_cast<char*>(to) + i * to_pitch, static_cast<const char*>(from) + i * from_pitch, width);
  };
  return copy(work, to, from, kind, stream, false);
}
cudaError_t cudaMemcpy2D(void* to, size_t to_pitch, const void* from, size_t from_pitch, size_t width, size_t height,
                         cudaMemcpyKind kind) {
  const cudaError_t e = cudaMemcpy2DAsync(to, to_pitch, from, from_pitch, width, height, kind, nullptr);
  return e == cudaSuccess ? cudaDeviceSynchronize() : e;
}
cudaError_t cudaMemsetAsync(void* p, int value, size_t bytes, cudaStream_t stream) {
  std::lock_guard guard(lock());
  if (const cudaError_t e = device_error(); e != cudaSuccess) return failed(e);
  if (bytes == 0) return cudaSuccess;
  if (!stays(p)) return failed(cudaErrorInvalidValue);
  enqueue(stream, [=] { std::memset(p, value, bytes); });
  return cudaSuccess;
}
cudaError_t cudaMemset(void* p, int value, size_t bytes) {
  if (capturing_any()) return failed(cudaErrorStreamCaptureUnsupported);
  return cudaMemsetAsync(p, value, bytes, nullptr);
}

}  // extern "C"
