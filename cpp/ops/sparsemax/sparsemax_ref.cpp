#include "ops/sparsemax/sparsemax_kernels.h"

namespace maas {
namespace {

template <class T>
void run(const SparsemaxArgs& args, int64_t begin, int64_t end, const Exec& exec) {
  const int64_t n = args.cols;
  for (int64_t r = begin; r < end; ++r) {
    const T* x = static_cast<const T*>(args.x) + r * n;
    T* y = static_cast<T*>(args.y) + r * n;
    double top = static_cast<double>(x[0]);
    for (int64_t c = 1; c < n; ++c)
      if (static_cast<double>(x[c]) > top || x[c] != x[c]) top = static_cast<double>(x[c]);
    // A NaN or +inf leaves nothing above -1, so t = -1 / 0, and every z - t is NaN.
    double t = -1;
    for (int64_t count = n + 1, before = count + 1; count < before;) {
      if (exec.stopped()) return;
      before = count;
      count = 0;
      double sum = 0;
      for (int64_t c = 0; c < n; ++c) {
        const double z = static_cast<double>(x[c]) - top;
        if (z > t) sum += z, ++count;
      }
      t = (sum - 1) / static_cast<double>(count);
    }
    for (int64_t c = 0; c < n; ++c) {
      const double v = static_cast<double>(x[c]) - top - t;
      y[c] = static_cast<T>(v <= 0 ? 0 : v);
    }
  }
}

}  // namespace

void sparsemax_f32_ref(const SparsemaxArgs& args, int64_t begin, int64_t end, const Exec& exec) {
  run<float>(args, begin, end, exec);
}
void sparsemax_f64_ref(const SparsemaxArgs& args, int64_t begin, int64_t end, const Exec& exec) {
  run<double>(args, begin, end, exec);
}

}  // namespace maas
