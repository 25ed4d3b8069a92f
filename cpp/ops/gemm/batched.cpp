#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "core/device.h"
#include "graph/op_model.h"
#include "graph/primitives.h"
#include "ops/elementwise/elementwise.h"
#include "ops/gemm/gemm.h"

#define MAAS_KERNELS "ops/gemm/batched_kernels.inc"
#define MAAS_KERNEL_ARGS GemmBatchedArgs
#define MAAS_KERNEL_TABLE gemm_batched_kernels
#include "core/kernel_table.h"

namespace maas {

MAAS_DEFINE_OP(gemm_batched, GemmBatched)
const KernelTable& GemmBatched::kernels() { return gemm_batched_kernels; }

Specs GemmBatched::infer(const Inputs& in) const {
  check_chain(epilogue, in.size() - 1, true);
  const Shape &a = in[0].shape, &b = in[1].shape;
  Shape out = broadcast("matmul", Shape(a.begin(), a.end() - 2), Shape(b.begin(), b.end() - 2));
  check(out.size() <= GemmBatchedArgs::max_batch_rank, "matmul: at most ", int{GemmBatchedArgs::max_batch_rank},
        " leading axes, received ", out.size());
  out.push_back(a[a.size() - (transpose_a ? 1 : 2)]);
  out.push_back(b[b.size() - (transpose_b ? 2 : 1)]);
  return {Spec{in[0].dtype, std::move(out), {}}};
}

Nodes GemmBatched::composition(const Nodes& inputs) const {
  if (epilogue.empty()) return {};
  GemmBatched plain = *this;
  plain.epilogue = {};
  Nodes all(inputs.begin() + 1, inputs.end());
  all[0] = apply(plain, {inputs[0], inputs[1]});
  return {chain(epilogue, std::move(all), inputs[0].dtype())};
}

OpPtr GemmBatched::with_epilogue(const Chain& chain, const Specs& in, const Specs& extra, const Spec& result) const {
  if (target().is_cpu() || !epilogue.empty() || !product_form(chain, extra, result)) return nullptr;
  GemmBatched fused = *this;
  fused.epilogue = chain;
  auto op = std::make_shared<OpModel<GemmBatched>>(std::move(fused));
  Specs all = in;
  all.insert(all.end(), extra.begin(), extra.end());
  return choose_row(*op, all, {result}).row ? op : nullptr;
}

namespace {
// float32 products on the tensor cores (cuda/split_product.h), where MAAS_FLOAT32_PRODUCTS=split asks for them.
bool split_float32() {
  static const char* const wish = std::getenv("MAAS_FLOAT32_PRODUCTS");
  return wish && std::strcmp(wish, "split") == 0;
}
}  // namespace

bool GemmBatched::accepts(const KernelRow& row, const Specs& in, const Specs& out) const {
  if (row.dtype != in[0].dtype) return false;
  if (row.isa != Isa::cuda) return epilogue.empty() && (row.isa == Isa::none || row.tile[1] == nr);
  if (row.tile[0] == 0) return true;
  if (row.dtype == DType::f32) return split_float32();
  // Tiles come by bulk tensor copies, which want rows in multiples of 16 bytes.
  const auto eighth = [](const Dim& d) { return d.is_constant() && d.constant() % 8 == 0; };
  return !transpose_a && eighth(in[0].shape.back()) && eighth(out[0].shape.back());
}

// On CUDA the library is for what it does in one kernel, the project's own for the rest. MAAS_CUDA_GEMM=own or library
// prefers one of them, for comparisons.
double GemmBatched::cost(const KernelRow& row, const Specs&, const Specs&) const {
  if (row.isa != Isa::cuda) return default_cost(row.isa);
  static const char* const wish = std::getenv("MAAS_CUDA_GEMM");
  const bool own = row.tile[0] != 0;
  if (own && row.dtype == DType::f32) return 0;
  if (wish && std::strcmp(wish, own ? "own" : "library") == 0) return 0;
  // Measured on an H100 for bfloat16, 4096 cubed: the library 178 us, the kernel of our own 281 us; and the library
  // with a pass of its own for what it does not fuse is faster, too.
  return own ? 2 : 1;
}

void GemmBatched::bind(const Bind& b, const KernelRow&, GemmBatchedArgs& g) const {
  const BoundValue &x = b.in(0), &w = b.in(1), &y = b.out();
  g.a = x.data;
  g.b = w.data;
  g.c = y.data;
  const int xr = x.rank - 2, wr = w.rank - 2;
  g.m = y.shape[y.rank - 2];
  g.n = y.shape[y.rank - 1];
  g.k = x.shape[xr + (transpose_a ? 0 : 1)];
  g.rsa = x.strides[xr + (transpose_a ? 1 : 0)];
  g.csa = x.strides[xr + (transpose_a ? 0 : 1)];
  g.rsb = w.strides[wr + (transpose_b ? 1 : 0)];
  g.csb = w.strides[wr + (transpose_b ? 0 : 1)];
  g.ldc = g.n;
  g.nr = nr;
  g.batch_rank = y.rank - 2;
  for (int d = 0; d < g.batch_rank; ++d) {
    g.batch[d] = y.shape[d];
    g.c_stride[d] = y.strides[d];
    const int xd = d - (g.batch_rank - xr), wd = d - (g.batch_rank - wr);
    g.a_stride[d] = xd < 0 || x.shape[xd] == 1 ? 0 : x.strides[xd];
    g.b_stride[d] = wd < 0 || w.shape[wd] == 1 ? 0 : w.strides[wd];
  }
  g.epilogue = {};
  if (epilogue.empty()) return;
  const auto size = [&](int i) { return b.in(i + 1).size(); };
  const auto form =
      product_form(epilogue, [&](int i) { return size(i) == g.n; }, [&](int i) { return size(i) == y.size(); });
  check(form.has_value(), "gemm_batched: the epilogue must be bias, activation or residual, received ",
        to_text(epilogue));
  g.epilogue.activation = form->activation;
  g.epilogue.residual_first = form->residual_first;
  if (form->bias) g.epilogue.bias = b.read(form->bias + 1);
  if (form->residual) g.epilogue.residual = b.read(form->residual + 1);
}

int64_t GemmBatched::units(const GemmBatchedArgs& g) const {
  int64_t count = (g.n + g.nr - 1) / g.nr * ((g.m + g.block_rows - 1) / g.block_rows);
  for (int d = 0; d < g.batch_rank; ++d) count *= g.batch[d];
  return count;
}

size_t GemmBatched::scratch(const GemmBatchedArgs& g) const {
  return static_cast<size_t>(std::min(g.k, kKc) * g.nr) * sizeof(float);
}

double GemmBatched::flops(const GemmBatchedArgs& a) const {
  double sum = 2.0 * static_cast<double>(a.m) * static_cast<double>(a.n * a.k);
  for (int i = 0; i < a.batch_rank; ++i) sum *= static_cast<double>(a.batch[i]);
  return sum;
}

double GemmBatched::work(const GemmBatchedArgs& g) const {
  double batches = 1;
  for (int d = 0; d < g.batch_rank; ++d) batches *= static_cast<double>(g.batch[d]);
  return batches *
         (2e-2 * static_cast<double>(g.m * g.n) * static_cast<double>(g.k + 8) + 0.2 * static_cast<double>(g.k * g.n));
}

}  // namespace maas
