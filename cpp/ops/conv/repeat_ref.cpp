// Plain loops; sums in double.
#include <algorithm>

#include "ops/conv/repeat_kernels.h"

namespace maas {
namespace {

template <class T>
void repeat_channels(const RepeatChannelsArgs& a, int64_t begin, int64_t end) {
  const T* x = static_cast<const T*>(a.x);
  T* y = static_cast<T*>(a.y);
  for (int64_t p = begin * a.unit; p < std::min(a.pixels, end * a.unit); ++p)
    for (int64_t c = p * a.channels; c < (p + 1) * a.channels; ++c) {
      double total = 0;
      for (int64_t j = 0; j < a.times; ++j) {
        if (a.sum)
          total += static_cast<double>(x[c * a.times + j]);
        else
          y[c * a.times + j] = x[c];
      }
      if (a.sum) y[c] = static_cast<T>(total);
    }
}

}  // namespace

void repeat_channels_f32_ref(const RepeatChannelsArgs& a, int64_t begin, int64_t end, const Exec&) {
  repeat_channels<float>(a, begin, end);
}
void repeat_channels_f64_ref(const RepeatChannelsArgs& a, int64_t begin, int64_t end, const Exec&) {
  repeat_channels<double>(a, begin, end);
}

}  // namespace maas
