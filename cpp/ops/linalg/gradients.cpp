// Giles, 2008, "An extended collection of matrix derivative results for forward and reverse mode algorithmic
// differentiation"; Townsend, 2016, "Differentiating the singular value decomposition".
#include "core/error.h"
#include "ops/build.h"
#include "ops/linalg/linalg.h"

namespace maas {
namespace {

// The batch comes first: x^T swaps the last two axes.
Node t(const Node& x) { return swap_last(x); }

Node counted(int64_t n, bool column) {
  const Node i = op("arange", {}, {{"size", Shape{Dim(n)}}});
  return reshape(i, column ? Shape{Dim(n), Dim(1)} : Shape{Dim(1), Dim(n)});
}
int64_t size(const Node& x, int64_t from_end) {
  return x.shape()[x.shape().size() - static_cast<size_t>(from_end)].constant();
}
// x where the comparison of row and column number holds, 0 elsewhere.
Node part(const Node& x, const char* comparison) {
  return where(binary(comparison, counted(size(x, 2), true), counted(size(x, 1), false)), x, zeros_like(x));
}
Node tril(const Node& x) { return part(x, "greater_equal"); }
Node identity_like(const Node& x) { return part(zeros_like(x) + 1.0, "equal"); }
Node column(const Node& x) {  // (..., n) -> (..., n, 1)
  Shape shape = x.shape();
  shape.push_back(Dim(1));
  return reshape(x, shape);
}
Node row(const Node& x) { return t(column(x)); }
Node or_zero(const Node& d, const Node& like) { return d ? d : zeros_like(like); }

Node solve(const Node& a, const Node& b, bool transpose) { return op("solve", {a, b}, {{"transpose", transpose}}); }
Node triangular(const Node& a, const Node& b, bool lower, bool transpose) {
  return op("triangular_solve", {a, b}, {{"lower", lower}, {"transpose", transpose}});
}
Node inverse_transposed(const Node& a) { return solve(a, identity_like(a), true); }

// 1 / (x_j - x_i), 0 on the diagonal.
Node gaps(const Node& x) {
  const Node d = row(x) - column(x), eye = identity_like(d);
  return (1.0 - eye) / (d + eye);
}

}  // namespace

Nodes Cholesky::gradient(const Node& y, const Nodes& dys, const Needs&) const {
  const Node l = upper ? t(y) : y, dl = upper ? t(dys[0]) : dys[0];
  const Node m = matmul(t(l), dl), half = tril(m) - identity_like(m) * m * 0.5;
  const Node s = triangular(l, t(triangular(l, half, true, true)), true, true);  // (l^-T half l^-1)^T
  return {(s + t(s)) * 0.5};
}

Nodes Solve::gradient(const Node& y, const Nodes& dys, const Needs&) const {
  const Node db = solve(y.input(0), dys[0], !transpose);
  return {-(transpose ? matmul(y, t(db)) : matmul(db, t(y))), db};
}

Nodes TriangularSolve::gradient(const Node& y, const Nodes& dys, const Needs&) const {
  const Node db = triangular(y.input(0), dys[0], lower, !transpose);
  return {-part(transpose ? matmul(y, t(db)) : matmul(db, t(y)), lower ? "greater_equal" : "less_equal"), db};
}

Nodes Det::gradient(const Node& y, const Nodes& dys, const Needs&) const {
  return {column(column(dys[0] * y)) * inverse_transposed(y.input(0))};
}

Nodes Slogdet::gradient(const Node& y, const Nodes& dys, const Needs&) const {
  if (!dys[1]) return {zeros_like(y.input(0))};
  return {column(column(dys[1])) * inverse_transposed(y.input(0))};
}

Nodes Qr::gradient(const Node& y, const Nodes& dys, const Needs&) const {
  const Node q = y, r = y.output(1);
  if (size(r, 2) != size(r, 1) || (complete && size(q, 2) != size(r, 2)))
    fail(ErrorKind::not_implemented,
         "qr: a gradient exists for mode='reduced' and at least as many rows as columns, received x of shape ",
         to_string(y.input(0).shape()));
  const Node dq = or_zero(dys[0], q), dr = or_zero(dys[1], r);
  const Node m = matmul(r, t(dr)) - matmul(t(dq), q), low = part(m, "greater");
  const Node b = dq + matmul(q, tril(m) + t(low));
  return {t(triangular(r, t(b), false, false))};  // b r^-T
}

Nodes Svd::gradient(const Node& y, const Nodes& dys, const Needs&) const {
  const Node s = y, u = y.output(1), v = t(y.output(2));
  Node dx = zeros_like(y.input(0));
  if ((dys[1] || dys[2]) && full_matrices && size(y.input(0), 1) != size(y.input(0), 2))
    fail(ErrorKind::not_implemented, "svd: full_matrices has no gradient, received x of shape ",
         to_string(y.input(0).shape()));
  const int64_t least = size(s, 1);
  const Node uk = slice_axis(u, u.rank() - 1, Dim(0), Dim(least)), vk = slice_axis(v, v.rank() - 1, Dim(0), Dim(least));
  if (dys[0]) dx = dx + matmul(uk * row(dys[0]), t(vk));
  if (!dys[1] && !dys[2]) return {dx};
  const Node f = gaps(s * s);
  if (dys[1]) {
    const Node c = matmul(t(uk), dys[1]), j = f * (c - t(c));
    const Node rest = (dys[1] - matmul(uk, c)) / row(s);
    dx = dx + matmul(matmul(uk, j) * row(s) + rest, t(vk));
  }
  if (dys[2]) {
    const Node dv = t(dys[2]), c = matmul(t(vk), dv), k = f * (c - t(c));
    const Node rest = (dv - matmul(vk, c)) / row(s);
    dx = dx + matmul(uk, t(matmul(vk, t(column(s) * k)) + rest));
  }
  return {dx};
}

Nodes Eigh::gradient(const Node& y, const Nodes& dys, const Needs&) const {
  const Node w = y, v = y.output(1);
  Node inner = zeros_like(v);
  if (dys[0]) inner = inner + identity_like(v) * row(dys[0]);
  if (dys[1]) inner = inner + gaps(w) * matmul(t(v), dys[1]);
  const Node dx = matmul(matmul(v, inner), t(v));
  return {(dx + t(dx)) * 0.5};
}

}  // namespace maas
