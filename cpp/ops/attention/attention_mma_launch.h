#pragma once
// Which instance of the mma kernel a problem gets.
#include "ops/attention/attention_launch.h"
#include "ops/attention/attention_mma.h"

namespace maas::attention_cuda {

template <int kDim>
using MmaDecode = MmaConfig<kDim, 1, 1, 4, 64, kDim <= 128 ? 3 : 2>;
template <int kDim>
using MmaSmall = MmaConfig<kDim, 1, 4, 1, kDim <= 128 ? 64 : 32, 2>;
template <int kDim>
using MmaLarge = MmaConfig<kDim, 2, 4, 1, 64, 2>;

template <class T, class C, bool kPlain>
void run_mma(const AttentionArgs& a, const Problem& p, const Launch& l, bool split) {
  const Tiling tiling = tiling_of(p, C::kRows, split, split ? chunk_of(a.s, true) : kChunk);
  const Output out = output_of(a, tiling, l);
  const bool vectors =
      by_vectors<T>(a.q, p.head_dim) && by_vectors<T>(a.k, p.head_dim) && by_vectors<T>(a.v, p.value_dim);
  cuda::launch(l, attention_mma_kernel<T, C, kPlain>, dim3(static_cast<unsigned>(tiling.blocks(p))), dim3(C::kThreads),
               C::kBytes, p, out, tiling, vectors, cuda::reporter(l));
  combine<T>(l, p, out, tiling);
}

template <class T, int kDim>
void run_mma_dim(const AttentionArgs& a, const Problem& p, const Launch& l) {
  static_assert(MmaDecode<kDim>::kRows == kDecodeRows);
  if constexpr (kDim == 64 || kDim == 128) {
    if (is_plain(p)) {
      if (is_decode(a.s)) return run_mma<T, MmaDecode<kDim>, true>(a, p, l, true);
      // Tiles of 128 rows where they fill the GPU; the bits are those of 64.
      if (tiling_of(p, 128, false, kChunk).blocks(p) >= 2 * l.multiprocessors)
        return run_mma<T, MmaLarge<kDim>, true>(a, p, l, false);
      return run_mma<T, MmaSmall<kDim>, true>(a, p, l, false);
    }
  }
  if (is_decode(a.s)) return run_mma<T, MmaDecode<kDim>, false>(a, p, l, true);
  run_mma<T, MmaSmall<kDim>, false>(a, p, l, false);
}

template <class T>
void attention_mma(const AttentionArgs& a, const Launch& l) {
  const Problem p = problem_of(a);
  const int dim = p.head_dim > p.value_dim ? p.head_dim : p.value_dim;
  if (dim <= 32) return run_mma_dim<T, 32>(a, p, l);
  if (dim <= 64) return run_mma_dim<T, 64>(a, p, l);
  if (dim <= 128) return run_mma_dim<T, 128>(a, p, l);
  run_mma_dim<T, 256>(a, p, l);
}

}  // namespace maas::attention_cuda
