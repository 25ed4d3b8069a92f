#include <cmath>

#include "ops/loss/cross_entropy_kernels.h"

namespace maas {
namespace {

struct Row {
  double top, total;
};

template <class T>
Row statistics(const T* x, int64_t n) {
  double top = static_cast<double>(x[0]), total = 0;
  for (int64_t c = 1; c < n; ++c)
    if (static_cast<double>(x[c]) > top || x[c] != x[c]) top = static_cast<double>(x[c]);
  for (int64_t c = 0; c < n; ++c) total += std::exp(static_cast<double>(x[c]) - top);
  return {top, total};
}

template <class T>
void keep(const CrossEntropyArgs& a, int64_t r, const Row& s) {
  if (a.top) static_cast<T*>(a.top)[r] = static_cast<T>(s.top);
  if (a.total) static_cast<T*>(a.total)[r] = static_cast<T>(s.total);
}

template <class T>
void labels(const CrossEntropyArgs& a, int64_t begin, int64_t end, const Exec& exec) {
  for (int64_t r = begin; r < end; ++r) {
    const T* x = static_cast<const T*>(a.x) + r * a.classes;
    const auto s = statistics(x, a.classes);
    keep<T>(a, r, s);
    const int64_t label = read_label(a, r);
    const bool good = label >= 0 && label < a.classes;
    if (!good && exec.status) exec.status->report(r, label);
    static_cast<T*>(a.loss)[r] =
        good ? static_cast<T>(std::log(s.total) - (static_cast<double>(x[label]) - s.top)) : T(0);
  }
}

template <class T>
void targets(const CrossEntropyArgs& a, int64_t begin, int64_t end) {
  for (int64_t r = begin; r < end; ++r) {
    const T *x = static_cast<const T*>(a.x) + r * a.classes, *t = static_cast<const T*>(a.targets) + r * a.classes;
    const auto s = statistics(x, a.classes);
    keep<T>(a, r, s);
    double loss = 0;
    for (int64_t c = 0; c < a.classes; ++c)
      loss += static_cast<double>(t[c]) * (std::log(s.total) - (static_cast<double>(x[c]) - s.top));
    static_cast<T*>(a.loss)[r] = static_cast<T>(loss);
  }
}

template <class T>
void gradient(const CrossEntropyArgs& a, int64_t begin, int64_t end, bool sparse, const Exec& exec) {
  for (int64_t r = begin; r < end; ++r) {
    const T *x = static_cast<const T*>(a.x) + r * a.classes, *t = static_cast<const T*>(a.targets) + r * a.classes;
    T* dx = static_cast<T*>(a.dx) + r * a.classes;
    const double top = static_cast<double>(static_cast<const T*>(a.top_in)[r]);
    const double total = static_cast<double>(static_cast<const T*>(a.total_in)[r]);
    double dloss = static_cast<double>(static_cast<const T*>(a.dloss)[r]), mass = 1;
    int64_t label = -1;
    if (sparse) {
      label = read_label(a, r);
      const bool good = label >= 0 && label < a.classes;
      if (!good && exec.status) exec.status->report(r, label);
      if (!good) dloss = 0;
    } else {
      mass = 0;
      for (int64_t c = 0; c < a.classes; ++c) mass += static_cast<double>(t[c]);
    }
    for (int64_t c = 0; c < a.classes; ++c) {
      const double target = sparse ? c == label : static_cast<double>(t[c]);
      dx[c] = static_cast<T>((std::exp(static_cast<double>(x[c]) - top) / total * mass - target) * dloss);
    }
  }
}

}  // namespace

void cross_entropy_labels_f32_ref(const CrossEntropyArgs& a, int64_t b, int64_t e, const Exec& x) {
  labels<float>(a, b, e, x);
}
void cross_entropy_labels_f64_ref(const CrossEntropyArgs& a, int64_t b, int64_t e, const Exec& x) {
  labels<double>(a, b, e, x);
}
void cross_entropy_targets_f32_ref(const CrossEntropyArgs& a, int64_t b, int64_t e, const Exec&) {
  targets<float>(a, b, e);
}
void cross_entropy_targets_f64_ref(const CrossEntropyArgs& a, int64_t b, int64_t e, const Exec&) {
  targets<double>(a, b, e);
}
void cross_entropy_labels_gradient_f32_ref(const CrossEntropyArgs& a, int64_t b, int64_t e, const Exec& x) {
  gradient<float>(a, b, e, true, x);
}
void cross_entropy_labels_gradient_f64_ref(const CrossEntropyArgs& a, int64_t b, int64_t e, const Exec& x) {
  gradient<double>(a, b, e, true, x);
}
void cross_entropy_targets_gradient_f32_ref(const CrossEntropyArgs& a, int64_t b, int64_t e, const Exec& x) {
  gradient<float>(a, b, e, false, x);
}
void cross_entropy_targets_gradient_f64_ref(const CrossEntropyArgs& a, int64_t b, int64_t e, const Exec& x) {
  gradient<double>(a, b, e, false, x);
}

}  // namespace maas
