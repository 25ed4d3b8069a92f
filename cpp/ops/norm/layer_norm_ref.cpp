#include <cmath>

#include "ops/norm/layer_norm_kernels.h"

namespace maas {
namespace {

template <class T>
void forward(const LayerNormArgs& args, int64_t begin, int64_t end) {
  const T *gamma = static_cast<const T*>(args.gamma), *beta = static_cast<const T*>(args.beta);
  for (int64_t r = begin; r < end; ++r) {
    const T* x = static_cast<const T*>(args.x) + r * args.cols;
    T* y = static_cast<T*>(args.y) + r * args.cols;
    const double n = static_cast<double>(args.cols);
    double sum = 0, squares = 0;
    for (int64_t c = 0; c < args.cols; ++c) sum += static_cast<double>(x[c]);
    const double mean = args.subtract_mean ? sum / n : 0;
    for (int64_t c = 0; c < args.cols; ++c) {
      const double d = static_cast<double>(x[c]) - mean;
      squares += d * d;
    }
    const double rstd = 1 / std::sqrt(squares / n + args.epsilon);
    for (int64_t c = 0; c < args.cols; ++c) {
      double z = (static_cast<double>(x[c]) - mean) * rstd;
      if (gamma) z *= static_cast<double>(gamma[c]);
      if (beta) z += static_cast<double>(beta[c]);
      y[c] = static_cast<T>(z);
    }
    if (args.mean) static_cast<T*>(args.mean)[r] = static_cast<T>(mean);
    if (args.rstd) static_cast<T*>(args.rstd)[r] = static_cast<T>(rstd);
  }
}

template <class T>
void backward_chunk(const LayerNormGradArgs& args, int64_t chunk) {
  const T* gamma = static_cast<const T*>(args.gamma);
  const int64_t n = args.cols, first = chunk * args.chunk;
  const int64_t last = first + args.chunk < args.rows ? first + args.chunk : args.rows;
  T* dgamma = static_cast<T*>(args.partial) + chunk * 2 * n;
  T* dbeta = dgamma + n;
  const bool parameters = args.dgamma || args.dbeta;
  if (parameters)
    for (int64_t c = 0; c < 2 * n; ++c) dgamma[c] = 0;
  for (int64_t r = first; r < last; ++r) {
    const T *x = static_cast<const T*>(args.x) + r * n, *dy = static_cast<const T*>(args.dy) + r * n;
    T* dx = static_cast<T*>(args.dx) + r * n;
    const double mean = static_cast<double>(static_cast<const T*>(args.mean)[r]);
    const double rstd = static_cast<double>(static_cast<const T*>(args.rstd)[r]);
    auto h = [&](int64_t c) { return (static_cast<double>(x[c]) - mean) * rstd; };
    auto g = [&](int64_t c) { return static_cast<double>(dy[c]) * (gamma ? static_cast<double>(gamma[c]) : 1.0); };
    double sum_g = 0, sum_gh = 0;
    for (int64_t c = 0; c < n; ++c) {
      sum_g += g(c);
      sum_gh += g(c) * h(c);
    }
    sum_g = args.subtract_mean ? sum_g / static_cast<double>(n) : 0;
    sum_gh /= static_cast<double>(n);
    for (int64_t c = 0; c < n; ++c) {
      if (parameters) {
        dgamma[c] += static_cast<T>(static_cast<double>(dy[c]) * h(c));
        dbeta[c] += dy[c];
      }
      dx[c] = static_cast<T>(rstd * (g(c) - sum_g - h(c) * sum_gh));
    }
  }
}

template <class T>
void backward(const LayerNormGradArgs& args, int64_t begin, int64_t end, int64_t phase) {
  if (phase == 0) {
    for (int64_t chunk = begin; chunk < end; ++chunk) backward_chunk<T>(args, chunk);
    return;
  }
  const int64_t chunks = (args.rows + args.chunk - 1) / args.chunk;
  for (int64_t c = begin * args.columns; c < end * args.columns && c < args.cols; ++c)
    for (int which = 0; which < 2; ++which) {
      T* out = static_cast<T*>(which ? args.dbeta : args.dgamma);
      if (!out) continue;
      double sum = 0;
      for (int64_t k = 0; k < chunks; ++k)
        sum += static_cast<double>(static_cast<const T*>(args.partial)[(2 * k + which) * args.cols + c]);
      out[c] = static_cast<T>(sum);
    }
}

}  // namespace

void layer_norm_f32_ref(const LayerNormArgs& a, int64_t begin, int64_t end, const Exec&) {
  forward<float>(a, begin, end);
}
void layer_norm_f64_ref(const LayerNormArgs& a, int64_t begin, int64_t end, const Exec&) {
  forward<double>(a, begin, end);
}
void layer_norm_grad_f32_ref(const LayerNormGradArgs& a, int64_t begin, int64_t end, const Exec& e) {
  backward<float>(a, begin, end, e.phase);
}
void layer_norm_grad_f64_ref(const LayerNormGradArgs& a, int64_t begin, int64_t end, const Exec& e) {
  backward<double>(a, begin, end, e.phase);
}

}  // namespace maas
