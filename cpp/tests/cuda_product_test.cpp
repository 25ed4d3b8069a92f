// Products by kernels of the emulator against plain sums in float64: layouts, batches, epilogues, few rows.
#include <array>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <random>
#include <vector>

#include "core/element_io.h"
#include "cuda/blas.h"
#include "cuda/launch.h"
#include "cuda/skinny_product.h"
#include "cuda/split_product.h"
#include "cuda/wgmma_product.h"

using namespace maas;

namespace {

std::mt19937 g_random(1);

// Of any dtype, 256-byte aligned as memory of a GPU is.
struct Storage {
  DType dtype;
  std::vector<unsigned char> bytes;
  unsigned char* at;
  Storage(DType t, int64_t count, double scale) : dtype(t), bytes(static_cast<size_t>(count * bit_size(t) / 8 + 256)) {
    at = bytes.data() + (256 - reinterpret_cast<uintptr_t>(bytes.data()) % 256) % 256;
    std::normal_distribution<double> normal(0, scale);
    for (int64_t i = 0; i < count; ++i) store_element(at, t, i, scale > 0 ? normal(g_random) : NAN);
  }
  double operator[](int64_t i) const { return load_element<double>(at, dtype, i); }
};

enum Layout { rows, columns, gaps, apart };
// Strides of a matrix; returns how many elements it takes, in multiples of 8.
int64_t lay(int how, int64_t r, int64_t c, int64_t& rs, int64_t& cs) {
  rs = how == rows ? c : how == columns ? 1 : how == gaps ? c + 8 : 2 * c + 1;
  cs = how == columns ? r : how == apart ? 2 : 1;
  return (r * c == 0 ? 0 : (r - 1) * rs + (c - 1) * cs + 1 + 7) / 8 * 8;
}

double activated(double x, ProductEpilogue::Activation a) {
  if (a == ProductEpilogue::relu) return x > 0 ? x : 0;
  if (a == ProductEpilogue::gelu_erf) return 0.5 * x * std::erfc(-x / std::sqrt(2.0));
  if (a == ProductEpilogue::gelu_tanh)
    return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
  return x;
}

struct Case {
  DType dtype;
  int64_t m, n, k;
  int a = rows, b = rows;
  int64_t batch = 1;
  bool one_b = false, bias = false, residual = false, first = false;
  int activation = 0;
};

enum Way { any, few_rows, hopper };
// Whether the kernel of that way took it.
bool run(const Case& c, Way way) {
  MatrixProduct p;
  p.dtype = c.dtype;
  p.m = c.m;
  p.n = c.n;
  p.k = c.k;
  p.batch = c.batch;
  p.a_batch = lay(c.a, c.m, c.k, p.rsa, p.csa);
  const int64_t size_b = lay(c.b, c.k, c.n, p.rsb, p.csb);
  p.b_batch = c.one_b ? 0 : size_b;
  p.ldc = c.n;
  p.c_batch = c.m * c.n;
  const int64_t count = c.batch * c.m * c.n;
  Storage a(c.dtype, p.a_batch * c.batch, 1), b(c.dtype, size_b * c.batch, 0.3), y(c.dtype, count, 0);
  Storage bias(c.dtype, c.n, 1), residual(c.dtype, count, 1);
  p.a = a.at;
  p.b = b.at;
  p.c = y.at;
  p.epilogue.activation = static_cast<ProductEpilogue::Activation>(c.activation);
  p.epilogue.residual_first = c.first;
  if (c.bias) p.epilogue.bias = bias.at;
  if (c.residual) p.epilogue.residual = residual.at;
  Launch l;
  std::vector<unsigned char> scratch(std::max(cuda::multiply_scratch(p), cuda::split_product_scratch(p)) + 256);
  l.scratch = scratch.data() + (256 - reinterpret_cast<uintptr_t>(scratch.data()) % 256) % 256;
  const bool taken = way == few_rows && cuda::skinny_product(p, l);
  const bool by_hopper =
      way == hopper && (c.dtype == DType::f32 ? cuda::split_product(p, l) : cuda::wgmma_product(p, l));
  if (!taken && !by_hopper) cuda::multiply(p, l);
  cuda::check(cudaDeviceSynchronize(), "product");

  const double rounding = c.dtype == DType::f32    ? 6e-8
                          : c.dtype == DType::f64  ? 1.2e-16
                          : c.dtype == DType::bf16 ? 4e-3
                                                   : 5e-4;
  const double sums = c.dtype == DType::f64 ? 1.2e-16 : 6e-8;
  double worst = 0;
  for (int64_t t = 0; t < c.batch; ++t)
    for (int64_t i = 0; i < c.m; ++i)
      for (int64_t j = 0; j < c.n; ++j) {
        double sum = 0, size = 3;
        for (int64_t k = 0; k < c.k; ++k) {
          const double v = a[t * p.a_batch + i * p.rsa + k * p.csa] * b[t * p.b_batch + k * p.rsb + j * p.csb];
          sum += v;
          size += std::fabs(v);
        }
        const int64_t at = t * p.c_batch + i * c.n + j;
        if (c.bias) sum += bias[j];
        const double more = c.residual ? residual[at] : 0;
        sum = activated(c.first ? sum + more : sum, p.epilogue.activation) + (c.first ? 0 : more);
        const double allowed = size * sums * (4 + std::sqrt(static_cast<double>(c.k))) + std::fabs(sum) * rounding +
                               (c.activation > 1 ? 1e-5 * std::fabs(sum) + 1e-6 : 0);
        const double error = std::fabs(y[at] - sum) / allowed;
        worst = error == error ? std::max(worst, error) : INFINITY;
      }
  BOOST_TEST(worst <= 1, "dtype " << to_string(c.dtype) << ", " << c.m << " x " << c.n << " x " << c.k << ", layouts "
                                  << c.a << " " << c.b << ", batch " << c.batch << ", activation " << c.activation
                                  << ", way " << way << ": error " << worst << " of the bound");
  return taken || by_hopper;
}

constexpr DType kTypes[] = {DType::f32, DType::bf16, DType::f16, DType::f64};

}  // namespace

BOOST_AUTO_TEST_CASE(every_layout) {
  for (DType t : kTypes)
    for (int a = 0; a < 4; ++a)
      for (int b = 0; b < 4; ++b)
        for (const auto& [m, n, k] :
             std::vector<std::array<int64_t, 3>>{{1, 1, 1}, {5, 7, 9}, {1, 40, 33}, {8, 24, 40}, {6, 16, 1}})
          for (int64_t batch : {1, 3}) {
            Case c{t, m, n, k, a, b, batch, a == 1};
            if (t != DType::f64) {
              c.bias = (a + b) % 2;
              c.residual = (a + b) % 4 / 2;
              c.first = a % 2;
              c.activation = (a * 2 + b) % 4;
            }
            run(c, few_rows);
          }
}

BOOST_AUTO_TEST_CASE(products_of_few_rows) {
  int few = 0;
  for (DType t : {DType::f32, DType::bf16, DType::f16})
    for (int b : {rows, columns})
      for (int64_t m = 1; m <= 9; ++m)
        for (const auto& [n, k] :
             std::vector<std::array<int64_t, 2>>{{64, 1024}, {40, 2048}, {8, 16}, {1024, 520}, {72, 4096}})
          few +=
              run({t, m, n, k, rows, b, 1, false, m % 2 == 1, m % 4 > 1, m % 3 == 0, static_cast<int>(m + n / 8) % 4},
                  few_rows);
  BOOST_TEST(few == 3 * 2 * 4 * 5);  // more rows are left to the library
}

BOOST_AUTO_TEST_CASE(kernels_for_hopper) {
  // Edges within tiles, within halves of the staging, more tiles than one, k that is no multiple of 64.
  int turn = 0;
  for (DType t : {DType::bf16, DType::f16, DType::f32})
    for (const auto& [m, n, k] : std::vector<std::array<int64_t, 3>>{
             {64, 64, 64}, {64, 8, 8}, {100, 320, 72}, {130, 72, 200}, {257, 264, 136}, {300, 520, 64}})
      for (int b : {rows, columns}) {
        ++turn;
        Case c{t, m, n, k, turn % 5 == 0 ? gaps : rows, b, turn % 3 == 0 ? 2 : 1};
        if (t == DType::f32 && turn % 2) c.a = columns;
        c.one_b = turn % 2;
        c.bias = turn % 4 > 1;
        c.residual = turn % 3 > 0;
        c.first = turn % 5 < 2;
        c.activation = turn / 2 % 4;
        BOOST_TEST(run(c, hopper) == !(t == DType::f32 && n < 32));
      }
}

BOOST_AUTO_TEST_CASE(empty_sizes) {
  run({DType::f32, 4, 8, 0, rows, rows, 1, false, true, true, false, 1}, any);
  run({DType::bf16, 4, 8, 0}, any);
  run({DType::f64, 4, 8, 0}, any);
  run({DType::f32, 0, 8, 3}, few_rows);
  run({DType::f32, 4, 0, 3}, few_rows);
}

BOOST_AUTO_TEST_CASE(rows_do_not_depend_on_their_number) {
  // The parts of a sum of few rows are cut by n and k alone.
  for (int b : {rows, columns}) {
    Storage a(DType::f32, 4 * 4096, 1), w(DType::f32, 4096 * 64, 1), many(DType::f32, 4 * 64, 0),
        one(DType::f32, 64, 0);
    MatrixProduct p;
    p.m = 4;
    p.n = 64;
    p.k = 4096;
    p.a = a.at;
    p.b = w.at;
    p.c = many.at;
    lay(rows, 4, 4096, p.rsa, p.csa);
    lay(b, 4096, 64, p.rsb, p.csb);
    p.ldc = 64;
    std::vector<unsigned char> scratch(cuda::multiply_scratch(p) + 256);
    Launch l;
    l.scratch = scratch.data();
    BOOST_TEST(cuda::skinny_product(p, l));
    p.m = 1;
    p.a = a.at + 3 * 4096 * sizeof(float);
    p.c = one.at;
    BOOST_TEST(cuda::skinny_product(p, l));
    cuda::check(cudaDeviceSynchronize(), "product");
    for (int64_t j = 0; j < 64; ++j) BOOST_TEST(many[3 * 64 + j] == one[j]);
  }
}

BOOST_AUTO_TEST_CASE(deterministic_products_take_one_way) {
  Storage a(DType::f32, 16, 1), c(DType::f32, 16, 1);
  MatrixProduct p;
  p.m = p.n = p.k = p.rsa = p.rsb = p.ldc = 4;
  p.a = p.b = a.at;
  p.c = c.at;
  cuda::set_deterministic(true);
  BOOST_TEST(!cuda::skinny_product(p, Launch{}));
  cuda::set_deterministic(false);
}
