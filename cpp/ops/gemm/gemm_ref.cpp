// Plain loops; sums in double.
#include <algorithm>

#include "ops/elementwise/epilogue_rows.h"
#include "ops/gemm/gemm_kernels.h"

namespace maas {
namespace {

template <class T>
void epilogue(const GemmArgs& g, float* c, int64_t i, int64_t rows, int64_t j, int64_t columns, float* scratch) {
  if constexpr (std::is_same_v<T, float>) {
    const EpilogueArgs& e = g.epilogue;
    if (e.kind == EpilogueArgs::chain) {
      apply_chain_rows(e, c, g.ldc, i, rows, j, columns, scratch);
    } else if (e.kind != EpilogueArgs::none) {
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t x = 0; x < columns; ++x) {
          float& v = c[r * g.ldc + x];
          if (e.kind != EpilogueArgs::relu) v += e.bias_row[j + x];
          if (e.kind != EpilogueArgs::bias) v = v > e.top ? e.top : v != v || v > 0 ? v : 0;
        }
    }
  }
}

template <class T>
void gemm(const GemmArgs& g, int64_t begin, int64_t end, const Exec& exec) {
  const int64_t tiles = (g.m + g.mr - 1) / g.mr;
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t tile = unit % tiles, i0 = g.m * tile / tiles, rows = g.m * (tile + 1) / tiles - i0;
    const int64_t j0 = unit / tiles * 16, columns = std::min<int64_t>(16, g.n - j0);
    const int64_t p0 = j0 / g.nr * g.nr, ldb = (std::min(g.nr, g.n - p0) + 15) / 16 * 16;
    const T* b = static_cast<const T*>(g.b) + p0 * g.k + j0 - p0;
    T* c = static_cast<T*>(g.c) + i0 * g.ldc + j0;
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < columns; ++j) {
        const T* a = static_cast<const T*>(g.a) + (i0 + i) * g.rsa;
        double sum = 0;
        for (int64_t k = 0; k < g.k; ++k)
          sum += static_cast<double>(a[k * g.csa]) * static_cast<double>(b[k * ldb + j]);
        c[i * g.ldc + j] = static_cast<T>(sum);
      }
    epilogue<T>(g, reinterpret_cast<float*>(c), i0, rows, j0, columns, static_cast<float*>(exec.scratch));
  }
}

template <class T>
void pack(const GemmPackArgs& p, int64_t begin, int64_t end) {
  for (int64_t panel = begin; panel < end; ++panel) {
    const int64_t j0 = panel * p.nr, columns = std::min(p.nr, p.n - j0), width = (columns + 15) / 16 * 16;
    T* y = static_cast<T*>(p.y) + j0 * p.k;
    for (int64_t k = 0; k < p.k; ++k) {
      const T* x = static_cast<const T*>(p.x) + k * p.rs + j0 * p.cs;
      for (int64_t j = 0; j < width; ++j) y[k * width + j] = j < columns ? x[j * p.cs] : T(0);
    }
  }
}

// Floats are summed in double, integers in an unsigned type of their size, which wraps.
template <class T, class Sum>
void batched(const GemmBatchedArgs& g, int64_t begin, int64_t end) {
  GemmBatchedPart u;
  for (int64_t unit = begin; unit < end; unit = u.end) {
    u = batched_part(g, unit, end);
    for (int64_t i = 0; i < u.rows; ++i)
      for (int64_t j = 0; j < u.columns; ++j) {
        const T* a = static_cast<const T*>(g.a) + u.a + i * g.rsa;
        const T* b = static_cast<const T*>(g.b) + u.b + j * g.csb;
        Sum sum = 0;
        for (int64_t k = 0; k < g.k; ++k) sum += static_cast<Sum>(a[k * g.csa]) * static_cast<Sum>(b[k * g.rsb]);
        static_cast<T*>(g.c)[u.c + i * g.ldc + j] = static_cast<T>(sum);
      }
  }
}

}  // namespace

void gemm_f32_ref(const GemmArgs& a, int64_t begin, int64_t end, const Exec& exec) { gemm<float>(a, begin, end, exec); }
void gemm_f64_ref(const GemmArgs& a, int64_t begin, int64_t end, const Exec& exec) {
  gemm<double>(a, begin, end, exec);
}
void gemm_pack_f32(const GemmPackArgs& a, int64_t begin, int64_t end, const Exec&) { pack<float>(a, begin, end); }
void gemm_pack_f64(const GemmPackArgs& a, int64_t begin, int64_t end, const Exec&) { pack<double>(a, begin, end); }
void gemm_batched_f32_ref(const GemmBatchedArgs& a, int64_t begin, int64_t end, const Exec&) {
  batched<float, double>(a, begin, end);
}
void gemm_batched_f64_ref(const GemmBatchedArgs& a, int64_t begin, int64_t end, const Exec&) {
  batched<double, double>(a, begin, end);
}
void gemm_batched_i32_ref(const GemmBatchedArgs& a, int64_t begin, int64_t end, const Exec&) {
  batched<uint32_t, uint32_t>(a, begin, end);
}
void gemm_batched_i64_ref(const GemmBatchedArgs& a, int64_t begin, int64_t end, const Exec&) {
  batched<uint64_t, uint64_t>(a, begin, end);
}

}  // namespace maas
