#include <algorithm>
#include <cstring>

#include "core/element_io.h"
#include "ops/select/select_kernels.h"

namespace maas {

void nonzero_ref(const NonzeroArgs& a, int64_t begin, int64_t end, const Exec&) {
  if (begin >= end) return;
  int32_t n = 0;
  for (int64_t i = 0; i < a.size; ++i)
    if (load_element<double>(a.x, a.dtype, i) != 0) a.positions[n++] = static_cast<int32_t>(i);
  std::fill(a.positions + n, a.positions + a.size, 0);
  *a.count = n;
}

namespace {

template <class T>
void unique(const UniqueArgs& a) {
  auto at = [&](int32_t i) { return load_element<T>(a.x, a.dtype, i); };
  auto less = [](T x, T y) { return x < y || (y != y && x == x); };
  for (int64_t i = 0; i < a.size; ++i) a.order[i] = static_cast<int32_t>(i);
  // Equal elements in the order of their places, so the first of a run is the first place.
  std::sort(a.order, a.order + a.size, [&](int32_t i, int32_t j) {
    const T x = at(i), y = at(j);
    return less(x, y) || (!less(y, x) && i < j);
  });
  const int64_t bytes = bit_size(a.dtype) / 8;
  int32_t n = 0;
  for (int64_t k = 0; k < a.size; ++k) {
    const int32_t i = a.order[k];
    if (k == 0 || less(at(a.order[k - 1]), at(i))) {
      std::memcpy(static_cast<std::byte*>(a.values) + n * bytes, static_cast<const std::byte*>(a.x) + i * bytes,
                  static_cast<size_t>(bytes));
      a.index[n] = i;
      a.counts[n] = 0;
      ++n;
    }
    ++a.counts[n - 1];
    a.inverse[i] = n - 1;
  }
  std::memset(static_cast<std::byte*>(a.values) + n * bytes, 0, static_cast<size_t>((a.size - n) * bytes));
  std::fill(a.index + n, a.index + a.size, 0);
  std::fill(a.counts + n, a.counts + a.size, 0);
  *a.count = n;
}

}  // namespace

void unique_ref(const UniqueArgs& a, int64_t begin, int64_t end, const Exec&) {
  if (begin >= end) return;
  if (is_floating(a.dtype))
    unique<double>(a);
  else if (a.dtype == DType::u64)
    unique<uint64_t>(a);
  else
    unique<int64_t>(a);
}

}  // namespace maas
