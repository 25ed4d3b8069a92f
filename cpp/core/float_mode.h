// Denormals count as zero while kernels run, on every thread, so that results do not depend on who computes.
#pragma once

#include <xmmintrin.h>

namespace maas {

// Sets FTZ and DAZ of the calling thread, and gives MXCSR back as it was.
class FlushDenormals {
 public:
  FlushDenormals() noexcept : saved_(_mm_getcsr()) {
    if ((saved_ & kFlush) != kFlush) _mm_setcsr(saved_ | kFlush);
  }
  ~FlushDenormals() {
    if (_mm_getcsr() != saved_) _mm_setcsr(saved_);
  }
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
  static constexpr unsigned kFlush = 0x8040;  // FTZ is bit 15, DAZ bit 6
  unsigned saved_;
};

}  // namespace maas
