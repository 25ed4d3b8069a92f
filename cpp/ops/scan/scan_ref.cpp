#include "core/element_io.h"
#include "ops/scan/scan_kernels.h"

namespace maas {
namespace {

// T: double, or uint64 for integers, so that an overflow wraps.
template <class T, class Load>
void run(const ScanArgs& a, int64_t begin, int64_t end) {
  for (int64_t u = begin; u < end; ++u) {
    const int64_t first = u / a.inner * a.size * a.inner + u % a.inner;
    T sum = 0;
    for (int64_t k = 0; k < a.size; ++k) {
      const int64_t at = first + (a.reverse ? a.size - 1 - k : k) * a.inner;
      sum += static_cast<T>(load_element<Load>(a.x, a.dtype, at));
      store_element<Load>(a.y, a.result, at, static_cast<Load>(sum));
    }
  }
}

template <class T, class Load>
void run_linear(const LinearScanArgs& s, int64_t begin, int64_t end) {
  for (int64_t u = begin; u < end; ++u) {
    const int64_t first = u / s.inner * s.size * s.inner + u % s.inner;
    T y = 0;
    for (int64_t k = 0; k < s.size; ++k) {
      const int64_t at = first + (s.reverse ? s.size - 1 - k : k) * s.inner;
      const T b = static_cast<T>(load_element<Load>(s.b, s.dtype, at));
      // The first step has nothing behind it, whatever its factor is.
      y = k ? static_cast<T>(load_element<Load>(s.a, s.dtype, at)) * y + b : b;
      store_element<Load>(s.y, s.dtype, at, static_cast<Load>(y));
    }
  }
}

}  // namespace

void linear_scan_ref(const LinearScanArgs& a, int64_t begin, int64_t end, const Exec&) {
  if (is_floating(a.dtype))
    run_linear<double, double>(a, begin, end);
  else
    run_linear<uint64_t, int64_t>(a, begin, end);
}

void cumsum_any_ref(const ScanArgs& a, int64_t begin, int64_t end, const Exec&) {
  if (is_floating(a.dtype))
    run<double, double>(a, begin, end);
  else
    run<uint64_t, int64_t>(a, begin, end);
}

}  // namespace maas
