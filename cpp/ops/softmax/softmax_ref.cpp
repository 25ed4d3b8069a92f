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

template <class T>
void gradient(const SoftmaxGradientArgs& args, int64_t begin, int64_t end) {
  for (int64_t r = begin; r < end; ++r) {
    const T *y = static_cast<const T*>(args.y) + r * args.cols, *dy = static_cast<const T*>(args.dy) + r * args.cols;
    T* dx = static_cast<T*>(args.dx) + r * args.cols;
    double sum = 0;
    for (int64_t c = 0; c < args.cols; ++c)
      sum += (args.log ? 1 : static_cast<double>(y[c])) * static_cast<double>(dy[c]);
    for (int64_t c = 0; c < args.cols; ++c) {
      const double v = static_cast<double>(y[c]), d = static_cast<double>(dy[c]);
      dx[c] = static_cast<T>(args.log ? d - std::exp(v) * sum : v * (d - sum));
    }
  }
}

}  // namespace

void softmax_gradient_f32_ref(const SoftmaxGradientArgs& args, int64_t begin, int64_t end, const Exec&) {
  gradient<float>(args, begin, end);
}
void softmax_gradient_f64_ref(const SoftmaxGradientArgs& args, int64_t begin, int64_t end, const Exec&) {
  gradient<double>(args, begin, end);
}
void softmax_f32_ref(const SoftmaxArgs& args, int64_t begin, int64_t end, const Exec&) { run<float>(args, begin, end); }
void softmax_f64_ref(const SoftmaxArgs& args, int64_t begin, int64_t end, const Exec&) {
  run<double>(args, begin, end);
}

}  // namespace maas
