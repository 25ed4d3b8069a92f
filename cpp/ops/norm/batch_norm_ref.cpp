#include <cmath>

#include "ops/norm/batch_norm_kernels.h"

namespace maas {
namespace {

struct Range {
  int64_t first, last;
};
template <class Args>
Range rows_of(const Args& a, int64_t chunk) {
  const int64_t first = chunk * a.chunk;
  return {first, first + a.chunk < a.rows ? first + a.chunk : a.rows};
}

template <class T>
double at(const void* p, int64_t i) {
  return static_cast<double>(static_cast<const T*>(p)[i]);
}

template <class T>
void forward(const BatchNormArgs& a, int64_t begin, int64_t end, int64_t phase) {
  const int64_t n = a.cols, chunks = (a.rows + a.chunk - 1) / a.chunk;
  T* partial = static_cast<T*>(a.partial);
  if (phase == 1) {
    for (int64_t c = begin * a.columns; c < end * a.columns && c < n; ++c) {
      double sum = 0, squares = 0;
      for (int64_t k = 0; k < chunks; ++k) {
        const Range rows = rows_of(a, k);
        sum += at<T>(partial, 2 * k * n + c) * static_cast<double>(rows.last - rows.first);
      }
      const double mean = sum / static_cast<double>(a.rows);
      for (int64_t k = 0; k < chunks; ++k) {
        const Range rows = rows_of(a, k);
        const double d = at<T>(partial, 2 * k * n + c) - mean;
        squares += at<T>(partial, (2 * k + 1) * n + c) + d * d * static_cast<double>(rows.last - rows.first);
      }
      static_cast<T*>(a.mean)[c] = static_cast<T>(mean);
      static_cast<T*>(a.variance)[c] = static_cast<T>(squares / static_cast<double>(a.rows));
    }
    return;
  }
  for (int64_t k = begin; k < end; ++k) {
    const Range rows = rows_of(a, k);
    for (int64_t c = 0; c < n; ++c) {
      if (phase == 0) {
        double sum = 0, squares = 0;
        for (int64_t r = rows.first; r < rows.last; ++r) sum += at<T>(a.x, r * n + c);
        const double mean = sum / static_cast<double>(rows.last - rows.first);
        for (int64_t r = rows.first; r < rows.last; ++r) {
          const double d = at<T>(a.x, r * n + c) - mean;
          squares += d * d;
        }
        partial[2 * k * n + c] = static_cast<T>(mean);
        partial[(2 * k + 1) * n + c] = static_cast<T>(squares);
      } else {
        const double rstd = 1 / std::sqrt(at<T>(a.variance, c) + a.epsilon), mean = at<T>(a.mean, c);
        const double scale = a.gamma ? rstd * at<T>(a.gamma, c) : rstd, shift = a.beta ? at<T>(a.beta, c) : 0;
        for (int64_t r = rows.first; r < rows.last; ++r)
          static_cast<T*>(a.y)[r * n + c] = static_cast<T>((at<T>(a.x, r * n + c) - mean) * scale + shift);
      }
    }
  }
}

template <class T>
void backward(const BatchNormGradArgs& a, int64_t begin, int64_t end, int64_t phase) {
  const int64_t n = a.cols, chunks = (a.rows + a.chunk - 1) / a.chunk;
  T* partial = static_cast<T*>(a.partial);
  if (phase == 1) {
    for (int64_t c = begin * a.columns; c < end * a.columns && c < n; ++c) {
      double gamma = 0, beta = 0;
      for (int64_t k = 0; k < chunks; ++k) {
        gamma += at<T>(partial, 2 * k * n + c);
        beta += at<T>(partial, (2 * k + 1) * n + c);
      }
      static_cast<T*>(a.dgamma)[c] = static_cast<T>(gamma);
      static_cast<T*>(a.dbeta)[c] = static_cast<T>(beta);
    }
    return;
  }
  const double count = static_cast<double>(a.rows);
  for (int64_t k = begin; k < end; ++k) {
    const Range rows = rows_of(a, k);
    for (int64_t c = 0; c < n; ++c) {
      const double rstd = 1 / std::sqrt(at<T>(a.variance, c) + a.epsilon), mean = at<T>(a.mean, c);
      if (phase == 0) {
        double gamma = 0, beta = 0;
        for (int64_t r = rows.first; r < rows.last; ++r) {
          gamma += at<T>(a.dy, r * n + c) * (at<T>(a.x, r * n + c) - mean) * rstd;
          beta += at<T>(a.dy, r * n + c);
        }
        partial[2 * k * n + c] = static_cast<T>(gamma);
        partial[(2 * k + 1) * n + c] = static_cast<T>(beta);
      } else {
        const double scale = a.gamma ? rstd * at<T>(a.gamma, c) : rstd;
        const double dgamma = at<T>(a.dgamma, c) / count, dbeta = at<T>(a.dbeta, c) / count;
        const double dmean = a.dmean ? at<T>(a.dmean, c) / count : 0,
                     dvariance = a.dmean ? at<T>(a.dvariance, c) / count : 0;
        for (int64_t r = rows.first; r < rows.last; ++r) {
          const double centered = at<T>(a.x, r * n + c) - mean;
          const double d = scale * (at<T>(a.dy, r * n + c) - dbeta - centered * rstd * dgamma);
          static_cast<T*>(a.dx)[r * n + c] = static_cast<T>(d + dmean + 2 * centered * dvariance);
        }
      }
    }
  }
}

}  // namespace

void batch_norm_train_f32_ref(const BatchNormArgs& a, int64_t begin, int64_t end, const Exec& e) {
  forward<float>(a, begin, end, e.phase);
}
void batch_norm_train_f64_ref(const BatchNormArgs& a, int64_t begin, int64_t end, const Exec& e) {
  forward<double>(a, begin, end, e.phase);
}
void batch_norm_grad_f32_ref(const BatchNormGradArgs& a, int64_t begin, int64_t end, const Exec& e) {
  backward<float>(a, begin, end, e.phase);
}
void batch_norm_grad_f64_ref(const BatchNormGradArgs& a, int64_t begin, int64_t end, const Exec& e) {
  backward<double>(a, begin, end, e.phase);
}

}  // namespace maas
