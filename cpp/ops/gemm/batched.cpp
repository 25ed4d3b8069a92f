#include <algorithm>

#include "graph/op_model.h"
#include "ops/gemm/gemm.h"

#define MAAS_KERNELS "ops/gemm/batched_kernels.inc"
#define MAAS_KERNEL_ARGS GemmBatchedArgs
#define MAAS_KERNEL_TABLE gemm_batched_kernels
#include "core/kernel_table.h"

namespace maas {

MAAS_DEFINE_OP(gemm_batched, GemmBatched)
const KernelTable& GemmBatched::kernels() { return gemm_batched_kernels; }

Specs GemmBatched::infer(const Inputs& in) const {
  const Shape &a = in[0].shape, &b = in[1].shape;
  Shape out = broadcast("matmul", Shape(a.begin(), a.end() - 2), Shape(b.begin(), b.end() - 2));
  check(out.size() <= GemmBatchedArgs::max_batch_rank, "matmul: at most ", int{GemmBatchedArgs::max_batch_rank},
        " leading axes, received ", out.size());
  out.push_back(a[a.size() - (transpose_a ? 1 : 2)]);
  out.push_back(b[b.size() - (transpose_b ? 2 : 1)]);
  return {Spec{in[0].dtype, std::move(out), {}}};
}

bool GemmBatched::accepts(const KernelRow& row, const Specs& in, const Specs&) const {
  return row.dtype == in[0].dtype && (row.isa == Isa::none || row.tile[1] == nr);
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
