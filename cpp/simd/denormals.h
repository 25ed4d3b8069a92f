// The rule for denormals during a run. May be used by any file: plain SSE only.
#pragma once
#include <xmmintrin.h>

namespace maas::simd {

// While alive: denormal inputs read as 0 and denormal results become 0 (DAZ and FTZ) in this thread, rounding is to
// nearest even and exceptions are masked. The caller's MXCSR comes back afterwards.
class FlushDenormals {
 public:
  __attribute__((always_inline)) FlushDenormals() : saved_(_mm_getcsr()) { _mm_setcsr(0x1f80u | 0x8040u); }
  __attribute__((always_inline)) ~FlushDenormals() { _mm_setcsr(saved_); }
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
  unsigned saved_;
};

}  // namespace maas::simd
