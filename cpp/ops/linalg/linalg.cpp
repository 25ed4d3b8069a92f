#include "ops/linalg/linalg.h"

#include <algorithm>

#include "graph/op_model.h"

#define MAAS_KERNELS "ops/linalg/kernels.inc"
#define MAAS_KERNEL_ARGS LinalgArgs
#define MAAS_KERNEL_TABLE linalg_kernels
#include "core/kernel_table.h"

namespace maas {
namespace {

struct Sizes {
  Shape batch;
  int64_t m, n, least;
  Shape with(std::vector<int64_t> sizes) const {
    Shape shape = batch;
    for (const int64_t n : sizes) shape.push_back(Dim(n));
    return shape;
  }
};

Sizes check_matrix(const char* op, const Inputs& in, size_t operands, bool square) {
  if (!MAAS_EIGEN)
    fail(ErrorKind::not_implemented, op,
         ": maas was built without linear algebra; build with MAAS_EIGEN=ON, received "
         "MAAS_EIGEN=OFF");
  check(in.size() == operands, op, ": ", operands, " operands are needed, received ", in.size());
  const Spec& x = in[0];
  for (const Spec& s : in)
    if ((s.dtype != DType::f32 && s.dtype != DType::f64) || s.dtype != x.dtype)
      fail(ErrorKind::type, op, ": operands must be float32 or float64, received ", s.dtype);
  check(x.rank() >= 2, op, ": x must have at least two axes, received ", to_string(x.shape));
  const size_t rank = x.shape.size();
  check(x.shape[rank - 1].is_constant() && x.shape[rank - 2].is_constant(), op,
        ": the last two sizes must be known, received ", to_string(x.shape));
  const int64_t m = x.shape[rank - 2].constant(), n = x.shape[rank - 1].constant();
  check(!square || m == n, op, ": x must be square in its last two axes, received ", to_string(x.shape));
  return {Shape(x.shape.begin(), x.shape.end() - 2), m, n, std::min(m, n)};
}

Specs infer_solve(const char* op, const Inputs& in) {
  const Sizes s = check_matrix(op, in, 2, true);
  const Shape& b = in[1].shape;
  check(b.size() == s.batch.size() + 2 && std::equal(s.batch.begin(), s.batch.end(), b.begin()) &&
            b[b.size() - 2] == Dim(s.n) && b.back().is_constant(),
        op, ": b must have shape (..., ", s.n, ", k), received a ", to_string(in[0].shape), " and b ", to_string(b));
  return {Spec{in[0].dtype, b, {}}};
}

void fill(const Bind& b, LinalgArgs& a, Linalg kind, int outputs, bool lower = false, bool transpose = false,
          bool full = false, bool right = false) {
  const BoundValue& x = b.in(0);
  a = {kind,
       lower,
       transpose,
       full,
       b.read(0),
       right ? b.read(1) : nullptr,
       {},
       x.size(0, x.rank - 2),
       x.shape[x.rank - 2],
       x.shape[x.rank - 1],
       right ? b.in(1).shape[b.in(1).rank - 1] : 0};
  for (int i = 0; i < outputs; ++i) a.out[i] = b.write(i);
}

}  // namespace

const KernelTable& LinalgBase::kernels() { return linalg_kernels; }
double LinalgBase::work(const LinalgArgs& a) const { return static_cast<double>(a.count) * linalg_steps(a); }

MAAS_DEFINE_OP(cholesky, Cholesky)
Specs Cholesky::infer(const Inputs& in) const {
  check_matrix("cholesky", in, 1, true);
  return {Spec{in[0].dtype, in[0].shape, {}}};
}
void Cholesky::bind(const Bind& b, LinalgArgs& a) const { fill(b, a, Linalg::cholesky, 1, !upper); }

MAAS_DEFINE_OP(solve, Solve)
Specs Solve::infer(const Inputs& in) const { return infer_solve("solve", in); }
void Solve::bind(const Bind& b, LinalgArgs& a) const { fill(b, a, Linalg::solve, 1, false, transpose, false, true); }

MAAS_DEFINE_OP(triangular_solve, TriangularSolve)
Specs TriangularSolve::infer(const Inputs& in) const { return infer_solve("triangular_solve", in); }
void TriangularSolve::bind(const Bind& b, LinalgArgs& a) const {
  fill(b, a, Linalg::triangular_solve, 1, lower, transpose, false, true);
}

MAAS_DEFINE_OP(det, Det)
Specs Det::infer(const Inputs& in) const {
  Shape batch = check_matrix("det", in, 1, true).batch;
  return {Spec{in[0].dtype, std::move(batch), {}}};
}
void Det::bind(const Bind& b, LinalgArgs& a) const { fill(b, a, Linalg::det, 1); }

MAAS_DEFINE_OP(slogdet, Slogdet)
Specs Slogdet::infer(const Inputs& in) const {
  Shape batch = check_matrix("slogdet", in, 1, true).batch;
  const Spec one{in[0].dtype, std::move(batch), {}};
  return {one, one};
}
void Slogdet::bind(const Bind& b, LinalgArgs& a) const { fill(b, a, Linalg::slogdet, 2); }

MAAS_DEFINE_OP(lu, Lu)
Specs Lu::infer(const Inputs& in) const {
  const Sizes s = check_matrix("lu", in, 1, false);
  return {Spec{in[0].dtype, in[0].shape, {}}, Spec{DType::i32, s.with({s.least}), {}}};
}
void Lu::bind(const Bind& b, LinalgArgs& a) const { fill(b, a, Linalg::lu, 2); }

MAAS_DEFINE_OP(qr, Qr)
Specs Qr::infer(const Inputs& in) const {
  const Sizes s = check_matrix("qr", in, 1, false);
  const int64_t inner = complete ? s.m : s.least;
  return {Spec{in[0].dtype, s.with({s.m, inner}), {}}, Spec{in[0].dtype, s.with({inner, s.n}), {}}};
}
void Qr::bind(const Bind& b, LinalgArgs& a) const { fill(b, a, Linalg::qr, 2, false, false, complete); }

MAAS_DEFINE_OP(svd, Svd)
Specs Svd::infer(const Inputs& in) const {
  const Sizes s = check_matrix("svd", in, 1, false);
  const int64_t rows = full_matrices ? s.m : s.least, cols = full_matrices ? s.n : s.least;
  const DType t = in[0].dtype;
  return {Spec{t, s.with({s.least}), {}}, Spec{t, s.with({s.m, rows}), {}}, Spec{t, s.with({cols, s.n}), {}}};
}
void Svd::bind(const Bind& b, LinalgArgs& a) const { fill(b, a, Linalg::svd, 3, false, false, full_matrices); }

MAAS_DEFINE_OP(eigh, Eigh)
Specs Eigh::infer(const Inputs& in) const {
  const Sizes s = check_matrix("eigh", in, 1, true);
  return {Spec{in[0].dtype, s.with({s.n}), {}}, Spec{in[0].dtype, in[0].shape, {}}};
}
void Eigh::bind(const Bind& b, LinalgArgs& a) const { fill(b, a, Linalg::eigh, 2); }

MAAS_DEFINE_OP(eig, Eig)
Specs Eig::infer(const Inputs& in) const {
  const Sizes s = check_matrix("eig", in, 1, true);
  return {Spec{in[0].dtype, s.with({s.n}), {}}, Spec{in[0].dtype, in[0].shape, {}}};
}
void Eig::bind(const Bind& b, LinalgArgs& a) const { fill(b, a, Linalg::eig, 2); }

}  // namespace maas
