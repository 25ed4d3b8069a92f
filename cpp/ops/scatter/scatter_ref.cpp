#include <cstring>
#include <limits>
#include <type_traits>

#include "core/element_io.h"
#include "ops/scatter/scatter_kernels.h"

namespace maas {
namespace {

// The row that index tuple j names, or -1 after a report.
int64_t row_of(const ScatterArgs& a, int64_t j, const Exec& exec) {
  int64_t row = 0;
  for (int k = 0; k < a.depth; ++k) {
    const int64_t position = j * a.depth + k, size = a.sizes[k];
    auto index = load_element<int64_t>(a.indices, a.index_dtype, position);
    if (index < 0 && a.wrap && index >= -size) index += size;
    if (index < 0 || index >= size) {
      if (exec.status) exec.status->report(position, load_element<int64_t>(a.indices, a.index_dtype, position));
      return -1;
    }
    row = row * size + index;
  }
  return row;
}

template <class T>
T combined(ScatterMode mode, T y, T x) {
  switch (mode) {
    case ScatterMode::set:
      return x;
    case ScatterMode::max:
      return x > y || x != x ? x : y;  // a NaN wins, first or last
    case ScatterMode::min:
      return x < y || x != x ? x : y;
    default:
      break;
  }
  const bool add = mode == ScatterMode::add;
  if constexpr (std::is_floating_point_v<T>) {
    return add ? y + x : y * x;
  } else {  // in 64 bits without a sign: an overflow wraps
    const auto wide_y = static_cast<uint64_t>(y), wide_x = static_cast<uint64_t>(x);
    return static_cast<T>(add ? wide_y + wide_x : wide_y * wide_x);
  }
}

template <class T>
void fold(ScatterMode mode, T* y, const T* x, int64_t n) {
  if (mode == ScatterMode::add && std::is_floating_point_v<T>) {
    for (int64_t i = 0; i < n; ++i) y[i] += x[i];
    return;
  }
  for (int64_t i = 0; i < n; ++i) y[i] = combined(mode, y[i], x[i]);
}

void fold_any(const ScatterArgs& a, int64_t to, int64_t from, int64_t n) {
  const auto run = [&]<class T>(T) { fold(a.mode, static_cast<T*>(a.y) + to, static_cast<const T*>(a.x) + from, n); };
  switch (a.dtype) {
    case DType::f64:
      return run(double());
    case DType::f32:
      return run(float());
    case DType::i8:
      return run(int8_t());
    case DType::u8:
      return run(uint8_t());
    case DType::i16:
      return run(int16_t());
    case DType::i32:
      return run(int32_t());
    case DType::i64:
      return run(int64_t());
    case DType::u16:
      return run(uint16_t());
    case DType::u32:
      return run(uint32_t());
    case DType::u64:
      return run(uint64_t());
    default:  // bf16 and f16 as floats, booleans as 0 and 1
      for (int64_t i = 0; i < n; ++i)
        store_element(
            a.y, a.dtype, to + i,
            combined(a.mode, load_element<float>(a.y, a.dtype, to + i), load_element<float>(a.x, a.dtype, from + i)));
  }
}

// The neutral element of max (of min with its sign turned: the greatest).
void fill_extreme(const ScatterArgs& a, int64_t to, int64_t n) {
  const bool low = a.mode == ScatterMode::max;
  const auto fill = [&]<class I>(I) {
    const I v = low ? std::numeric_limits<I>::min() : std::numeric_limits<I>::max();
    for (int64_t i = 0; i < n; ++i) static_cast<I*>(a.y)[to + i] = v;
  };
  switch (a.dtype) {
    case DType::i8:
      return fill(int8_t());
    case DType::u8:
      return fill(uint8_t());
    case DType::i16:
      return fill(int16_t());
    case DType::i32:
      return fill(int32_t());
    case DType::i64:
      return fill(int64_t());
    case DType::u16:
      return fill(uint16_t());
    case DType::u32:
      return fill(uint32_t());
    case DType::u64:
      return fill(uint64_t());
    case DType::b8:
      std::memset(static_cast<unsigned char*>(a.y) + to, low ? 0 : 1, static_cast<size_t>(n));
      return;
    default:
      const double inf = std::numeric_limits<double>::infinity();
      for (int64_t i = 0; i < n; ++i) store_element(a.y, a.dtype, to + i, low ? -inf : inf);
  }
}

void start(const ScatterArgs& a, int64_t to, int64_t n) {
  unsigned char* y = static_cast<unsigned char*>(a.y) + to * a.bytes;
  const auto bytes = static_cast<size_t>(n * a.bytes);
  if (a.base == a.y) return;
  if (a.base)
    std::memcpy(y, static_cast<const unsigned char*>(a.base) + to * a.bytes, bytes);
  else if (a.mode == ScatterMode::set || a.mode == ScatterMode::add)
    std::memset(y, 0, bytes);
  else if (a.mode == ScatterMode::multiply)
    for (int64_t i = 0; i < n; ++i) store_element(a.y, a.dtype, to + i, 1.0);
  else
    fill_extreme(a, to, n);
}

}  // namespace

void scatter_ref(const ScatterArgs& a, int64_t begin, int64_t end, const Exec& exec) {
  const int64_t low = begin * ScatterArgs::columns, stop = end * ScatterArgs::columns;
  const int64_t high = stop < a.inner ? stop : a.inner, n = high - low;
  if (low == 0 && high == a.inner)
    start(a, 0, a.rows * a.inner);
  else
    for (int64_t r = 0; r < a.rows; ++r) start(a, r * a.inner + low, n);
  for (int64_t j = 0; j < a.count; ++j) {
    if (j % 65536 == 65535 && exec.stopped()) return;
    const int64_t row = row_of(a, j, exec);
    if (row < 0) continue;
    const int64_t to = row * a.inner + low, from = j * a.inner + low;
    if (a.mode == ScatterMode::set)
      std::memcpy(static_cast<unsigned char*>(a.y) + to * a.bytes,
                  static_cast<const unsigned char*>(a.x) + from * a.bytes, static_cast<size_t>(n * a.bytes));
    else
      fold_any(a, to, from, n);
  }
}

void gather_nd_ref(const ScatterArgs& a, int64_t begin, int64_t end, const Exec& exec) {
  const auto bytes = static_cast<size_t>(a.inner * a.bytes);
  for (int64_t j = begin; j < end; ++j) {
    const int64_t row = row_of(a, j, exec);
    unsigned char* y = static_cast<unsigned char*>(a.y) + static_cast<size_t>(j) * bytes;
    if (row < 0)
      std::memset(y, 0, bytes);
    else
      std::memcpy(y, static_cast<const unsigned char*>(a.x) + static_cast<size_t>(row) * bytes, bytes);
  }
}

}  // namespace maas
