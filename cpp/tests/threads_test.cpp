#include "core/threads.h"

#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <chrono>
#include <cmath>
#include <fstream>
#include <thread>
#include <vector>

#include "core/cgroup.h"
#include "core/error.h"
#include "core/float_mode.h"

#if defined(__SANITIZE_THREAD__)
constexpr bool kTsan = true;
#else
constexpr bool kTsan = false;
#endif

using namespace maas;

namespace {

ThreadPool& pool() { return ThreadPool::instance(); }
double seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// Counts visits of each member; plain ints, so TSan sees whether run() orders them before its return.
struct Visits {
  int count[64] = {};
  int team = 0;
  static void job(void* ctx, int worker, int team) {
    auto& v = *static_cast<Visits*>(ctx);
    ++v.count[worker];
    if (worker == 0) v.team = team;
  }
  void check() const {
    BOOST_REQUIRE(team >= 1);
    for (int i = 0; i < 64; ++i) BOOST_REQUIRE_EQUAL(count[i], i < team ? 1 : 0);
  }
};

// Units handed out by a counter, as the executor does.
struct Counter {
  std::atomic<int> next{0}, done{0};
  int units;
  explicit Counter(int n) : units(n) {}
  static void job(void* ctx, int, int) {
    auto& c = *static_cast<Counter*>(ctx);
    while (c.next.fetch_add(1) < c.units) c.done.fetch_add(1);
  }
};

}  // namespace

BOOST_AUTO_TEST_CASE(environment_is_checked) {
  for (const char* bad : {"0", "-1", "two", "2x", "1025", "99999999999"}) {
    setenv("MAAS_NUM_THREADS", bad, 1);
    BOOST_CHECK_EXCEPTION(pool().size(), Error, [&](const Error& e) {
      return e.kind() == ErrorKind::value && std::string(e.what()).ends_with("received '" + std::string(bad) + "'");
    });
  }
  setenv("MAAS_NUM_THREADS", "3", 1);
  BOOST_TEST(pool().size() == 3);
  BOOST_CHECK_THROW(pool().resize(0), Error);
  BOOST_TEST(default_threads() >= 1);
}

BOOST_AUTO_TEST_CASE(every_member_runs_once) {
  for (int size : {1, 2, 4, 70, 3}) {
    pool().resize(size);
    BOOST_TEST(pool().available() == size);
    for (int want : {1, 2, 3, 8, 63}) {
      for (int i = 0; i < 200; ++i) {
        Visits v;
        pool().run(want, Visits::job, &v);
        v.check();
        BOOST_REQUIRE_EQUAL(v.team, std::min(want, size));  // the only caller finds all workers free
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(parked_workers_wake) {
  pool().resize(4);
  for (int i = 0; i < 20; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    Visits v;
    pool().run(4, Visits::job, &v);
    v.check();
  }
}

BOOST_AUTO_TEST_CASE(brief_runs_leave_sleepers_but_wake_them_when_they_follow_each_other) {
  pool().resize(2);
  Visits all;
  pool().run(2, Visits::job, &all);
  const auto team_of_brief_run = [] {
    int team = 0;
    pool().run_brief(
        2,
        [](void* t, int worker, int size) {
          if (worker == 0) *static_cast<int*>(t) = size;
        },
        &team);
    return team;
  };
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  BOOST_TEST(team_of_brief_run() == 1);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  int team = 1;
  while (team == 1 && std::chrono::steady_clock::now() < end) team = team_of_brief_run();
  BOOST_TEST(team == 2);
}

BOOST_AUTO_TEST_CASE(callers_share_the_workers) {
  pool().resize(4);
  std::vector<std::thread> callers;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 8; ++t) {
    callers.emplace_back([&, t] {
      for (int i = 0; i < 1000; ++i) {
        Counter c(17);
        const auto run = t % 3 == 0 ? &ThreadPool::run : t % 3 == 1 ? &ThreadPool::run_brief : &ThreadPool::run_elastic;
        (pool().*run)(1 + i % 4, Counter::job, &c);
        if (c.done != 17) ++wrong;
      }
    });
  }
  for (int i = 0; i < 30; ++i) pool().resize(1 + i % 5);
  for (auto& c : callers) c.join();
  BOOST_TEST(wrong == 0);
  pool().resize(4);
  BOOST_TEST(pool().available() == 4);
}

BOOST_AUTO_TEST_CASE(a_run_never_waits_for_a_busy_worker) {
  pool().resize(2);
  struct Hold {
    std::atomic<int> inside{0};
    std::atomic<bool> go{false};
  } hold;
  std::thread other([&] {
    pool().run(
        2,
        [](void* c, int, int) {
          auto& h = *static_cast<Hold*>(c);
          ++h.inside;
          while (!h.go) std::this_thread::yield();
        },
        &hold);
  });
  while (hold.inside < 2) std::this_thread::yield();
  BOOST_TEST(pool().available() == 1);
  Visits v;
  pool().run(2, Visits::job, &v);
  BOOST_TEST(v.team == 1);
  hold.go = true;
  other.join();
}

BOOST_AUTO_TEST_CASE(a_run_inside_a_job_is_alone) {
  pool().resize(4);
  std::atomic<int> teams{0};
  pool().run(
      4,
      [](void* c, int, int) {
        Visits v;
        pool().run(4, Visits::job, &v);
        *static_cast<std::atomic<int>*>(c) += v.team;
      },
      &teams);
  BOOST_TEST(teams == 4);
}

BOOST_AUTO_TEST_CASE(barrier_separates_phases) {
  for (int size : {2, 3, 8}) {
    pool().resize(size);
    struct Phases {
      TeamBarrier barrier;
      int value[8] = {}, wrong[8] = {};
    } p{TeamBarrier(size), {}, {}};
    pool().run(
        size,
        [](void* c, int worker, int team) {
          auto& p = *static_cast<Phases*>(c);
          for (int step = 1; step <= 500; ++step) {
            p.value[worker] = step;
            p.barrier.wait();
            for (int i = 0; i < team; ++i) p.wrong[worker] += p.value[i] != step;
            p.barrier.wait();
          }
        },
        &p);
    for (int w : p.wrong) BOOST_TEST(w == 0);
  }
}

BOOST_AUTO_TEST_CASE(denormals_are_flushed_inside_and_kept_outside) {
  pool().resize(4);
  const unsigned before = _mm_getcsr();
  struct Seen {
    volatile float tiny = 1e-38f;
    float result[4] = {9, 9, 9, 9};
  } seen;
  pool().run(
      4,
      [](void* c, int worker, int) {
        auto& s = *static_cast<Seen*>(c);
        s.result[worker] = s.tiny * 0.1f;
      },
      &seen);
  for (float r : seen.result) BOOST_TEST(r == 0.f);
  BOOST_TEST(_mm_getcsr() == before);
  BOOST_TEST(seen.tiny * 0.1f != 0.f);
}

BOOST_AUTO_TEST_CASE(quotas_of_control_groups) {
  char name[] = "/tmp/maas-cgroup-XXXXXX";
  BOOST_REQUIRE(mkdtemp(name));
  const std::string dir = name;
  const auto write = [&](const std::string& file, const std::string& text) { std::ofstream(dir + "/" + file) << text; };
  BOOST_REQUIRE_EQUAL(std::system(("mkdir -p " + dir + "/pod/box " + dir + "/cpu/job " + dir + "/memory").c_str()), 0);
  const CgroupPaths paths{dir + "/self", dir};
  BOOST_TEST(!cgroup_cpus(paths));
  write("self", "0::/pod/box\n");
  write("pod/box/cpu.max", "max 100000\n");
  BOOST_TEST(!cgroup_cpus(paths));
  write("pod/cpu.max", "250000 100000\n");
  BOOST_TEST(cgroup_cpus(paths).value() == 2.5);
  write("pod/box/memory.max", "1000\n");
  write("pod/box/memory.current", "700\n");
  write("pod/box/memory.stat", "anon 1\ninactive_file 100\n");
  BOOST_TEST(cgroup_memory(paths)->limit == 1000);
  BOOST_TEST(cgroup_memory(paths)->used == 600);
  write("self", "4:memory:/hidden\n3:cpu,cpuacct:/job\n0::/\n");
  write("cpu/job/cpu.cfs_quota_us", "150000\n");
  write("cpu/job/cpu.cfs_period_us", "100000\n");
  BOOST_TEST(cgroup_cpus(paths).value() == 1.5);
  write("memory/memory.limit_in_bytes", "9223372036854771712\n");
  write("memory/memory.usage_in_bytes", "5\n");
  BOOST_TEST(!cgroup_memory(paths));
  write("memory/memory.limit_in_bytes", "50\n");
  BOOST_TEST(cgroup_memory(paths)->limit == 50);
  BOOST_REQUIRE_EQUAL(std::system(("rm -r " + dir).c_str()), 0);
}

BOOST_AUTO_TEST_CASE(a_child_makes_its_own_pool) {
  if (kTsan) return;  // TSan does not follow threads through fork
  pool().resize(4);
  std::atomic<bool> stop{false};
  std::thread other([&] {
    while (!stop) {
      Counter c(50);
      pool().run(3, Counter::job, &c);
    }
  });
  const auto fork_and_use = [](void*, int worker, int) {
    if (worker) return;
    const pid_t child = fork();
    if (child == 0) {
      alarm(20);
      for (int i = 0; i < 50; ++i) {
        Counter c(9);
        pool().run(3, Counter::job, &c);
        if (c.done != 9) _exit(1);
      }
      return;
    }
    int status = -1;
    waitpid(child, &status, 0);
    BOOST_REQUIRE_EQUAL(status, 0);
  };
  const pid_t parent = getpid();
  for (int i = 0; i < 20; ++i) {
    fork_and_use(nullptr, 0, 1);
    if (getpid() != parent) _exit(0);
    pool().run(2, fork_and_use, nullptr);  // inside a job
    if (getpid() != parent) _exit(0);
  }
  stop = true;
  other.join();
}

BOOST_AUTO_TEST_CASE(busy_neighbours_slow_it_by_a_sane_factor) {
  if (kTsan) return;
  pool().resize(2);
  const auto time_of = [](bool elastic) {
    double best = 1e9;
    for (int round = 0; round < 3; ++round) {
      const double begin = seconds();
      for (int i = 0; i < 2000; ++i) {
        struct Work {
          std::atomic<int> next{0};
          volatile float sink = 0;
        } w;
        const auto job = [](void* c, int, int) {
          auto& w = *static_cast<Work*>(c);
          while (w.next.fetch_add(1) < 16) {
            for (int k = 0; k < 2000; ++k) w.sink = 1.f;  // about 1 us
          }
        };
        elastic ? pool().run_elastic(2, job, &w) : pool().run(2, job, &w);
      }
      best = std::min(best, seconds() - begin);
    }
    return best;
  };
  const double alone = time_of(false), alone_elastic = time_of(true);
  std::vector<pid_t> hogs;
  for (int i = 0; i < int(std::thread::hardware_concurrency()); ++i) {
    hogs.push_back(fork());
    if (hogs.back() == 0) {
      alarm(60);
      volatile long n = 0;
      for (;;) (void)n;
    }
  }
  const double crowded = time_of(false), crowded_elastic = time_of(true);
  for (pid_t hog : hogs) {
    kill(hog, SIGKILL);
    waitpid(hog, nullptr, 0);
  }
  BOOST_TEST_MESSAGE("2000 runs: " << alone << " s alone, " << crowded << " s with busy neighbours; elastic "
                                   << alone_elastic << ", " << crowded_elastic);
  // Half the cores are gone, so 2 is ideal; a pool that only spins shows 50 and more.
  BOOST_TEST(crowded < 15 * alone);
  BOOST_TEST(crowded_elastic < 15 * alone_elastic);
}

BOOST_AUTO_TEST_CASE(dispatch_cost) {  // a figure for the log, not an assertion
  pool().resize(2);
  const auto nothing = [](void*, int, int) {};
  double best = 1e9;
  for (int round = 0; round < 50; ++round) {
    const double begin = seconds();
    for (int i = 0; i < 1000; ++i) pool().run(2, nothing, nullptr);
    best = std::min(best, seconds() - begin);
  }
  BOOST_TEST_MESSAGE("dispatch and join, team of 2: " << best * 1e6 << " ns");
}

namespace {
struct RunsAtExit {
  ~RunsAtExit() {
    Counter c(5);
    pool().run(2, Counter::job, &c);
    if (c.done != 5) abort();
  }
} runs_at_exit;  // made before the pool, destroyed after everything else
}  // namespace
