// Products of GPUs: batches folded, then one call for each that is left.
#include <algorithm>

#include "cuda/blas.h"
#include "cuda/skinny_product.h"
#include "cuda/split_product.h"
#include "cuda/wgmma_product.h"
#include "ops/gemm/gemm_kernels.h"

#define MAAS_KERNELS "ops/gemm/batched_kernels.inc"
#define MAAS_KERNEL_ARGS GemmBatchedArgs
#define MAAS_KERNEL_TABLE gemm_batched_kernels
#include "cuda/kernel_table.h"

namespace maas {
namespace {

// Axes of the batch that are left: the last is the product's own, others are walked one by one.
struct Batches {
  MatrixProduct product;
  int rank = 0;
  int64_t size[GemmBatchedArgs::max_batch_rank], a[GemmBatchedArgs::max_batch_rank], b[GemmBatchedArgs::max_batch_rank],
      c[GemmBatchedArgs::max_batch_rank];
};

Batches fold(const GemmBatchedArgs& g, DType dtype) {
  Batches f;
  MatrixProduct& p = f.product;
  p.dtype = dtype;
  p.m = g.m;
  p.n = g.n;
  p.k = g.k;
  p.a = g.a;
  p.rsa = g.rsa;
  p.csa = g.csa;
  p.b = g.b;
  p.rsb = g.rsb;
  p.csb = g.csb;
  p.c = g.c;
  p.ldc = g.ldc;
  p.epilogue = g.epilogue;
  for (int d = 0; d < g.batch_rank; ++d) {
    if (g.batch[d] == 1) continue;
    const int last = f.rank - 1;
    const auto joins = [&](const int64_t* kept, const int64_t* strides) {
      return kept[last] == strides[d] * g.batch[d];
    };
    if (f.rank && joins(f.a, g.a_stride) && joins(f.b, g.b_stride) && joins(f.c, g.c_stride)) {
      f.size[last] *= g.batch[d];
      f.a[last] = g.a_stride[d];
      f.b[last] = g.b_stride[d];
      f.c[last] = g.c_stride[d];
    } else {
      f.size[f.rank] = g.batch[d];
      f.a[f.rank] = g.a_stride[d];
      f.b[f.rank] = g.b_stride[d];
      f.c[f.rank++] = g.c_stride[d];
    }
  }
  // Batches of one b whose rows follow each other are rows of one product.
  if (f.rank) {
    const int last = f.rank - 1;
    if (p.m == 1) {
      p.rsa = f.a[last];
      p.ldc = f.c[last];
    }
    if (f.b[last] == 0 && f.a[last] == p.m * p.rsa && f.c[last] == p.m * p.ldc) {
      p.m *= f.size[last];
      --f.rank;
    }
  }
  if (f.rank) {
    const int last = --f.rank;
    p.batch = f.size[last];
    p.a_batch = f.a[last];
    p.b_batch = f.b[last];
    p.c_batch = f.c[last];
  }
  return f;
}

template <class Run>
void each_product(const GemmBatchedArgs& g, DType dtype, Run&& run) {
  const Batches f = fold(g, dtype);
  int64_t count = 1;
  for (int d = 0; d < f.rank; ++d) count *= f.size[d];
  const int64_t bytes = bit_size(dtype) / 8;
  const auto moved = [&](const void* p, int64_t elements) -> const void* {
    return p ? static_cast<const char*>(p) + elements * bytes : nullptr;
  };
  for (int64_t t = 0; t < count; ++t) {
    MatrixProduct p = f.product;
    int64_t rest = t, a = 0, b = 0, c = 0;
    for (int d = f.rank; d-- > 0; rest /= f.size[d]) {
      const int64_t at = rest % f.size[d];
      a += at * f.a[d];
      b += at * f.b[d];
      c += at * f.c[d];
    }
    p.a = moved(p.a, a);
    p.b = moved(p.b, b);
    p.c = const_cast<void*>(moved(p.c, c));
    p.epilogue.residual = moved(p.epilogue.residual, c);
    run(p);
  }
}

void library(const GemmBatchedArgs& g, DType dtype, const Launch& l) {
  each_product(g, dtype, [&](const MatrixProduct& p) {
    if (!cuda::skinny_product(p, l)) cuda::multiply(p, l);
  });
}
size_t library_scratch(const GemmBatchedArgs& g, DType dtype) { return cuda::multiply_scratch(fold(g, dtype).product); }

#ifndef MAAS_CUDA_EMULATE
void split(const GemmBatchedArgs& g, DType dtype, const Launch& l) {
  each_product(g, dtype, [&](const MatrixProduct& p) {
    if (!cuda::skinny_product(p, l) && !cuda::split_product(p, l)) cuda::multiply(p, l);
  });
}
size_t split_scratch(const GemmBatchedArgs& g, DType dtype) {
  return std::max(library_scratch(g, dtype), cuda::split_product_scratch(fold(g, dtype).product));
}
void own(const GemmBatchedArgs& g, DType dtype, const Launch& l) {
  each_product(g, dtype, [&](const MatrixProduct& p) {
    if (!cuda::skinny_product(p, l) && !cuda::wgmma_product(p, l)) cuda::multiply(p, l);
  });
}
#endif

}  // namespace

#define MAAS_PRODUCT_ROW(name, dtype, how, scratch)                                                \
  void gemm_batched_##name(const GemmBatchedArgs& g, const Launch& l) { how(g, DType::dtype, l); } \
  size_t gemm_batched_##name##_scratch(const GemmBatchedArgs& g) { return scratch(g, DType::dtype); }
MAAS_PRODUCT_ROW(f32_cuda, f32, library, library_scratch)
MAAS_PRODUCT_ROW(bf16_cuda, bf16, library, library_scratch)
MAAS_PRODUCT_ROW(f16_cuda, f16, library, library_scratch)
MAAS_PRODUCT_ROW(f64_cuda, f64, library, library_scratch)
#ifndef MAAS_CUDA_EMULATE
MAAS_PRODUCT_ROW(bf16_wgmma, bf16, own, library_scratch)
MAAS_PRODUCT_ROW(f16_wgmma, f16, own, library_scratch)
MAAS_PRODUCT_ROW(f32_split, f32, split, split_scratch)
#endif
#undef MAAS_PRODUCT_ROW

}  // namespace maas
