// Kernels that copy bytes: plain loops over rows, memcpy within a row.
#include <cstring>

#include "core/element_io.h"
#include "ops/shape/move_kernels.h"

namespace maas {
namespace {

// Fills n elements with one element's bytes.
void fill(unsigned char* y, int64_t n, const unsigned char* value, int64_t bytes) {
  bool zero = true;
  for (int64_t b = 0; b < bytes; ++b) zero = zero && value[b] == 0;
  if (zero) {
    std::memset(y, 0, static_cast<size_t>(n * bytes));
    return;
  }
  for (int64_t i = 0; i < n; ++i) std::memcpy(y + i * bytes, value, static_cast<size_t>(bytes));
}

template <class T>
void gather_row(T* y, const T* x, int64_t n, int64_t stride) {
  for (int64_t i = 0; i < n; ++i) y[i] = x[i * stride];
}

void copy_row(unsigned char* y, const unsigned char* x, int64_t n, int64_t stride, int64_t bytes) {
  if (stride == 1) {
    std::memcpy(y, x, static_cast<size_t>(n * bytes));
    return;
  }
  switch (bytes) {
    case 1:
      return gather_row(y, x, n, stride);
    case 2:
      return gather_row(reinterpret_cast<uint16_t*>(y), reinterpret_cast<const uint16_t*>(x), n, stride);
    case 4:
      return gather_row(reinterpret_cast<uint32_t*>(y), reinterpret_cast<const uint32_t*>(x), n, stride);
    default:
      return gather_row(reinterpret_cast<uint64_t*>(y), reinterpret_cast<const uint64_t*>(x), n, stride);
  }
}

// Axes [from, rank) of a block of `shape`, in any strides, to dense y. Returns the end of what was written.
unsigned char* copy_block(unsigned char* y, const unsigned char* x, const int64_t* shape, const int64_t* strides,
                          int from, int rank, int64_t bytes) {
  if (from == rank) {
    std::memcpy(y, x, static_cast<size_t>(bytes));
    return y + bytes;
  }
  if (from == rank - 1) {
    copy_row(y, x, shape[from], strides[from], bytes);
    return y + shape[from] * bytes;
  }
  for (int64_t i = 0; i < shape[from]; ++i)
    y = copy_block(y, x + i * strides[from] * bytes, shape, strides, from + 1, rank, bytes);
  return y;
}

}  // namespace

void concatenate_any(const ConcatenateArgs& a, int64_t begin, int64_t end, const Exec&) {
  for (int64_t u = begin; u < end; ++u) {
    const ConcatenateArgs::Part& part = a.parts[u % a.inputs];
    const int64_t o = u / a.inputs, count = part.size * a.inner;
    if (count == 0) continue;
    unsigned char* y = static_cast<unsigned char*>(a.y) + (o * a.total + part.offset) * a.inner * a.bytes;
    const auto* x = static_cast<const unsigned char*>(part.x);
    if (part.dense) {
      std::memcpy(y, x + o * count * a.bytes, static_cast<size_t>(count * a.bytes));
      continue;
    }
    int64_t at = 0, rest = o, shape[kMoveRank];
    for (int d = a.axis; d-- > 0;) {
      at += rest % a.shape[d] * part.strides[d];
      rest /= a.shape[d];
    }
    for (int d = 0; d < a.rank; ++d) shape[d] = d == a.axis ? part.size : a.shape[d];
    copy_block(y, x + at * a.bytes, shape, part.strides, a.axis, a.rank, a.bytes);
  }
}

void place_any(const PlaceArgs& a, int64_t begin, int64_t end, const Exec&) {
  const int last = a.rank - 1;
  const int64_t columns = a.y_shape[last];
  for (int64_t row = begin; row < end; ++row) {
    unsigned char* y = static_cast<unsigned char*>(a.y) + row * columns * a.bytes;
    // Which row of x lies here, if any.
    int64_t rest = row, at = 0, scale = a.x_shape[last];
    bool inside = a.x_shape[last] > 0;
    for (int d = last; d-- > 0;) {
      const int64_t from = rest % a.y_shape[d] - a.begin[d];
      rest /= a.y_shape[d];
      inside = inside && from >= 0 && from % a.step[d] == 0 && from / a.step[d] < a.x_shape[d];
      at += from / a.step[d] * scale;
      scale *= a.x_shape[d];
    }
    if (!inside) {
      fill(y, columns, a.value, a.bytes);
      continue;
    }
    const unsigned char* x = static_cast<const unsigned char*>(a.x) + at * a.bytes;
    const int64_t n = a.x_shape[last], step = a.step[last], first = a.begin[last];
    if (step == 1) {
      fill(y, first, a.value, a.bytes);
      std::memcpy(y + first * a.bytes, x, static_cast<size_t>(n * a.bytes));
      fill(y + (first + n) * a.bytes, columns - first - n, a.value, a.bytes);
    } else {
      fill(y, columns, a.value, a.bytes);
      for (int64_t i = 0; i < n; ++i)
        std::memcpy(y + (first + i * step) * a.bytes, x + i * a.bytes, static_cast<size_t>(a.bytes));
    }
  }
}

void arange_any(const ArangeArgs& a, int64_t begin, int64_t end, const Exec&) {
  const int64_t last = end * ArangeArgs::unit < a.size ? end * ArangeArgs::unit : a.size;
  for (int64_t i = begin * ArangeArgs::unit; i < last; ++i)
    store_element(a.y, a.dtype, i, a.start + static_cast<double>(i) * a.step);
}

void one_hot_any(const OneHotArgs& a, int64_t begin, int64_t end, const Exec&) {
  const int64_t bytes = bit_size(a.dtype) / 8;
  std::memset(static_cast<unsigned char*>(a.y) + begin * a.classes * bytes, 0,
              static_cast<size_t>((end - begin) * a.classes * bytes));
  for (int64_t r = begin; r < end; ++r) {
    const auto at = load_element<int64_t>(a.indices, a.index_dtype, r);
    if (at >= 0 && at < a.classes) store_element(a.y, a.dtype, r * a.classes + at, 1.0);
  }
}

}  // namespace maas
