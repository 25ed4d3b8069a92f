#pragma once
// One matrix of a LinalgArgs in float64, through Eigen. Nothing here knows of tensors: operands and results are copies,
// so that whoever waits for them may leave.
#include "ops/linalg/give_up.h"
#define EIGEN_DONT_PARALLELIZE
#include <Eigen/Cholesky>
#include <Eigen/Eigenvalues>
#include <Eigen/LU>
#include <Eigen/QR>
#include <Eigen/SVD>
#include <cmath>
#include <limits>
#include <utility>

#include "ops/linalg/linalg_kernels.h"

namespace maas {
namespace {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic>;
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

struct Task {
  Linalg kind;
  bool lower, transpose, full, wanted[3];
  int64_t m, n;
  Matrix a, b, out[3];

  void give(int i, Matrix x) {
    if (wanted[i]) out[i] = std::move(x);
  }
};

Matrix all_nan(int64_t rows, int64_t cols) { return Matrix::Constant(rows, cols, nan); }

void cholesky(Task& g) {
  const Matrix& a = g.a;
  Eigen::LLT<Matrix> llt((a + a.transpose()) / 2);
  if (llt.info() != Eigen::Success) return g.give(0, all_nan(g.n, g.n));
  const Matrix l = llt.matrixL();
  if (g.lower)
    g.give(0, l);
  else
    g.give(0, l.transpose());
}

void triangular_solve(Task& g) {
  const Matrix& a = g.a;
  const Matrix& b = g.b;
  Matrix x;
  if (g.lower)
    x = g.transpose ? Matrix(a.triangularView<Eigen::Lower>().transpose().solve(b))
                    : Matrix(a.triangularView<Eigen::Lower>().solve(b));
  else
    x = g.transpose ? Matrix(a.triangularView<Eigen::Upper>().transpose().solve(b))
                    : Matrix(a.triangularView<Eigen::Upper>().solve(b));
  g.give(0, x);
}

void slogdet(Task& g) {
  const Matrix& a = g.a;
  const Eigen::PartialPivLU<Matrix> lu(a);
  double sign = lu.permutationP().determinant(), log = 0;
  for (int64_t i = 0; i < g.n; ++i) {
    const double d = lu.matrixLU()(i, i);
    sign *= std::isnan(d) ? d : d > 0 ? 1 : d < 0 ? -1 : 0;
    log += std::log(std::abs(d));
  }
  g.give(0, Matrix::Constant(1, 1, sign));
  g.give(1, Matrix::Constant(1, 1, log));
}

// Eigen's own wants square matrices.
void lu(Task& g) {
  Matrix& a = g.a;
  const int64_t steps = std::min(g.m, g.n);
  Matrix pivots(steps, 1);
  for (int64_t i = 0; i < steps; ++i) {
    Eigen::Index best = 0;
    a.col(i).tail(g.m - i).cwiseAbs().maxCoeff(&best);
    best += i;
    pivots(i, 0) = static_cast<double>(best);
    if (best != i) a.row(i).swap(a.row(best));
    if (a(i, i) != 0) a.col(i).tail(g.m - i - 1) /= a(i, i);
    a.bottomRightCorner(g.m - i - 1, g.n - i - 1).noalias() -= a.col(i).tail(g.m - i - 1) * a.row(i).tail(g.n - i - 1);
  }
  g.give(0, std::move(a));
  g.give(1, std::move(pivots));
}

void qr(Task& g) {
  const Matrix& a = g.a;
  const int64_t inner = g.full ? g.m : std::min(g.m, g.n);
  if (!a.allFinite()) {
    g.give(0, all_nan(g.m, inner));
    return g.give(1, all_nan(inner, g.n));
  }
  const Eigen::HouseholderQR<Matrix> qr(a);
  g.give(0, Matrix(qr.householderQ() * Matrix::Identity(g.m, inner)));
  const Matrix r = qr.matrixQR().triangularView<Eigen::Upper>();
  g.give(1, r.topRows(inner));
}

void svd(Task& g) {
  const Matrix& a = g.a;
  const int64_t least = std::min(g.m, g.n), rows = g.full ? g.m : least, cols = g.full ? g.n : least;
  const bool vectors = g.wanted[1] || g.wanted[2];
  const unsigned wanted = !vectors ? 0u
                          : g.full ? Eigen::ComputeFullU | Eigen::ComputeFullV
                                   : Eigen::ComputeThinU | Eigen::ComputeThinV;
  if (least == 0) {  // Eigen reads the largest singular value
    g.give(1, Matrix::Identity(g.m, rows));
    return g.give(2, Matrix::Identity(cols, g.n));
  }
  Eigen::BDCSVD<Matrix> svd;
  if (a.allFinite()) svd.compute(a, wanted);
  if (!a.allFinite() || svd.info() != Eigen::Success) {
    g.give(0, all_nan(1, least));
    g.give(1, all_nan(g.m, rows));
    return g.give(2, all_nan(cols, g.n));
  }
  g.give(0, svd.singularValues());
  if (vectors) {
    g.give(1, svd.matrixU());
    g.give(2, svd.matrixV().transpose());
  }
}

void eigh(Task& g) {
  const Matrix& a = g.a;
  if (g.n == 0) return;
  Eigen::SelfAdjointEigenSolver<Matrix> solver(g.n);
  if (a.allFinite())
    solver.compute((a + a.transpose()) / 2, g.wanted[1] ? Eigen::ComputeEigenvectors : Eigen::EigenvaluesOnly);
  if (!a.allFinite() || solver.info() != Eigen::Success) {
    g.give(0, all_nan(1, g.n));
    return g.give(1, all_nan(g.n, g.n));
  }
  g.give(0, solver.eigenvalues());
  if (g.wanted[1]) g.give(1, solver.eigenvectors());
}

void eig(Task& g) {
  const Matrix& a = g.a;
  if (g.n == 0) return;
  Eigen::EigenSolver<Matrix> solver(g.n);
  if (a.allFinite()) solver.compute(a);
  if (!a.allFinite() || solver.info() != Eigen::Success || (solver.eigenvalues().imag().array() != 0).any()) {
    g.give(0, all_nan(1, g.n));
    return g.give(1, all_nan(g.n, g.n));
  }
  g.give(0, solver.eigenvalues().real());
  g.give(1, solver.eigenvectors().real());
}

void decompose(Task& g) {
  switch (g.kind) {
    case Linalg::cholesky:
      return cholesky(g);
    case Linalg::solve:
      return g.give(0, Eigen::PartialPivLU<Matrix>(g.transpose ? Matrix(g.a.transpose()) : g.a).solve(g.b));
    case Linalg::triangular_solve:
      return triangular_solve(g);
    case Linalg::det:
      return g.give(0, Matrix::Constant(1, 1, Eigen::PartialPivLU<Matrix>(g.a).determinant()));
    case Linalg::slogdet:
      return slogdet(g);
    case Linalg::lu:
      return lu(g);
    case Linalg::qr:
      return qr(g);
    case Linalg::svd:
      return svd(g);
    case Linalg::eigh:
      return eigh(g);
    case Linalg::eig:
      return eig(g);
  }
}

}  // namespace
}  // namespace maas
