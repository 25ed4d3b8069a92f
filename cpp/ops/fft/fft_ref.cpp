#include <cmath>
#include <vector>

#include "ops/fft/fft_kernels.h"

namespace maas {
namespace {

constexpr double pi = 3.14159265358979323846;

Complex operator+(Complex a, Complex b) { return {a.re + b.re, a.im + b.im}; }
Complex operator-(Complex a, Complex b) { return {a.re - b.re, a.im - b.im}; }
Complex operator*(Complex a, Complex b) { return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re}; }
Complex conj(Complex a) { return {a.re, -a.im}; }
// exp(i pi turn / half)
Complex unit_root(int64_t turn, int64_t half, double sign) {
  const double angle = pi * static_cast<double>(turn) / static_cast<double>(half);
  return {std::cos(angle), sign * std::sin(angle)};
}
void fill_roots(Complex* w, int64_t n, double sign) {
  for (int64_t k = 0; k < n; ++k) w[k] = unit_root(2 * k, n, sign);
}

int64_t next_factor(int64_t n) {
  if (n % 4 == 0) return 4;
  int64_t p = 2;
  while (n % p) ++p;
  return p;
}

struct Roots {
  const Complex* w;
  int64_t n;
  double sign;
};

// out = transform of every `stride`-th element of in, n of them; roots.n = n * stride.
void split(const Complex* in, Complex* out, int64_t n, int64_t stride, const Roots& roots) {
  if (n == 1) {
    out[0] = in[0];
    return;
  }
  const int64_t p = next_factor(n), m = n / p;
  for (int64_t q = 0; q < p; ++q) split(in + q * stride, out + q * m, m, stride * p, roots);
  for (int64_t k = 0; k < m; ++k) {
    Complex part[fft_largest_factor];
    for (int64_t q = 0; q < p; ++q) part[q] = out[q * m + k] * roots.w[q * k * stride];
    if (p == 2) {
      out[k] = part[0] + part[1];
      out[k + m] = part[0] - part[1];
    } else if (p == 4) {
      const Complex a = part[0] + part[2], b = part[0] - part[2], c = part[1] + part[3], d = part[1] - part[3];
      const Complex turned{-roots.sign * d.im, roots.sign * d.re};
      out[k] = a + c;
      out[k + m] = b + turned;
      out[k + 2 * m] = a - c;
      out[k + 3 * m] = b - turned;
    } else {
      for (int64_t r = 0; r < p; ++r) {
        Complex sum = part[0];
        for (int64_t q = 1; q < p; ++q) sum = sum + part[q] * roots.w[q * r % p * m * stride];
        out[k + r * m] = sum;
      }
    }
  }
}

template <class T>
double at(const void* x, int64_t i) {
  return x ? static_cast<double>(static_cast<const T*>(x)[i]) : 0;
}
template <class T>
void put(const FftArgs& a, int64_t i, Complex v) {
  if (a.re_y) static_cast<T*>(a.re_y)[i] = static_cast<T>(v.re);
  if (a.im_y) static_cast<T*>(a.im_y)[i] = static_cast<T>(v.im);
}

template <class T>
void run_split(const FftArgs& a, int64_t begin, int64_t end, const Exec& e) {
  const int64_t n = a.n;
  Complex *in = static_cast<Complex*>(e.scratch), *out = in + n;
  const Roots roots{a.tables, n, a.inverse ? 1.0 : -1.0};
  for (int64_t r = begin; r < end && !e.stopped(); ++r) {
    for (int64_t i = 0; i < n; ++i) in[i] = {at<T>(a.re_x, r * n + i), at<T>(a.im_x, r * n + i)};
    split(in, out, n, 1, roots);
    for (int64_t i = 0; i < n; ++i) put<T>(a, r * n + i, out[i]);
  }
}

// With c[k] = exp(sign i pi k^2 / n):  y[k] = c[k] sum_j (x[j] c[j]) conj(c[k - j]), a convolution.
template <class T>
void run_bluestein(const FftArgs& a, int64_t begin, int64_t end, const Exec& e) {
  const int64_t n = a.n, m = fft_padded(n);
  const Complex *kernel = a.tables + m, *chirp = kernel + m;
  Complex *x = static_cast<Complex*>(e.scratch), *y = x + m;
  const Roots roots{a.tables, m, -1};
  for (int64_t r = begin; r < end && !e.stopped(); ++r) {
    for (int64_t i = 0; i < n; ++i) x[i] = Complex{at<T>(a.re_x, r * n + i), at<T>(a.im_x, r * n + i)} * chirp[i];
    for (int64_t i = n; i < m; ++i) x[i] = {0, 0};
    split(x, y, m, 1, roots);
    // The inverse transform is the conjugate of the transform of the conjugate.
    for (int64_t i = 0; i < m; ++i) x[i] = conj(y[i] * kernel[i]);
    split(x, y, m, 1, roots);
    const double scale = 1 / static_cast<double>(m);
    for (int64_t i = 0; i < n; ++i) put<T>(a, r * n + i, conj(y[i]) * Complex{scale, 0} * chirp[i]);
  }
}

template <class T>
void run(const FftArgs& a, int64_t begin, int64_t end, const Exec& e) {
  if (fft_splits(a.n))
    run_split<T>(a, begin, end, e);
  else
    run_bluestein<T>(a, begin, end, e);
}

}  // namespace

void fft_fill_tables(int64_t n, bool inverse, Complex* tables) {
  const double sign = inverse ? 1 : -1;
  if (fft_splits(n)) return fill_roots(tables, n, sign);
  const int64_t m = fft_padded(n);
  Complex *kernel = tables + m, *chirp = kernel + m;
  fill_roots(tables, m, -1);
  for (int64_t k = 0; k < n; ++k) chirp[k] = unit_root(k * k % (2 * n), n, sign);  // n is far below 2^31
  std::vector<Complex> x(static_cast<size_t>(m), Complex{0, 0});
  for (int64_t k = 0; k < n; ++k) x[static_cast<size_t>(k)] = x[static_cast<size_t>(k ? m - k : 0)] = conj(chirp[k]);
  split(x.data(), kernel, m, 1, {tables, m, -1});
}

void fft_f32_ref(const FftArgs& a, int64_t begin, int64_t end, const Exec& e) { run<float>(a, begin, end, e); }
void fft_f64_ref(const FftArgs& a, int64_t begin, int64_t end, const Exec& e) { run<double>(a, begin, end, e); }

}  // namespace maas
