// What this machine can do at best, measured: the yardstick of profiles and benchmarks.
#pragma once

#include <cstdint>

namespace maas {

struct Peak {
  double gflops = 0;  // float32 multiply-adds in registers, each counted as two
  double gbytes = 0;  // y = y + a x over arrays larger than the caches: 12 bytes an element
};

// About `seconds` for each figure, on a team of at most `threads`. Uses the active ISA; 0 for "ref".
Peak measure_peak(int threads, double seconds = 0.03);

// Kernels, by ISA: `rounds` times as many independent multiply-adds as fill the pipeline; returns how many
// floating-point operations that was.
int64_t peak_fma_avx2(const float* x, float* y, int64_t rounds);
int64_t peak_fma_avx512(const float* x, float* y, int64_t rounds);
// y[i] += 0.5 x[i]
void peak_triad_avx2(const float* x, float* y, int64_t n);
void peak_triad_avx512(const float* x, float* y, int64_t n);

}  // namespace maas
