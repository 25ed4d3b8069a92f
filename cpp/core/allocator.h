// Host memory for tensors and arenas: 64-byte aligned, kept in free lists, counted, and refused before it would hurt.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

namespace maas {

inline constexpr size_t kAlignment = 64;  // one cache line, one zmm

struct MemoryStats {
  int64_t current = 0;  // bytes in use, rounded up to size classes
  int64_t peak = 0;     // largest `current` since start or reset_peak()
  int64_t cached = 0;   // bytes in free lists
  int64_t cache_cap = 0;
};

class HostAllocator {
 public:
  // Lives as long as the process, so that a static's destructor may still free memory.
  static HostAllocator& instance();

  // 64-byte aligned and not cleared; 0 bytes give a valid pointer too. Throws Error(memory).
  void* allocate(size_t bytes);
  // `bytes` as asked for in allocate(). nullptr is ignored.
  void deallocate(void* p, size_t bytes) noexcept;

  // Gives all free blocks back to the operating system; returns how many bytes.
  int64_t trim() noexcept;
  // Free blocks are kept up to this many bytes; more goes back to the operating system at once.
  void set_cache_cap(int64_t bytes) noexcept;

  MemoryStats stats() const noexcept;
  void reset_peak() noexcept;

 private:
  HostAllocator();
  ~HostAllocator() = delete;
  struct State;
  State* s_;
};

// Throws Error(memory), with the sizes, if `bytes` more would pass MAAS_MEMORY_LIMIT, the cgroup's limit or RLIMIT_AS.
// `what` begins the message, e.g. "Plan 'resnet50'". allocate() calls it above 1 MB; a plan calls it with its whole
// need.
void check_memory(size_t bytes, const std::string& what);

// Memory that a run is about to fill. A container counts a page only when it is first written, so until the claim ends
// others that check see its bytes as used.
class MemoryClaim {
 public:
  MemoryClaim() = default;
  ~MemoryClaim() { release(); }
  MemoryClaim(const MemoryClaim&) = delete;
  // Before the bytes are allocated. Throws as check_memory does.
  void add(size_t bytes, const std::string& what);
  void release() noexcept;
  bool empty() const noexcept { return bytes_ == 0; }

 private:
  int64_t bytes_ = 0;
};

// Replaces MAAS_MEMORY_LIMIT, which is read on first use; 0 means no limit.
void set_memory_limit(int64_t bytes) noexcept;

// "512", "64k", "1.5GB", "2GiB" (k, M, G, T are powers of 1000 with B or alone, of 1024 with iB). Throws Error(value).
int64_t parse_bytes(const std::string& text);
// "1.5 GiB"
std::string format_bytes(int64_t bytes);

// An owning block. The contents are not cleared.
class HostBuffer {
 public:
  HostBuffer() noexcept = default;
  explicit HostBuffer(size_t bytes) : data_(HostAllocator::instance().allocate(bytes)), bytes_(bytes) {}
  ~HostBuffer() { HostAllocator::instance().deallocate(data_, bytes_); }
  HostBuffer(HostBuffer&& o) noexcept : data_(std::exchange(o.data_, nullptr)), bytes_(std::exchange(o.bytes_, 0)) {}
  HostBuffer& operator=(HostBuffer&& o) noexcept {
    std::swap(data_, o.data_);
    std::swap(bytes_, o.bytes_);
    return *this;
  }
  void* data() const noexcept { return data_; }
  size_t size() const noexcept { return bytes_; }

 private:
  void* data_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace maas
