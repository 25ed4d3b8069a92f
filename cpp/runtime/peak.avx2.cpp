#include "runtime/peak_simd.h"

namespace maas {

int64_t peak_fma_avx2(const float* x, float* y, int64_t rounds) { return peak_fma(x, y, rounds); }
void peak_triad_avx2(const float* x, float* y, int64_t n) { peak_triad(x, y, n); }

}  // namespace maas
