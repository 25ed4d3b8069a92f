// The same functions in float64 by libm, each in the form that does not cancel.
#include <cmath>
#include <cstdint>

extern "C" {
#define SIMD_1(NAME, ORACLE)                                                    \
  void oracle_##NAME(const double* xs, const double*, double* out, int64_t n) { \
    for (int64_t i = 0; i < n; i++) {                                           \
      const double x = xs[i];                                                   \
      out[i] = ORACLE;                                                          \
    }                                                                           \
  }
#define SIMD_2(NAME, ORACLE)                                                       \
  void oracle_##NAME(const double* xs, const double* ys, double* out, int64_t n) { \
    for (int64_t i = 0; i < n; i++) {                                              \
      const double x = xs[i], y = ys[i];                                           \
      out[i] = ORACLE;                                                             \
    }                                                                              \
  }
#include "functions.inc"
}
