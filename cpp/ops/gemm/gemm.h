#pragma once
#include "graph/chain_param.h"
#include "graph/op.h"
#include "ops/gemm/gemm_kernels.h"

namespace maas {

// y = a b over the last two axes, leading axes broadcast; either may be transposed. What users call.
struct Matmul {
  bool transpose_a = false, transpose_b = false;
  MAAS_PARAMS(transpose_a, transpose_b)
  Specs infer(const Inputs& in) const;
  Nodes gradient(const Node& y, const Nodes& dys, const Needs& needs) const;
  Nodes lower(const Node& y) const;
};

// b (k x n, or n x k with transpose) in panels; made when plans are built, cached as a prepared weight.
struct GemmPack {
  bool transpose = false;
  int64_t nr = 16;
  MAAS_PARAMS(transpose, nr)
  using Args = GemmPackArgs;
  static const KernelTable& kernels();
  Specs infer(const Inputs& in) const;
  InputLayout input_layout(int) const { return InputLayout::strided; }
  void bind(const Bind& b, GemmPackArgs& args) const;
  int64_t units(const GemmPackArgs& a) const { return (a.n + a.nr - 1) / a.nr; }
};

// a times a packed b with n columns, then an epilogue. a: (..., k), or (k, m) with transpose_a. A matrix a, of two
// axes, may lie in any strides; with more axes its rows must follow each other.
struct Gemm {
  bool transpose_a = false, matrix = false;
  int64_t n = 0, nr = 16;
  Chain epilogue;
  MAAS_PARAMS(transpose_a, matrix, n, nr, epilogue)
  using Args = GemmArgs;
  static const KernelTable& kernels();
  Specs infer(const Inputs& in) const;
  OpPtr with_epilogue(const Chain& chain, const Specs& in, const Specs& extra, const Spec& result) const;
  InputLayout input_layout(int input) const;
  bool accepts(const KernelRow& row, const Specs& in, const Specs& out) const;
  void bind(const Bind& b, const KernelRow& row, GemmArgs& args) const;
  int64_t units(const GemmArgs& a) const { return (a.m + a.mr - 1) / a.mr * ((a.n + 15) / 16); }
  size_t scratch(const GemmArgs& a) const;
  double work(const GemmArgs& a) const;
  double flops(const GemmArgs& a) const { return 2.0 * static_cast<double>(a.m) * static_cast<double>(a.n * a.k); }
};

// Both operands with leading axes; b is packed on the way. On CUDA every product: b is read as it lies, and an epilogue
// of product_form() may follow, whose operands are inputs 2 and 3.
struct GemmBatched {
  bool transpose_a = false, transpose_b = false;
  int64_t nr = 16;
  Chain epilogue;
  MAAS_PARAMS(transpose_a, transpose_b, nr, epilogue)
  using Args = GemmBatchedArgs;
  static const KernelTable& kernels();
  Specs infer(const Inputs& in) const;
  Nodes composition(const Nodes& inputs) const;
  OpPtr with_epilogue(const Chain& chain, const Specs& in, const Specs& extra, const Spec& result) const;
  InputLayout input_layout(int input) const { return input < 2 ? InputLayout::strided : InputLayout::dense; }
  bool accepts(const KernelRow& row, const Specs& in, const Specs& out) const;
  double cost(const KernelRow& row, const Specs& in, const Specs& out) const;
  void bind(const Bind& b, const KernelRow& row, GemmBatchedArgs& args) const;
  int64_t units(const GemmBatchedArgs& a) const;
  size_t scratch(const GemmBatchedArgs& a) const;
  double work(const GemmBatchedArgs& a) const;
  double flops(const GemmBatchedArgs& a) const;
};

// A chain after a product as ProductEpilogue says it; bias and residual are inputs of the chain, 0 where there is none.
// None: it says something else. `is_row`, `is_full`: whether input i of the chain is a row of the result, or lies as
// it.
struct ProductForm {
  ProductEpilogue::Activation activation = ProductEpilogue::none;
  bool residual_first = false;
  int bias = 0, residual = 0;
  bool in_library() const;  // one kernel of cuBLASLt does it
};
std::optional<ProductForm> product_form(const Chain& chain, const std::function<bool(int)>& is_row,
                                        const std::function<bool(int)>& is_full);
std::optional<ProductForm> product_form(const Chain& chain, const Specs& extra, const Spec& result);

}  // namespace maas
