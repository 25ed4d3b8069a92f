#include "ops/linalg/linalg_kernels.h"

#if MAAS_EIGEN
#define EIGEN_DONT_PARALLELIZE
#include <Eigen/Cholesky>
#include <Eigen/Eigenvalues>
#include <Eigen/LU>
#include <Eigen/QR>
#include <Eigen/SVD>
#include <cmath>
#include <limits>
#include <new>
#include <utility>

namespace maas {
namespace {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic>;
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

template <class T>
Matrix load(const void* p, int64_t unit, int64_t rows, int64_t cols) {
  using Rows = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  return Eigen::Map<const Rows>(static_cast<const T*>(p) + unit * rows * cols, rows, cols).template cast<double>();
}

template <class T, class M>
void store(void* p, int64_t unit, const M& x) {
  if (!p) return;
  T* y = static_cast<T*>(p) + unit * x.rows() * x.cols();
  for (Eigen::Index i = 0; i < x.rows(); ++i)
    for (Eigen::Index j = 0; j < x.cols(); ++j) *y++ = static_cast<T>(x(i, j));
}

Matrix all_nan(int64_t rows, int64_t cols) { return Matrix::Constant(rows, cols, nan); }

template <class T>
void cholesky(const LinalgArgs& g, int64_t u, const Matrix& a) {
  Eigen::LLT<Matrix> llt((a + a.transpose()) / 2);
  if (llt.info() != Eigen::Success) return store<T>(g.out[0], u, all_nan(g.n, g.n));
  const Matrix l = llt.matrixL();
  if (g.lower)
    store<T>(g.out[0], u, l);
  else
    store<T>(g.out[0], u, l.transpose());
}

template <class T>
void triangular_solve(const LinalgArgs& g, int64_t u, const Matrix& a) {
  const Matrix b = load<T>(g.b, u, g.m, g.k);
  Matrix x;
  if (g.lower)
    x = g.transpose ? Matrix(a.triangularView<Eigen::Lower>().transpose().solve(b))
                    : Matrix(a.triangularView<Eigen::Lower>().solve(b));
  else
    x = g.transpose ? Matrix(a.triangularView<Eigen::Upper>().transpose().solve(b))
                    : Matrix(a.triangularView<Eigen::Upper>().solve(b));
  store<T>(g.out[0], u, x);
}

template <class T>
void slogdet(const LinalgArgs& g, int64_t u, const Matrix& a) {
  const Eigen::PartialPivLU<Matrix> lu(a);
  double sign = lu.permutationP().determinant(), log = 0;
  for (int64_t i = 0; i < g.n; ++i) {
    const double d = lu.matrixLU()(i, i);
    sign *= std::isnan(d) ? d : d > 0 ? 1 : d < 0 ? -1 : 0;
    log += std::log(std::abs(d));
  }
  store<T>(g.out[0], u, Matrix::Constant(1, 1, sign));
  store<T>(g.out[1], u, Matrix::Constant(1, 1, log));
}

// Eigen's own wants square matrices.
template <class T>
void lu(const LinalgArgs& g, int64_t u, Matrix a) {
  const int64_t steps = std::min(g.m, g.n);
  int32_t* pivots = g.out[1] ? static_cast<int32_t*>(g.out[1]) + u * steps : nullptr;
  for (int64_t i = 0; i < steps; ++i) {
    Eigen::Index best = 0;
    a.col(i).tail(g.m - i).cwiseAbs().maxCoeff(&best);
    best += i;
    if (pivots) pivots[i] = static_cast<int32_t>(best);
    if (best != i) a.row(i).swap(a.row(best));
    if (a(i, i) != 0) a.col(i).tail(g.m - i - 1) /= a(i, i);
    a.bottomRightCorner(g.m - i - 1, g.n - i - 1).noalias() -= a.col(i).tail(g.m - i - 1) * a.row(i).tail(g.n - i - 1);
  }
  store<T>(g.out[0], u, a);
}

template <class T>
void qr(const LinalgArgs& g, int64_t u, const Matrix& a) {
  const int64_t inner = g.full ? g.m : std::min(g.m, g.n);
  if (!a.allFinite()) {
    store<T>(g.out[0], u, all_nan(g.m, inner));
    return store<T>(g.out[1], u, all_nan(inner, g.n));
  }
  const Eigen::HouseholderQR<Matrix> qr(a);
  store<T>(g.out[0], u, Matrix(qr.householderQ() * Matrix::Identity(g.m, inner)));
  const Matrix r = qr.matrixQR().triangularView<Eigen::Upper>();
  store<T>(g.out[1], u, r.topRows(inner));
}

template <class T>
void svd(const LinalgArgs& g, int64_t u, const Matrix& a) {
  const int64_t least = std::min(g.m, g.n), rows = g.full ? g.m : least, cols = g.full ? g.n : least;
  const bool vectors = g.out[1] || g.out[2];
  const unsigned wanted = !vectors ? 0u
                          : g.full ? Eigen::ComputeFullU | Eigen::ComputeFullV
                                   : Eigen::ComputeThinU | Eigen::ComputeThinV;
  if (least == 0) {  // Eigen reads the largest singular value
    store<T>(g.out[1], u, Matrix::Identity(g.m, rows));
    return store<T>(g.out[2], u, Matrix::Identity(cols, g.n));
  }
  Eigen::BDCSVD<Matrix> svd;
  if (a.allFinite()) svd.compute(a, wanted);
  if (!a.allFinite() || svd.info() != Eigen::Success) {
    store<T>(g.out[0], u, all_nan(1, least));
    store<T>(g.out[1], u, all_nan(g.m, rows));
    return store<T>(g.out[2], u, all_nan(cols, g.n));
  }
  store<T>(g.out[0], u, svd.singularValues());
  if (vectors) {
    store<T>(g.out[1], u, svd.matrixU());
    store<T>(g.out[2], u, svd.matrixV().transpose());
  }
}

template <class T>
void eigh(const LinalgArgs& g, int64_t u, const Matrix& a) {
  if (g.n == 0) return;
  Eigen::SelfAdjointEigenSolver<Matrix> solver(g.n);
  if (a.allFinite())
    solver.compute((a + a.transpose()) / 2, g.out[1] ? Eigen::ComputeEigenvectors : Eigen::EigenvaluesOnly);
  if (!a.allFinite() || solver.info() != Eigen::Success) {
    store<T>(g.out[0], u, all_nan(1, g.n));
    return store<T>(g.out[1], u, all_nan(g.n, g.n));
  }
  store<T>(g.out[0], u, solver.eigenvalues());
  if (g.out[1]) store<T>(g.out[1], u, solver.eigenvectors());
}

template <class T>
void eig(const LinalgArgs& g, int64_t u, const Matrix& a) {
  if (g.n == 0) return;
  Eigen::EigenSolver<Matrix> solver(g.n);
  if (a.allFinite()) solver.compute(a);
  if (!a.allFinite() || solver.info() != Eigen::Success || (solver.eigenvalues().imag().array() != 0).any()) {
    store<T>(g.out[0], u, all_nan(1, g.n));
    return store<T>(g.out[1], u, all_nan(g.n, g.n));
  }
  store<T>(g.out[0], u, solver.eigenvalues().real());
  store<T>(g.out[1], u, solver.eigenvectors().real());
}

template <class T>
void one(const LinalgArgs& g, int64_t u) {
  const Matrix a = load<T>(g.a, u, g.m, g.n);
  switch (g.kind) {
    case Linalg::cholesky:
      return cholesky<T>(g, u, a);
    case Linalg::solve: {
      const Eigen::PartialPivLU<Matrix> lu(g.transpose ? Matrix(a.transpose()) : a);
      return store<T>(g.out[0], u, Matrix(lu.solve(load<T>(g.b, u, g.m, g.k))));
    }
    case Linalg::triangular_solve:
      return triangular_solve<T>(g, u, a);
    case Linalg::det:
      return store<T>(g.out[0], u, Matrix::Constant(1, 1, Eigen::PartialPivLU<Matrix>(a).determinant()));
    case Linalg::slogdet:
      return slogdet<T>(g, u, a);
    case Linalg::lu:
      return lu<T>(g, u, a);
    case Linalg::qr:
      return qr<T>(g, u, a);
    case Linalg::svd:
      return svd<T>(g, u, a);
    case Linalg::eigh:
      return eigh<T>(g, u, a);
    case Linalg::eig:
      return eig<T>(g, u, a);
  }
}

template <class T>
void run(const LinalgArgs& g, int64_t begin, int64_t end, const Exec& exec) {
  for (int64_t u = begin; u < end && !exec.stopped(); ++u) one<T>(g, u);
}

}  // namespace

void linalg_f32_eigen(const LinalgArgs& g, int64_t begin, int64_t end, const Exec& e) { run<float>(g, begin, end, e); }
void linalg_f64_eigen(const LinalgArgs& g, int64_t begin, int64_t end, const Exec& e) { run<double>(g, begin, end, e); }

}  // namespace maas

#else  // ops refuse before they get here

namespace maas {
void linalg_f32_eigen(const LinalgArgs&, int64_t, int64_t, const Exec&) {}
void linalg_f64_eigen(const LinalgArgs&, int64_t, int64_t, const Exec&) {}
}  // namespace maas

#endif
