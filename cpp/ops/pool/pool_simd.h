#pragma once
// Pooling, 16 channels at a time: a window's positions pass through one vector, so no output waits for another.
#include "ops/pool/pool_kernels.h"
#include "simd/isa.h"

namespace maas {
namespace {

using simd::I;
using simd::kLanes;
using simd::Mask;
using simd::Tail;
using simd::V;

struct PoolRange {
  int64_t first, last;
};

// Positions of window o that lie inside.
MAAS_INLINE PoolRange pool_positions(const PoolAxis& a, int64_t o) {
  const int64_t source = o * a.stride - a.begin;
  return {source < 0 ? -source : 0, a.in - source < a.kernel ? a.in - source : a.kernel};
}

// Moves a range of windows on to those that hold input i; i ascends from call to call, from {0, 0}.
MAAS_INLINE void advance_windows(PoolRange& r, const PoolAxis& a, int64_t i) {
  const int64_t at = i + a.begin;
  while (r.last < a.out && r.last * a.stride <= at) ++r.last;
  while (r.first < r.last && r.first * a.stride + a.kernel <= at) ++r.first;
}

// Windows that hold input i.
MAAS_INLINE PoolRange pool_windows(const PoolAxis& a, int64_t i) {
  const int64_t at = i + a.begin, before = at - a.kernel, last = at / a.stride + 1;
  return {before < 0 ? 0 : before / a.stride + 1, last < a.out ? last : a.out};
}

template <class Index, class T>
MAAS_INLINE void max_channels(const PoolArgs& a, const float* x, float* y, Index* index, PoolRange h, PoolRange w,
                              T tail) {
  const int64_t row = a.w.in * a.channels;
  V best(-simd::kInf);
  I position(static_cast<int32_t>(h.first * a.w.kernel + w.first));
  for (int64_t kh = h.first; kh < h.last; ++kh)
    for (int64_t kw = w.first; kw < w.last; ++kw) {
      const V v = V::load(x + kh * row + kw * a.channels, tail, 0.f);
      // The first among equals stays; a NaN wins over numbers, the first NaN over later ones.
      const Mask wins = (v > best) | (isnan(v) & ~isnan(best));
      best = select(wins, v, best);
      position = select(wins, I(static_cast<int32_t>(kh * a.w.kernel + kw)), position);
    }
  best.store(y, tail);
  if (index) position.store(index, tail);
}

template <class Index>
MAAS_INLINE void run_max_pool(const PoolArgs& a, int64_t begin, int64_t end) {
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t image = unit / a.h.out, oh = unit % a.h.out;
    const PoolRange h = pool_positions(a.h, oh);
    const float* x_row =
        static_cast<const float*>(a.x) + (image * a.h.in + oh * a.h.stride - a.h.begin) * a.w.in * a.channels;
    for (int64_t ow = 0; ow < a.w.out; ++ow) {
      const PoolRange w = pool_positions(a.w, ow);
      const float* x = x_row + (ow * a.w.stride - a.w.begin) * a.channels;
      const int64_t at = (unit * a.w.out + ow) * a.channels;
      float* y = static_cast<float*>(a.y) + at;
      Index* index = a.index ? static_cast<Index*>(a.index) + at : nullptr;
      simd::for_each_vector<V>(a.channels, [&](int64_t c, auto tail) __attribute__((always_inline)) {
        max_channels(a, x + c, y + c, index ? index + c : nullptr, h, w, tail);
      });
    }
  }
}

template <class Index>
MAAS_INLINE void run_max_pool_gradient(const PoolArgs& a, int64_t begin, int64_t end) {
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t image = unit / a.h.in, ih = unit % a.h.in;
    const PoolRange h = pool_windows(a.h, ih);
    const int64_t row = a.w.out * a.channels, first = image * a.h.out * row;
    const float* dy = static_cast<const float*>(a.x) + first;
    const Index* index = static_cast<const Index*>(a.index) + first;
    PoolRange w = {0, 0};
    for (int64_t iw = 0; iw < a.w.in; ++iw) {
      advance_windows(w, a.w, iw);
      float* dx = static_cast<float*>(a.y) + (unit * a.w.in + iw) * a.channels;
      simd::for_each_vector<V>(a.channels, [&](int64_t c, auto tail) __attribute__((always_inline)) {
        V sum(0.f);
        for (int64_t oh = h.first; oh < h.last; ++oh)
          for (int64_t ow = w.first; ow < w.last; ++ow) {
            const int64_t at = oh * row + ow * a.channels + c;
            const int64_t here = (ih + a.h.begin - oh * a.h.stride) * a.w.kernel + iw + a.w.begin - ow * a.w.stride;
            const Mask mine = I::load(index + at, tail, 0) == I(static_cast<int32_t>(here));
            sum = sum + select(mine, V::load(dy + at, tail, 0.f), V(0.f));
          }
        sum.store(dx + c, tail);
      });
    }
  }
}

MAAS_INLINE void run_average_pool(const PoolArgs& a, int64_t begin, int64_t end) {
  const int64_t row = a.w.in * a.channels;
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t image = unit / a.h.out, oh = unit % a.h.out;
    const PoolRange h = pool_positions(a.h, oh);
    const float* x_row = static_cast<const float*>(a.x) + (image * a.h.in + oh * a.h.stride - a.h.begin) * row;
    for (int64_t ow = 0; ow < a.w.out; ++ow) {
      const PoolRange w = pool_positions(a.w, ow);
      const float* x = x_row + (ow * a.w.stride - a.w.begin) * a.channels;
      const int64_t high = h.last > h.first ? h.last - h.first : 0, wide = w.last > w.first ? w.last - w.first : 0;
      const V count(static_cast<float>(high * wide));
      float* y = static_cast<float*>(a.y) + (unit * a.w.out + ow) * a.channels;
      simd::for_each_vector<V>(a.channels, [&](int64_t c, auto tail) __attribute__((always_inline)) {
        V sum(0.f);
        for (int64_t kh = h.first; kh < h.last; ++kh)
          for (int64_t kw = w.first; kw < w.last; ++kw)
            sum = sum + V::load(x + kh * row + kw * a.channels + c, tail, 0.f);
        (sum / count).store(y + c, tail);
      });
    }
  }
}

MAAS_INLINE void run_average_pool_gradient(const PoolArgs& a, int64_t begin, int64_t end) {
  const int64_t row = a.w.out * a.channels;
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t image = unit / a.h.in, ih = unit % a.h.in;
    const PoolRange h = pool_windows(a.h, ih);
    const float* dy = static_cast<const float*>(a.x) + image * a.h.out * row;
    PoolRange w = {0, 0};
    for (int64_t iw = 0; iw < a.w.in; ++iw) {
      advance_windows(w, a.w, iw);
      float* dx = static_cast<float*>(a.y) + (unit * a.w.in + iw) * a.channels;
      simd::for_each_vector<V>(a.channels, [&](int64_t c, auto tail) __attribute__((always_inline)) {
        V sum(0.f);
        for (int64_t oh = h.first; oh < h.last; ++oh) {
          const PoolRange kh = pool_positions(a.h, oh);
          for (int64_t ow = w.first; ow < w.last; ++ow) {
            const PoolRange kw = pool_positions(a.w, ow);
            const V count(static_cast<float>((kh.last - kh.first) * (kw.last - kw.first)));
            sum = sum + V::load(dy + oh * row + ow * a.channels + c, tail, 0.f) / count;
          }
        }
        sum.store(dx + c, tail);
      });
    }
  }
}

}  // namespace
}  // namespace maas
