#include <cstring>

#include "core/element_io.h"
#include "ops/gather/gather_kernels.h"

namespace maas {
namespace {

// The row an index names, or -1 after a report.
int64_t row_of(const GatherArgs& a, int64_t position, const Exec& exec) {
  const auto index = load_element<int64_t>(a.indices, a.index_dtype, position);
  if (index >= 0 && index < a.size) return index;
  if (index < 0 && index >= a.low) return index + a.size;
  if (exec.status) exec.status->report(position, index);
  return -1;
}

template <class T>
void add_row(T* y, const T* x, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] += x[i];
}

void add(const GatherArgs& a, int64_t to, int64_t from, int64_t n) {
  if (a.dtype == DType::f32) return add_row(static_cast<float*>(a.y) + to, static_cast<const float*>(a.x) + from, n);
  if (a.dtype == DType::f64) return add_row(static_cast<double*>(a.y) + to, static_cast<const double*>(a.x) + from, n);
  for (int64_t i = 0; i < n; ++i)
    store_element(a.y, a.dtype, to + i,
                  load_element<float>(a.y, a.dtype, to + i) + load_element<float>(a.x, a.dtype, from + i));
}

}  // namespace

void take_ref(const GatherArgs& a, int64_t begin, int64_t end, const Exec& exec) {
  const auto row = static_cast<size_t>(a.inner * a.bytes);
  for (int64_t u = begin; u < end; ++u) {
    const int64_t o = u / a.count, from = row_of(a, u % a.count, exec);
    unsigned char* y = static_cast<unsigned char*>(a.y) + static_cast<size_t>(u) * row;
    if (from < 0)
      std::memset(y, 0, row);
    else
      std::memcpy(y, static_cast<const unsigned char*>(a.x) + static_cast<size_t>(o * a.size + from) * row, row);
  }
}

void take_gradient_ref(const GatherArgs& a, int64_t begin, int64_t end, const Exec& exec) {
  std::memset(static_cast<unsigned char*>(a.y) + begin * a.inner * a.bytes, 0,
              static_cast<size_t>((end - begin) * a.inner * a.bytes));
  for (int64_t o = begin / a.size; o * a.size < end; ++o) {
    const int64_t low = begin - o * a.size, high = end - o * a.size;
    for (int64_t j = 0; j < a.count; ++j) {
      const int64_t v = row_of(a, j, exec);
      if (v >= 0 && v >= low && v < high) add(a, (o * a.size + v) * a.inner, (o * a.count + j) * a.inner, a.inner);
    }
  }
}

void take_along_ref(const GatherArgs& a, int64_t begin, int64_t end, const Exec& exec) {
  const auto bytes = static_cast<size_t>(a.bytes);
  for (int64_t u = begin; u < end; ++u) {
    const int64_t o = u / a.count;
    for (int64_t n = 0; n < a.inner; ++n) {
      const int64_t from = row_of(a, u * a.inner + n, exec);
      unsigned char* y = static_cast<unsigned char*>(a.y) + static_cast<size_t>(u * a.inner + n) * bytes;
      if (from < 0)
        std::memset(y, 0, bytes);
      else
        std::memcpy(
            y, static_cast<const unsigned char*>(a.x) + static_cast<size_t>((o * a.size + from) * a.inner + n) * bytes,
            bytes);
    }
  }
}

void take_along_gradient_ref(const GatherArgs& a, int64_t begin, int64_t end, const Exec& exec) {
  std::memset(static_cast<unsigned char*>(a.y) + begin * a.size * a.inner * a.bytes, 0,
              static_cast<size_t>((end - begin) * a.size * a.inner * a.bytes));
  for (int64_t o = begin; o < end; ++o)
    for (int64_t j = 0; j < a.count; ++j)
      for (int64_t n = 0; n < a.inner; ++n) {
        const int64_t at = (o * a.count + j) * a.inner + n, v = row_of(a, at, exec);
        if (v >= 0) add(a, (o * a.size + v) * a.inner + n, at, 1);
      }
}

}  // namespace maas
