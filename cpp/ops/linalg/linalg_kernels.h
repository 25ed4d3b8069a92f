#pragma once
// Dense linear algebra on `count` matrices a (m x n, row-major) and right-hand sides b (m x k). One unit = one matrix.
// All is computed in float64 and stored in the tensor's dtype. An output may be null. What has no result (a matrix that
// is not positive definite, a NaN or infinity in the input, complex eigenvalues) is NaN. Unlike other kernels these
// allocate, because Eigen's decompositions keep memory of their own; where there is none they report kOutOfMemory.
//   cholesky         out0 L (n x n), (a + a^T) / 2 = L L^T; without lower: L^T
//   solve            out0 x (n x k), a x = b; transpose: a^T x = b
//   triangular_solve the same from one triangle of a (lower, or upper)
//   det              out0, one number;  slogdet: out0 sign, out1 log |det|
//   lu               out0 L and U packed (m x n), out1 int32 pivots (min(m, n)): row i was swapped with row pivots[i]
//   qr               out0 q, out1 r; full: m x m and m x n, else m x min and min x n
//   svd              out0 singular values, falling; out1 u, out2 v^T; full: square ones
//   eigh             out0 eigenvalues, rising; out1 eigenvectors in columns, of (a + a^T) / 2
//   eig              out0, out1: the same of any a whose eigenvalues are real, in no order
#include <algorithm>
#include <cstdint>

#include "core/exec.h"

namespace maas {

enum class Linalg : uint8_t { cholesky, solve, triangular_solve, det, slogdet, lu, qr, svd, eigh, eig };

struct LinalgArgs {
  Linalg kind;
  bool lower, transpose, full;
  const void* a;
  const void* b;
  void* out[3];
  int64_t count, m, n, k;
};

// What one matrix costs, in steps of about a nanosecond.
inline double linalg_steps(const LinalgArgs& a) {
  const double steps = a.kind >= Linalg::svd ? 20 : 1;
  return 500 + steps * static_cast<double>(a.m * a.n * (std::min(a.m, a.n) + a.k));
}

}  // namespace maas
