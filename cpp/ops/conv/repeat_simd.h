#pragma once
// Gathers of 16 lanes; the places a vector reads from are the same in all pixels.
#include "ops/conv/repeat_kernels.h"
#include "simd/isa.h"

namespace maas {
namespace {

using simd::I;
using simd::kLanes;
using simd::Mask;
using simd::Tail;
using simd::V;

void run_repeat_channels(const RepeatChannelsArgs& a, int64_t begin, int64_t end) {
  const int64_t many = a.channels * a.times, from = a.sum ? many : a.channels, to = a.sum ? a.channels : many;
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t p0 = unit * a.unit, p1 = p0 + a.unit < a.pixels ? p0 + a.unit : a.pixels;
    for (int64_t f = 0; f < to; f += kLanes) {
      const Tail tail(to - f < kLanes ? to - f : kLanes);
      const Mask inside(tail);
      const int64_t first = a.sum ? f * a.times : f / a.times;
      int32_t places[kLanes];
      for (int64_t i = 0; i < kLanes; ++i)
        places[i] = static_cast<int32_t>(a.sum ? i * a.times : (f + i) / a.times - first);
      const I index = I::load(places);
      const float* x = static_cast<const float*>(a.x) + p0 * from + first;
      float* y = static_cast<float*>(a.y) + p0 * to + f;
      for (int64_t p = p0; p < p1; ++p, x += from, y += to) {
        V v = V::gather(x, index, inside, V(0.f));
        for (int64_t j = 1; a.sum && j < a.times; ++j) v = v + V::gather(x + j, index, inside, V(0.f));
        v.store(y, tail);
      }
    }
  }
}

}  // namespace
}  // namespace maas
