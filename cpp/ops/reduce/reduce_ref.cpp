#include <cmath>
#include <limits>

#include "core/element_io.h"
#include "ops/reduce/reduce.h"

namespace maas {
namespace {

template <class T>
bool better(Fold fold, T v, T best) {
  if (best != best) return false;  // the first NaN stays
  if (v != v) return true;
  return fold == Fold::max || fold == Fold::argmax ? v > best : v < best;
}

// T: double, or int64 (unsigned arithmetic, so that an overflow wraps).
template <class T>
void run(const ReduceArgs& a, int64_t begin, int64_t end) {
  for (int64_t u = begin; u < end; ++u) {
    const int64_t o = u / a.inner, i = u % a.inner;
    auto x = [&](int64_t r) { return load_element<T>(a.x, a.dtype, (o * a.reduced + r) * a.inner + i); };
    T y = T(0);
    switch (a.fold) {
      case Fold::sum:
      case Fold::mean:
        for (int64_t r = 0; r < a.reduced; ++r) {
          if constexpr (std::is_integral_v<T>)
            y = static_cast<T>(static_cast<uint64_t>(y) + static_cast<uint64_t>(x(r)));
          else
            y += x(r);
        }
        if constexpr (!std::is_integral_v<T>)
          if (a.fold == Fold::mean) y = y / static_cast<T>(a.reduced);
        break;
      case Fold::prod:
        y = T(1);
        for (int64_t r = 0; r < a.reduced; ++r) {
          if constexpr (std::is_integral_v<T>)
            y = static_cast<T>(static_cast<uint64_t>(y) * static_cast<uint64_t>(x(r)));
          else
            y *= x(r);
        }
        break;
      case Fold::any:
        for (int64_t r = 0; r < a.reduced && y == 0; ++r) y = x(r) != 0;
        break;
      case Fold::all:
        y = T(1);
        for (int64_t r = 0; r < a.reduced && y != 0; ++r) y = x(r) != 0;
        break;
      case Fold::max:
      case Fold::min:
      case Fold::argmax:
      case Fold::argmin: {
        if (a.reduced == 0) break;
        T best = x(0);
        int64_t at = 0;
        for (int64_t r = 1; r < a.reduced; ++r)
          if (better(a.fold, x(r), best)) best = x(r), at = r;
        y = a.fold == Fold::max || a.fold == Fold::min ? best : static_cast<T>(at);
        break;
      }
    }
    store_element(a.y, a.result, u, y);
  }
}

}  // namespace

void reduce_ref(const ReduceArgs& a, int64_t begin, int64_t end, const Exec&) {
  if (is_floating(a.dtype) || a.fold == Fold::mean)
    run<double>(a, begin, end);
  else if (a.dtype == DType::u64)
    run<uint64_t>(a, begin, end);
  else
    run<int64_t>(a, begin, end);
}

void element_count_ref(const ElementCount::Args& a, int64_t begin, int64_t end, const Exec&) {
  if (begin < end) store_element(a.y, a.dtype, 0, a.count);
}

}  // namespace maas
