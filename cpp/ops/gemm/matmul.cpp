#include <algorithm>

#include "core/device.h"
#include "graph/op_model.h"
#include "ops/build.h"
#include "ops/gemm/gemm.h"

namespace maas {

MAAS_DEFINE_OP(matmul, Matmul)

Specs Matmul::infer(const Inputs& in) const {
  check(in.size() == 2, "matmul: two operands are needed, received ", in.size());
  const Shape &a = in[0].shape, &b = in[1].shape;
  check(a.size() >= 2 && b.size() >= 2, "matmul: operands need at least two axes, received ", to_string(a), " and ",
        to_string(b));
  if (in[0].dtype != in[1].dtype)
    fail(ErrorKind::type, "matmul: operands must have one dtype, received ", in[0].dtype, " and ", in[1].dtype);
  const Dim ka = a[a.size() - (transpose_a ? 2 : 1)], kb = b[b.size() - (transpose_b ? 1 : 2)];
  check(agree(ka, kb, "matmul", "inner sizes must be equal"), "matmul: inner sizes differ: a has ", to_string({ka}),
        " and b has ", to_string({kb}), ", received ", to_string(a), transpose_a ? "^T" : "", " and ", to_string(b),
        transpose_b ? "^T" : "");
  Shape out = broadcast("matmul", Shape(a.begin(), a.end() - 2), Shape(b.begin(), b.end() - 2));
  out.push_back(a[a.size() - (transpose_a ? 1 : 2)]);
  out.push_back(b[b.size() - (transpose_b ? 2 : 1)]);
  return {Spec{in[0].dtype, std::move(out), {}}};
}

Nodes Matmul::gradient(const Node& y, const Nodes& dys, const Needs& needs) const {
  const Node &a = y.input(0), &b = y.input(1), &dy = dys[0];
  Node da, db;
  if (needs[0]) da = transpose_a ? matmul(b, dy, transpose_b, true) : matmul(dy, b, false, !transpose_b);
  if (needs[1]) {
    if (b.rank() == 2 && a.rank() > 2 && !transpose_a) {
      // One long product instead of many summed up afterwards.
      const Node rows = reshape(a, {Dim(-1), a.shape().back()}), drows = reshape(dy, {Dim(-1), dy.shape().back()});
      db = transpose_b ? matmul(drows, rows, true, false) : matmul(rows, drows, true, false);
    } else {
      db = transpose_b ? matmul(dy, a, true, transpose_a) : matmul(a, dy, !transpose_a, false);
    }
  }
  return {da ? sum_to(da, a.shape()) : da, db ? sum_to(db, b.shape()) : db};
}

namespace {

// What a product is computed in: 16-bit floats are summed in float32 and rounded once (kernels of GPUs do that
// themselves); sums of small integers and of truth values wrap from 32 bits to the same.
DType sum_type(DType t) {
  if (t == DType::f16 || t == DType::bf16) return target().is_cpu() ? DType::f32 : t;
  return is_floating(t) || bit_size(t) >= 32 ? t : DType::i32;
}

// b of one matrix, as a matrix: its panels can be prepared.
Node as_matrix(const Node& b, int64_t rank) {
  const Shape& shape = b.shape();
  const auto one = [](const Dim& d) { return d.is(1); };
  if (b.rank() == 2 || b.rank() > rank || !std::all_of(shape.begin(), shape.end() - 2, one)) return b;
  return reshape(b, {shape.end()[-2], shape.end()[-1]});
}

}  // namespace

Nodes Matmul::lower(const Node& y) const {
  const Node& a = y.input(0);
  const DType type = a.dtype(), wide = sum_type(type);
  if (wide != type) return {cast(matmul(cast(a, wide), cast(y.input(1), wide), transpose_a, transpose_b), type)};
  const Node b = as_matrix(y.input(1), a.rank());
  const int64_t nr = has(active_isa(), Isa::avx512) ? kPanelAvx512 : kPanelNarrow;
  const Dim& n = y.shape().back();
  // Panels are for CPUs.
  if (target().is_cpu() && is_floating(type) && b.rank() == 2 && n.is_constant() && !(transpose_a && a.rank() > 2)) {
    const Node panels = apply(GemmPack{transpose_b, nr}, {b});
    return {apply(Gemm{transpose_a, a.rank() == 2, n.constant(), nr, {}}, {a, panels})};
  }
  return {apply(GemmBatched{transpose_a, transpose_b, nr, {}}, {a, b})};
}

}  // namespace maas
