#include <cmath>

#include "ops/softmax/softmax_kernels.h"

namespace maas {
namespace {

template <class T>
void run(const SoftmaxArgs& args, int64_t begin, int64_t end) {
  for (int64_t r = begin; r < end; ++r) {
    const T* x = static_cast<const T*>(args.x) + r * args.ldx;
    T* y = static_cast<T*>(args.y) + r * args.ldy;
    double top = static_cast<double>(x[0]), sum = 0;
    for (int64_t c = 1; c < args.cols; ++c)
      if (static_cast<double>(x[c]) > top || x[c] != x[c]) top = static_cast<double>(x[c]);
    for (int64_t c = 0; c < args.cols; ++c) sum += std::exp(static_cast<double>(x[c]) - top);
    for (int64_t c = 0; c < args.cols; ++c) {
      const double z = static_cast<double>(x[c]) - top;
      y[c] = static_cast<T>(args.log ? z - std::log(sum) : std::exp(z) / sum);
    }
  }
}

}  // namespace

void softmax_f32_ref(const SoftmaxArgs& args, int64_t begin, int64_t end, const Exec&) { run<float>(args, begin, end); }
void softmax_f64_ref(const SoftmaxArgs& args, int64_t begin, int64_t end, const Exec&) {
  run<double>(args, begin, end);
}

}  // namespace maas
