#include "core/allocator.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdlib>
#include <mutex>
#include <new>

#include "core/error.h"
#include "core/fork.h"

namespace maas {
namespace {

constexpr size_t kCheckAbove = size_t(1) << 20;  // smaller blocks are not worth reading the limits
constexpr size_t kMapFrom = size_t(2) << 20;     // own mapping, in huge pages
constexpr size_t kKeepUpTo = size_t(64) << 20;   // larger blocks are rare and go back to the system at once
constexpr size_t kHugePage = size_t(2) << 20;
constexpr int kFine = 16;                 // classes of 64, 128, ..., 1024 bytes, then four for each doubling
constexpr int kClasses = kFine + 4 * 16;  // up to 64 MB

// Waste is at most 64 bytes, then at most a fifth.
int class_of(size_t bytes) {
  if (bytes <= 1024) return bytes == 0 ? 0 : int((bytes - 1) / 64);
  const int octave = std::bit_width(bytes - 1) - 11;  // 0 for (1024, 2048]
  return kFine + 4 * octave + int((bytes - 1) >> (octave + 8) & 3);
}

size_t class_bytes(int c) {
  if (c < kFine) return size_t(c + 1) * 64;
  const int octave = (c - kFine) / 4, quarter = (c - kFine) % 4;
  return size_t(5 + quarter) << (octave + 8);
}

size_t rounded(size_t bytes) {
  return bytes > kKeepUpTo ? (bytes + kHugePage - 1) & ~(kHugePage - 1) : class_bytes(class_of(bytes));
}

// A mapping that starts on a huge page.
void* map(size_t bytes) {
  const size_t whole = bytes + kHugePage;
  void* p = mmap(nullptr, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) return nullptr;
  const uintptr_t begin = uintptr_t(p), aligned = (begin + kHugePage - 1) & ~(kHugePage - 1);
  if (aligned > begin) munmap(p, aligned - begin);
  if (const size_t tail = begin + whole - (aligned + bytes)) munmap(reinterpret_cast<void*>(aligned + bytes), tail);
  madvise(reinterpret_cast<void*>(aligned), bytes, MADV_HUGEPAGE);  // a wish: no error if the kernel has none
  return reinterpret_cast<void*>(aligned);
}

// bytes are rounded ones from here on.
void* take_from_system(size_t bytes) { return bytes >= kMapFrom ? map(bytes) : std::aligned_alloc(kAlignment, bytes); }

void give_to_system(void* p, size_t bytes) noexcept {
  if (bytes >= kMapFrom) {
    munmap(p, bytes);
  } else {
    std::free(p);
  }
}

struct FreeBlock {
  FreeBlock* next;
};

}  // namespace

struct HostAllocator::State {
  static constexpr int kLocks = 16;  // class c is guarded by lock c % 16
  std::mutex locks[kLocks];
  FreeBlock* lists[kClasses] = {};
  std::atomic<int64_t> current{0}, peak{0}, cached{0}, cache_cap{int64_t(256) << 20};

  void count(int64_t bytes) {
    const int64_t now = current.fetch_add(bytes, std::memory_order_relaxed) + bytes;
    int64_t old = peak.load(std::memory_order_relaxed);
    while (now > old && !peak.compare_exchange_weak(old, now, std::memory_order_relaxed)) {
    }
  }

  void* pop(int c) {
    std::lock_guard lock(locks[c % kLocks]);
    FreeBlock* block = lists[c];
    if (block) {
      lists[c] = block->next;
      cached.fetch_sub(int64_t(class_bytes(c)), std::memory_order_relaxed);
    }
    return block;
  }

  // False when the free lists are full.
  bool push(void* p, int c) {
    const int64_t bytes = int64_t(class_bytes(c));
    if (cached.load(std::memory_order_relaxed) + bytes > cache_cap.load(std::memory_order_relaxed)) return false;
    std::lock_guard lock(locks[c % kLocks]);
    lists[c] = new (p) FreeBlock{lists[c]};
    cached.fetch_add(bytes, std::memory_order_relaxed);
    return true;
  }
};

HostAllocator::HostAllocator() : s_(new State) {}

HostAllocator& HostAllocator::instance() {
  alignas(HostAllocator) static unsigned char storage[sizeof(HostAllocator)];
  static HostAllocator* const allocator = [] {
    auto* a = new (storage) HostAllocator;
    // Fork with every lock held, so that the child finds whole lists. It keeps the blocks: they were copied with it.
    at_fork(ForkOrder::allocator, {[] {
                                     for (auto& l : instance().s_->locks) l.lock();
                                   },
                                   [] {
                                     for (auto& l : instance().s_->locks) l.unlock();
                                   },
                                   [] {
                                     for (auto& l : instance().s_->locks) l.unlock();
                                   }});
    return a;
  }();
  return *allocator;
}

void* HostAllocator::allocate(size_t asked) {
  if (asked > size_t(1) << 62)
    throw Error(ErrorKind::memory, "allocation: the size overflows, received " + std::to_string(asked) + " bytes");
  const size_t bytes = rounded(asked);
  void* p = bytes <= kKeepUpTo ? s_->pop(class_of(bytes)) : nullptr;
  if (!p) {
    if (bytes > kCheckAbove) check_memory(bytes, "allocation");
    p = take_from_system(bytes);
    if (!p) {
      trim();
      p = take_from_system(bytes);
    }
    if (!p) {
      throw Error(ErrorKind::memory, "allocation: the system has no " + format_bytes(int64_t(bytes)) + " left, with " +
                                         format_bytes(stats().current) + " in use");
    }
  }
  s_->count(int64_t(bytes));
  return p;
}

void HostAllocator::deallocate(void* p, size_t asked) noexcept {
  if (!p) return;
  const size_t bytes = rounded(asked);
  s_->current.fetch_sub(int64_t(bytes), std::memory_order_relaxed);
  if (bytes > kKeepUpTo || !s_->push(p, class_of(bytes))) give_to_system(p, bytes);
}

int64_t HostAllocator::trim() noexcept {
  int64_t total = 0;
  for (int c = 0; c < kClasses; ++c) {
    while (void* p = s_->pop(c)) {
      give_to_system(p, class_bytes(c));
      total += int64_t(class_bytes(c));
    }
  }
  return total;
}

void HostAllocator::set_cache_cap(int64_t bytes) noexcept {
  s_->cache_cap.store(std::max<int64_t>(bytes, 0), std::memory_order_relaxed);
  if (s_->cached.load(std::memory_order_relaxed) > bytes) trim();
}

MemoryStats HostAllocator::stats() const noexcept {
  return {s_->current.load(std::memory_order_relaxed), s_->peak.load(std::memory_order_relaxed),
          s_->cached.load(std::memory_order_relaxed), s_->cache_cap.load(std::memory_order_relaxed)};
}

void HostAllocator::reset_peak() noexcept {
  s_->peak.store(s_->current.load(std::memory_order_relaxed), std::memory_order_relaxed);
}

}  // namespace maas
