#include "ops/linalg/linalg_kernels.h"

#if MAAS_EIGEN
#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>

#include "core/float_mode.h"
#include "core/out_of_memory.h"
#include "ops/linalg/decompositions.h"

namespace maas {
namespace {

// Shorter work is done before anybody could have asked for its end.
constexpr double kLongWork = 1e7;
constexpr std::chrono::milliseconds kLookEvery{5};

template <class T>
using Rows = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

// fn(first row, rows) over blocks that take a millisecond or so.
template <class F>
void each_block(int64_t rows, int64_t cols, const Exec& exec, F&& fn) {
  const int64_t most = std::max<int64_t>(64, (1 << 18) / std::max<int64_t>(cols, 1));
  for (int64_t i = 0; i < rows && !exec.stopped(); i += most) fn(i, std::min(most, rows - i));
}

template <class T>
Matrix load(const void* p, int64_t unit, int64_t rows, int64_t cols, const Exec& exec) {
  if (!p) return {};
  Matrix x(rows, cols);
  const T* from = static_cast<const T*>(p) + unit * rows * cols;
  each_block(rows, cols, exec, [&](int64_t i, int64_t n) {
    x.middleRows(i, n) = Eigen::Map<const Rows<T>>(from + i * cols, n, cols).template cast<double>();
  });
  return x;
}

template <class T>
void store(void* p, int64_t unit, const Matrix& x, const Exec& exec) {
  T* to = static_cast<T*>(p) + unit * x.size();
  each_block(x.rows(), x.cols(), exec, [&](int64_t i, int64_t n) {
    Eigen::Map<Rows<T>>(to + i * x.cols(), n, x.cols()) = x.middleRows(i, n).template cast<T>();
  });
}

// A task on a thread of its own, which both its sides keep alive. Who waits may leave; the thread then ends at its next
// look, and what it has is dropped.
struct Errand {
  Task task;
  std::atomic<bool> given_up{false};
  std::mutex mutex;
  std::condition_variable changed;
  bool done = false, no_memory = false;

  void work() {
    const FlushDenormals flush;
    maas::given_up = &given_up;
    bool failed = false;
    try {
      decompose(task);
    } catch (const std::bad_alloc&) {
      failed = true;
    } catch (const GivenUp&) {
    }
    const std::lock_guard lock(mutex);
    done = true;
    no_memory = failed;
    if (given_up.load(std::memory_order_relaxed)) left_behind.fetch_sub(1, std::memory_order_relaxed);
    changed.notify_one();
  }

  // False: it was left.
  bool wait(const Exec& exec) {
    std::unique_lock lock(mutex);
    while (!changed.wait_for(lock, kLookEvery, [&] { return done; })) {
      if (!exec.stopped()) continue;
      given_up.store(true, std::memory_order_relaxed);
      left_behind.fetch_add(1, std::memory_order_relaxed);
      return false;
    }
    if (no_memory) throw std::bad_alloc();
    return true;
  }
};

// False: it was left. Throws std::bad_alloc.
bool run_apart(Task& task, const Exec& exec) {
  const auto errand = std::make_shared<Errand>();
  errand->task = std::move(task);
  try {
    std::thread([errand] { errand->work(); }).detach();
  } catch (const std::system_error&) {  // no thread is to be had: then nobody can leave
    decompose(errand->task);
    task = std::move(errand->task);
    return true;
  }
  if (!errand->wait(exec)) return false;
  task = std::move(errand->task);
  return true;
}

template <class T>
void one(const LinalgArgs& g, int64_t u, const Exec& exec) {
  Task task{g.kind,
            g.lower,
            g.transpose,
            g.full,
            {},
            g.m,
            g.n,
            load<T>(g.a, u, g.m, g.n, exec),
            load<T>(g.b, u, g.m, g.k, exec),
            {}};
  for (int i = 0; i < 3; ++i) task.wanted[i] = g.out[i] != nullptr;
  if (exec.stop && linalg_steps(g) > kLongWork) {
    if (!run_apart(task, exec)) return;
  } else {
    decompose(task);
  }
  for (int i = 0; i < 3; ++i) {
    if (!g.out[i]) continue;
    if (g.kind == Linalg::lu && i == 1)
      store<int32_t>(g.out[i], u, task.out[i], exec);
    else
      store<T>(g.out[i], u, task.out[i], exec);
  }
}

template <class T>
void run(const LinalgArgs& g, int64_t begin, int64_t end, const Exec& exec) {
  try {
    for (int64_t u = begin; u < end && !exec.stopped(); ++u) one<T>(g, u, exec);
  } catch (const std::bad_alloc&) {
    exec.status->report(kOutOfMemory, 0);
  }
}

}  // namespace

void linalg_f32_eigen(const LinalgArgs& g, int64_t begin, int64_t end, const Exec& e) { run<float>(g, begin, end, e); }
void linalg_f64_eigen(const LinalgArgs& g, int64_t begin, int64_t end, const Exec& e) { run<double>(g, begin, end, e); }

}  // namespace maas

#else  // ops refuse before they get here

namespace maas {
void linalg_f32_eigen(const LinalgArgs&, int64_t, int64_t, const Exec&) {}
void linalg_f64_eigen(const LinalgArgs&, int64_t, int64_t, const Exec&) {}
}  // namespace maas

#endif
