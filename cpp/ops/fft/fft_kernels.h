#pragma once
// y[r][k] = sum_j x[r][j] exp(-2 pi i j k / n), +2 pi i with inverse; not divided by n. Real and imaginary parts apart,
// rows x n each, dense; im_x may be null: zeros; an output may be null. n >= 1. Computed in float64. Sizes whose prime
// factors are at most 13 are split into them, others run as a convolution of a power of two (Bluestein). One unit = one
// row. Scratch: fft_scratch(n) complex numbers. tables: what fft_fill_tables(n, inverse) wrote, once for all calls.
#include <cstdint>

#include "core/exec.h"

namespace maas {

struct Complex {
  double re, im;
};

struct FftArgs {
  const void* re_x;
  const void* im_x;
  void* re_y;
  void* im_y;
  int64_t rows, n;
  bool inverse;
  const Complex* tables;
};

constexpr int64_t fft_largest_factor = 13;
constexpr bool fft_splits(int64_t n) {
  for (int64_t p = 2; p <= fft_largest_factor; ++p)
    while (n % p == 0) n /= p;
  return n == 1;
}
// The power of two whose circular convolution holds Bluestein's sum.
constexpr int64_t fft_padded(int64_t n) {
  int64_t m = 1;
  while (m < 2 * n - 1) m *= 2;
  return m;
}
constexpr int64_t fft_scratch(int64_t n) { return 2 * (fft_splits(n) ? n : fft_padded(n)); }
// Roots of unity; Bluestein: those of the padded size, the transformed kernel and the chirp.
constexpr int64_t fft_table_size(int64_t n) { return fft_splits(n) ? n : 2 * fft_padded(n) + n; }
void fft_fill_tables(int64_t n, bool inverse, Complex* tables);

}  // namespace maas
