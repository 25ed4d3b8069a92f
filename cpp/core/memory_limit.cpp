#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <utility>

#include "core/allocator.h"
#include "core/cgroup.h"
#include "core/error.h"

namespace maas {
namespace {

constexpr int64_t kNoLimitSet = -1;
std::atomic<int64_t> own_limit{kNoLimitSet};
std::atomic<int64_t> claimed{0};  // by all MemoryClaims

int64_t memory_limit() {
  int64_t limit = own_limit.load(std::memory_order_relaxed);
  if (limit != kNoLimitSet) return limit;
  const char* text = std::getenv("MAAS_MEMORY_LIMIT");
  limit = 0;
  if (text && *text) {
    try {
      limit = parse_bytes(text);
    } catch (const Error& e) {
      throw Error(e.kind(), std::string("MAAS_MEMORY_LIMIT: ") + e.what());
    }
  }
  own_limit.store(limit, std::memory_order_relaxed);
  return limit;
}

int64_t address_space_used() {
  std::ifstream file("/proc/self/statm");
  int64_t pages = 0;
  file >> pages;
  return pages * sysconf(_SC_PAGESIZE);
}

void refuse(size_t bytes, const std::string& what, const char* limit_name, int64_t limit, int64_t used) {
  throw Error(ErrorKind::memory, what + ": needs " + format_bytes(int64_t(bytes)) + ", but " + limit_name + " is " +
                                     format_bytes(limit) + " with " + format_bytes(used) + " in use");
}

bool exceeds(size_t bytes, int64_t limit, int64_t used) { return used > limit || bytes > uint64_t(limit - used); }

// Free blocks count as used; they are given back before anything is refused.
template <class Used>
void check_one(size_t bytes, const std::string& what, const char* name, int64_t limit, Used used) {
  if (!exceeds(bytes, limit, used())) return;
  HostAllocator::instance().trim();
  if (const int64_t now = used(); exceeds(bytes, limit, now)) refuse(bytes, what, name, limit, now);
}

void check_all(size_t bytes, const std::string& what, int64_t promised) {
  if (const int64_t limit = memory_limit()) {
    check_one(bytes, what, "MAAS_MEMORY_LIMIT", limit, [] {
      const MemoryStats stats = HostAllocator::instance().stats();
      return stats.current + stats.cached;
    });
  }
  if (const auto group = cgroup_memory()) {
    check_one(bytes, what, "the memory limit of the container (cgroup)", group->limit, [&] {
      const auto now = cgroup_memory();
      return (now ? now->used : group->used) + promised;
    });
  }
  rlimit address_space;
  if (getrlimit(RLIMIT_AS, &address_space) == 0 &&
      address_space.rlim_cur < uint64_t(std::numeric_limits<int64_t>::max())) {
    check_one(bytes, what, "the address space limit (ulimit -v)", int64_t(address_space.rlim_cur), address_space_used);
  }
}

}  // namespace

void set_memory_limit(int64_t bytes) noexcept { own_limit.store(bytes < 0 ? 0 : bytes, std::memory_order_relaxed); }

// A claim's own blocks pass here when they are allocated, so claims do not count.
void check_memory(size_t bytes, const std::string& what) { check_all(bytes, what, 0); }

void MemoryClaim::add(size_t bytes, const std::string& what) {
  check_all(bytes, what, claimed.load(std::memory_order_relaxed));
  bytes_ += int64_t(bytes);
  claimed.fetch_add(int64_t(bytes), std::memory_order_relaxed);
}

void MemoryClaim::release() noexcept { claimed.fetch_sub(std::exchange(bytes_, 0), std::memory_order_relaxed); }

int64_t parse_bytes(const std::string& text) {
  const auto fail = [&]() -> int64_t {
    throw Error(ErrorKind::value,
                "a size is a number with an optional unit such as 512, 64k, 1.5GB or 2GiB, received '" + text + "'");
  };
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [unit, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || !(value >= 0)) return fail();
  const char* p = unit;
  while (p != end && *p == ' ') ++p;
  int power = 0, base = 1000;
  if (p != end && *p != 'B' && *p != 'b') {
    const size_t index = std::string("KMGT").find(char(std::toupper(static_cast<unsigned char>(*p++))));
    if (index == std::string::npos) return fail();
    power = int(index) + 1;
    if (p != end && *p == 'i') {
      base = 1024;
      if (++p == end) return fail();
    }
  }
  if (p != end && (*p == 'B' || *p == 'b')) ++p;
  value *= std::pow(base, power);
  if (p != end || value >= 0x1p62) return fail();
  return int64_t(value);
}

std::string format_bytes(int64_t bytes) {
  static constexpr const char* kUnits[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 1024) return std::to_string(bytes) + " bytes";
  double value = double(bytes);
  int unit = 0;
  for (; value >= 1024 && unit < 6; value /= 1024) ++unit;
  char text[32];
  std::snprintf(text, sizeof text, "%.4g %s", value, kUnits[unit]);
  return text;
}

}  // namespace maas
