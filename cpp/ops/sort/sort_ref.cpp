// Keys are integers in the order of the elements, so that one comparison, or one radix, serves every dtype.
#include <algorithm>
#include <bit>
#include <cstring>

#include "core/element_io.h"
#include "ops/sort/sort_kernels.h"

namespace maas {
namespace {

struct Wide {
  uint64_t key;
  uint64_t index;
};

uint32_t float_key(float v) {
  if (v != v) return UINT32_MAX;
  if (v == 0) v = 0;  // -0
  const auto bits = std::bit_cast<uint32_t>(v);
  return bits >> 31 ? ~bits : bits | 0x80000000u;
}

uint64_t double_key(double v) {
  if (v != v) return UINT64_MAX;
  if (v == 0) v = 0;
  const auto bits = std::bit_cast<uint64_t>(v);
  return bits >> 63 ? ~bits : bits | (uint64_t{1} << 63);
}

uint32_t narrow_key(const SortArgs& a, int64_t at) {
  if (is_floating(a.dtype)) return float_key(load_element<float>(a.x, a.dtype, at));
  return static_cast<uint32_t>(load_element<int64_t>(a.x, a.dtype, at) +
                               (a.dtype == DType::u32 ? 0 : INT64_C(1) << 31));
}

uint64_t wide_key(const SortArgs& a, int64_t at) {
  if (a.dtype == DType::f64) return double_key(static_cast<const double*>(a.x)[at]);
  return static_cast<const uint64_t*>(a.x)[at] ^ (a.dtype == DType::u64 ? 0 : uint64_t{1} << 63);
}

// Ascending by the upper half; stable, so the lower half (the index) stays in order. The result is in the array it
// returns.
uint64_t* radix_sort(uint64_t* keys, uint64_t* other, int64_t n, const Exec& exec) {
  for (int shift = 32; shift < 64; shift += 8) {
    if (exec.stopped()) return keys;
    int64_t places[256] = {};
    for (int64_t i = 0; i < n; ++i) ++places[keys[i] >> shift & 255];
    if (places[keys[0] >> shift & 255] == n) continue;
    int64_t sum = 0;
    for (int64_t& p : places) {
      const int64_t count = p;
      p = sum;
      sum += count;
    }
    for (int64_t i = 0; i < n; ++i) other[places[keys[i] >> shift & 255]++] = keys[i];
    std::swap(keys, other);
  }
  return keys;
}

template <class Key, class Less>
void first_in_order(Key* keys, int64_t n, int64_t keep, Less less) {
  if (keep < n) std::nth_element(keys, keys + keep, keys + n, less);
  std::sort(keys, keys + keep, less);
}

// The few largest of a row: most elements lose against the least of those found so far. Keys fall; of equal ones the
// first comes first, and a NaN passes the comparison.
template <class T>
void few_largest(const T* x, int64_t step, int64_t n, Wide* best, int64_t keep) {
  const auto key = [](T v) {
    if constexpr (sizeof(T) == 8)
      return double_key(v);
    else
      return uint64_t{float_key(v)};
  };
  T least = 0;
  for (int64_t i = 0; i < n; ++i) {
    const T v = x[i * step];
    if (i >= keep && v <= least) continue;
    const uint64_t mine = key(v);
    if (i >= keep && best[keep - 1].key >= mine) continue;
    int64_t j = i < keep ? i : keep - 1;
    for (; j > 0 && best[j - 1].key < mine; --j) best[j] = best[j - 1];
    best[j] = {mine, static_cast<uint64_t>(i)};
    if (i + 1 >= keep) least = x[static_cast<int64_t>(best[keep - 1].index) * step];
  }
}

void write(const SortArgs& a, int64_t row, int64_t column, int64_t j, int64_t index) {
  const int64_t to = (row * a.keep + j) * a.inner + column, from = (row * a.size + index) * a.inner + column;
  if (a.indices) a.indices[to] = static_cast<int32_t>(index);
  if (!a.values) return;
  const auto bytes = static_cast<size_t>(bit_size(a.dtype) / 8);
  std::memcpy(static_cast<unsigned char*>(a.values) + static_cast<size_t>(to) * bytes,
              static_cast<const unsigned char*>(a.x) + static_cast<size_t>(from) * bytes, bytes);
}

}  // namespace

void sort_ref(const SortArgs& a, int64_t begin, int64_t end, const Exec& exec) {
  if (a.keep == 0) return;
  for (int64_t u = begin; u < end; ++u) {
    const int64_t row = u / a.inner, column = u % a.inner, first = row * a.size * a.inner + column;
    const bool few = a.descending && a.keep <= 32 && a.keep < a.size / 4;
    Wide* keys = static_cast<Wide*>(exec.scratch);
    if (few && (a.dtype == DType::f64 || a.dtype == DType::f32)) {
      if (a.dtype == DType::f64)
        few_largest(static_cast<const double*>(a.x) + first, a.inner, a.size, keys, a.keep);
      else
        few_largest(static_cast<const float*>(a.x) + first, a.inner, a.size, keys, a.keep);
      for (int64_t j = 0; j < a.keep; ++j) write(a, row, column, j, static_cast<int64_t>(keys[j].index));
    } else if (bit_size(a.dtype) == 64) {
      const uint64_t turn = a.descending ? UINT64_MAX : 0;
      for (int64_t i = 0; i < a.size; ++i)
        keys[i] = {wide_key(a, first + i * a.inner) ^ turn, static_cast<uint64_t>(i)};
      first_in_order(keys, a.size, a.keep, [](const Wide& l, const Wide& r) {
        return l.key < r.key || (l.key == r.key && l.index < r.index);
      });
      for (int64_t j = 0; j < a.keep; ++j) write(a, row, column, j, static_cast<int64_t>(keys[j].index));
    } else {
      uint64_t* narrow = static_cast<uint64_t*>(exec.scratch);
      const uint32_t turn = a.descending ? UINT32_MAX : 0;
      for (int64_t i = 0; i < a.size; ++i)
        narrow[i] = static_cast<uint64_t>(narrow_key(a, first + i * a.inner) ^ turn) << 32 | static_cast<uint64_t>(i);
      if (a.size >= 256 && a.keep > a.size / 8)
        narrow = radix_sort(narrow, narrow + a.size, a.size, exec);
      else
        first_in_order(narrow, a.size, a.keep, [](uint64_t l, uint64_t r) { return l < r; });
      for (int64_t j = 0; j < a.keep; ++j) write(a, row, column, j, static_cast<int64_t>(narrow[j] & UINT32_MAX));
    }
  }
}

namespace {

template <class T>
void search(const SearchArgs& a, int64_t begin, int64_t end) {
  const auto less = [](T l, T r) { return l < r || (r != r && l == l); };
  for (int64_t i = begin; i < end; ++i) {
    const T v = load_element<T>(a.values, a.dtype, i);
    int64_t low = 0, high = a.size;
    while (low < high) {
      const int64_t middle = low + (high - low) / 2;
      const T s = load_element<T>(a.sorted, a.dtype, middle);
      if (a.right ? !less(v, s) : less(s, v))
        low = middle + 1;
      else
        high = middle;
    }
    a.y[i] = static_cast<int32_t>(low);
  }
}

}  // namespace

void searchsorted_ref(const SearchArgs& a, int64_t begin, int64_t end, const Exec&) {
  if (is_floating(a.dtype))
    search<double>(a, begin, end);
  else if (a.dtype == DType::u64)
    search<uint64_t>(a, begin, end);
  else
    search<int64_t>(a, begin, end);
}

}  // namespace maas
