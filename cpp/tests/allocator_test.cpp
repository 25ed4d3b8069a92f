#include "core/allocator.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cstring>
#include <thread>
#include <vector>

#include "core/error.h"

using namespace maas;

namespace {
HostAllocator& host() { return HostAllocator::instance(); }

bool is_memory_error(const Error& e) {
  BOOST_TEST_MESSAGE(e.what());
  return e.kind() == ErrorKind::memory;
}
}  // namespace

// First, because the variable is read once.
BOOST_AUTO_TEST_CASE(limit_refuses_and_allocates_nothing) {
  host().trim();
  const int64_t before = host().stats().current;
  setenv("MAAS_MEMORY_LIMIT", "lots", 1);
  BOOST_CHECK_EXCEPTION(host().allocate(2 << 20), Error, [](const Error& e) { return e.kind() == ErrorKind::value; });
  setenv("MAAS_MEMORY_LIMIT", "8MiB", 1);
  {
    HostBuffer a(5 << 20);
    BOOST_CHECK_EXCEPTION(host().allocate(5 << 20), Error, [](const Error& e) {
      return is_memory_error(e) &&
             std::string(e.what()) == "allocation: needs 5 MiB, but MAAS_MEMORY_LIMIT is 8 MiB with 5 MiB in use";
    });
    BOOST_TEST(host().stats().current == before + (5 << 20));
  }
  HostBuffer other(6 << 20);  // the free 5 MB are given back first
  BOOST_CHECK_EXCEPTION(check_memory(3 << 20, "Plan 'm'"), Error, is_memory_error);
  set_memory_limit(0);
  BOOST_CHECK_EXCEPTION(host().allocate(size_t(1) << 61), Error, is_memory_error);
  BOOST_CHECK_EXCEPTION(host().allocate(~size_t(0)), Error, is_memory_error);
}

BOOST_AUTO_TEST_CASE(blocks_are_aligned_whole_and_counted) {
  const int64_t before = host().stats().current;
  for (size_t bytes : {0, 1, 63, 64, 65, 1000, 1024, 1025, 1280, 1281, 2048, 5000, 1 << 20, 4 << 20, (4 << 20) + 1,
                       10 << 20, 64 << 20, (64 << 20) + 1}) {
    void* p = host().allocate(bytes);
    BOOST_TEST(uintptr_t(p) % kAlignment == 0u);
    std::memset(p, 1, bytes);
    const int64_t counted = host().stats().current - before;
    BOOST_TEST(counted >= int64_t(bytes));
    if (bytes <= size_t(64) << 20) BOOST_TEST(counted <= int64_t(bytes + bytes / 4 + 64));
    host().deallocate(p, bytes);
    BOOST_TEST(host().stats().current == before);
  }
}

BOOST_AUTO_TEST_CASE(freed_blocks_are_used_again_until_trimmed) {
  host().trim();
  void* p = host().allocate(5000);
  host().deallocate(p, 5000);
  BOOST_TEST(host().stats().cached >= 5000);
  BOOST_TEST(host().allocate(5100) == p);  // the same size class
  BOOST_TEST(host().stats().cached == 0);
  host().deallocate(p, 5100);
  BOOST_TEST(host().trim() >= 5000);
  BOOST_TEST(host().stats().cached == 0);
}

BOOST_AUTO_TEST_CASE(the_cache_has_a_cap) {
  host().trim();
  const int64_t cap = host().stats().cache_cap;
  host().set_cache_cap(10000);
  std::vector<void*> blocks;
  for (int i = 0; i < 100; ++i) blocks.push_back(host().allocate(1000));
  for (void* p : blocks) host().deallocate(p, 1000);
  BOOST_TEST(host().stats().cached <= 10000);
  BOOST_TEST(host().stats().cached > 0);
  host().set_cache_cap(0);
  BOOST_TEST(host().stats().cached == 0);
  host().set_cache_cap(cap);
}

BOOST_AUTO_TEST_CASE(peak_remembers) {
  host().reset_peak();
  const int64_t before = host().stats().peak;
  {
    HostBuffer a(1 << 20), b(1 << 20);
  }
  {
    HostBuffer c(1 << 20);
  }
  BOOST_TEST(host().stats().peak == before + (2 << 20));
}

#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)  // they reserve terabytes of addresses
BOOST_AUTO_TEST_CASE(address_space_limit_is_seen) {
  const pid_t child = fork();
  if (child == 0) {
    const rlimit limit{rlim_t(1) << 30, rlim_t(1) << 30};
    setrlimit(RLIMIT_AS, &limit);
    try {
      host().allocate(size_t(2) << 30);
    } catch (const Error& e) {
      _exit(std::string(e.what()).find("ulimit -v") == std::string::npos ? 2 : 0);
    }
    _exit(1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  BOOST_TEST(status == 0);
}
#endif

BOOST_AUTO_TEST_CASE(threads_and_forks) {
  std::vector<std::thread> threads;
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (unsigned i = 0; !stop || i < 2000; ++i) {
        const size_t bytes = 1 + (i * 7919u + unsigned(t)) % 20000;
        HostBuffer block(bytes);
        std::memset(block.data(), t, bytes);
        for (size_t k = 0; k < bytes; k += 997) wrong += static_cast<char*>(block.data())[k] != t;
      }
    });
  }
#if !defined(__SANITIZE_THREAD__)
  for (int i = 0; i < 50; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      alarm(20);
      for (size_t k = 1; k < 20000; k += 61) HostBuffer block(k);
      host().trim();
      _exit(0);
    }
    int status = -1;
    waitpid(child, &status, 0);
    BOOST_REQUIRE_EQUAL(status, 0);
  }
#endif
  stop = true;
  for (auto& t : threads) t.join();
  BOOST_TEST(wrong == 0);
}

BOOST_AUTO_TEST_CASE(sizes_as_text) {
  BOOST_TEST(parse_bytes("512") == 512);
  BOOST_TEST(parse_bytes("64k") == 64000);
  BOOST_TEST(parse_bytes("1.5GB") == 1500000000);
  BOOST_TEST(parse_bytes("2GiB") == int64_t(2) << 30);
  BOOST_TEST(parse_bytes("3 MiB") == 3 << 20);
  BOOST_TEST(parse_bytes("7B") == 7);
  for (const char* bad : {"", "x", "-1", "1Q", "1Gi", "2GiBx", "1e40", "nan", "inf"})
    BOOST_CHECK_THROW(parse_bytes(bad), Error);
  BOOST_TEST(format_bytes(3 << 19) == "1.5 MiB");
  BOOST_TEST(format_bytes(100) == "100 bytes");
}
