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

// The positions of the window of output (od, oh) in whole rows, and the row of x its position (0, 0) lies in.
struct PoolRows {
  PoolRange d, h;
  int64_t row, row_of_depth;  // elements from one row to the next, from one depth to the next
  const float* x;
};
MAAS_INLINE PoolRows pool_rows(const PoolArgs& a, int64_t unit) {
  const int64_t oh = unit % a.h.out, od = unit / a.h.out % a.d.out, image = unit / a.h.out / a.d.out;
  const int64_t row = a.w.in * a.channels, id = od * a.d.stride - a.d.begin, ih = oh * a.h.stride - a.h.begin;
  return {pool_positions(a.d, od), pool_positions(a.h, oh), row, row * a.h.in,
          static_cast<const float*>(a.x) + ((image * a.d.in + id) * a.h.in + ih) * row};
}
MAAS_INLINE int64_t length(PoolRange r) { return r.last > r.first ? r.last - r.first : 0; }

template <class Index, class T>
MAAS_INLINE void max_channels(const PoolArgs& a, const PoolRows& r, const float* x, float* y, Index* index, PoolRange w,
                              T tail) {
  V best(-simd::kInf);
  I position(static_cast<int32_t>((r.d.first * a.h.kernel + r.h.first) * a.w.kernel + w.first));
  for (int64_t kd = r.d.first; kd < r.d.last; ++kd)
    for (int64_t kh = r.h.first; kh < r.h.last; ++kh)
      for (int64_t kw = w.first; kw < w.last; ++kw) {
        const V v = V::load(x + kd * r.row_of_depth + kh * r.row + kw * a.channels, tail, 0.f);
        // The first among equals stays; a NaN wins over numbers, the first NaN over later ones.
        const Mask wins = (v > best) | (isnan(v) & ~isnan(best));
        best = select(wins, v, best);
        position = select(wins, I(static_cast<int32_t>((kd * a.h.kernel + kh) * a.w.kernel + kw)), position);
      }
  best.store(y, tail);
  position.store(index, tail);
}

// The same without a position. Kh, Kw: sizes of a flat window inside the image, so that the
// loops unroll; 0 if unknown.
template <int Kh, int Kw, class T>
MAAS_INLINE void max_channels_only(const PoolArgs& a, const PoolRows& r, const float* x, float* y, PoolRange w,
                                   T tail) {
  V best(-simd::kInf);
  const auto take = [&](const float* at) __attribute__((always_inline)) {
    const V v = V::load(at, tail, 0.f);
    best = select((v > best) | (isnan(v) & ~isnan(best)), v, best);
  };
  if constexpr (Kh > 0) {
    MAAS_UNROLL for (int kh = 0; kh < Kh; ++kh) MAAS_UNROLL for (int kw = 0; kw < Kw; ++kw)
        take(x + kh * r.row + kw * a.channels);
  } else {
    for (int64_t kd = r.d.first; kd < r.d.last; ++kd)
      for (int64_t kh = r.h.first; kh < r.h.last; ++kh)
        for (int64_t kw = w.first; kw < w.last; ++kw) take(x + kd * r.row_of_depth + kh * r.row + kw * a.channels);
  }
  best.store(y, tail);
}

template <int Kh, int Kw>
MAAS_INLINE void max_row(const PoolArgs& a, const PoolRows& rows, float* y) {
  for (int64_t ow = 0; ow < a.w.out; ++ow, y += a.channels) {
    const PoolRange w = pool_positions(a.w, ow);
    const float* x = rows.x + (ow * a.w.stride - a.w.begin) * a.channels;
    simd::for_each_vector<V>(a.channels, [&](int64_t c, auto tail) __attribute__((always_inline)) {
      max_channels_only<Kh, Kw>(a, rows, x + c, y + c, w, tail);
    });
  }
}

template <class Index>
MAAS_INLINE void run_max_pool(const PoolArgs& a, int64_t begin, int64_t end) {
  const auto inside = [](const PoolAxis& w) { return w.begin == 0 && (w.out - 1) * w.stride + w.kernel <= w.in; };
  const bool plain = a.d.kernel == 1 && inside(a.d) && inside(a.h) && inside(a.w) && a.h.kernel == a.w.kernel;
  for (int64_t unit = begin; unit < end; ++unit) {
    const PoolRows rows = pool_rows(a, unit);
    const int64_t at = unit * a.w.out * a.channels;
    float* y = static_cast<float*>(a.y) + at;
    if (!a.index) {
      if (plain && a.w.kernel == 2)
        max_row<2, 2>(a, rows, y);
      else if (plain && a.w.kernel == 3)
        max_row<3, 3>(a, rows, y);
      else
        max_row<0, 0>(a, rows, y);
      continue;
    }
    Index* index = static_cast<Index*>(a.index) + at;
    for (int64_t ow = 0; ow < a.w.out; ++ow, y += a.channels, index += a.channels) {
      const PoolRange w = pool_positions(a.w, ow);
      const float* x = rows.x + (ow * a.w.stride - a.w.begin) * a.channels;
      simd::for_each_vector<V>(a.channels, [&](int64_t c, auto tail) __attribute__((always_inline)) {
        max_channels(a, rows, x + c, y + c, index + c, w, tail);
      });
    }
  }
}

// dx = the sum, over the windows that hold a pixel in their order, of fn(window (od, oh, ow), its vector of dy, the
// pixel's position in it, tail).
template <class F>
MAAS_INLINE void run_pool_gradient(const PoolArgs& a, int64_t begin, int64_t end, F&& fn) {
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t ih = unit % a.h.in, id = unit / a.h.in % a.d.in, image = unit / a.h.in / a.d.in;
    const PoolRange d = pool_windows(a.d, id), h = pool_windows(a.h, ih);
    const int64_t row = a.w.out * a.channels, first = image * a.d.out * a.h.out * row;
    PoolRange w = {0, 0};
    for (int64_t iw = 0; iw < a.w.in; ++iw) {
      advance_windows(w, a.w, iw);
      float* dx = static_cast<float*>(a.y) + (unit * a.w.in + iw) * a.channels;
      simd::for_each_vector<V>(a.channels, [&](int64_t c, auto tail) __attribute__((always_inline)) {
        V sum(0.f);
        for (int64_t od = d.first; od < d.last; ++od)
          for (int64_t oh = h.first; oh < h.last; ++oh) {
            const int64_t kd = id + a.d.begin - od * a.d.stride, kh = ih + a.h.begin - oh * a.h.stride;
            const int64_t at = first + (od * a.h.out + oh) * row + c, position = (kd * a.h.kernel + kh) * a.w.kernel;
            for (int64_t ow = w.first; ow < w.last; ++ow)
              sum = sum + fn(od, oh, ow, at + ow * a.channels, position + iw + a.w.begin - ow * a.w.stride, tail);
          }
        sum.store(dx + c, tail);
      });
    }
  }
}

template <class Index>
MAAS_INLINE void run_max_pool_gradient(const PoolArgs& a, int64_t begin, int64_t end) {
  const float* dy = static_cast<const float*>(a.x);
  const Index* index = static_cast<const Index*>(a.index);
  run_pool_gradient(a, begin, end,
                    [&](int64_t, int64_t, int64_t, int64_t at, int64_t here, auto tail) __attribute__((always_inline)) {
                      const Mask mine = I::load(index + at, tail, 0) == I(static_cast<int32_t>(here));
                      return select(mine, V::load(dy + at, tail, 0.f), V(0.f));
                    });
}

MAAS_INLINE void run_average_pool(const PoolArgs& a, int64_t begin, int64_t end) {
  for (int64_t unit = begin; unit < end; ++unit) {
    const PoolRows rows = pool_rows(a, unit);
    for (int64_t ow = 0; ow < a.w.out; ++ow) {
      const PoolRange w = pool_positions(a.w, ow);
      const float* x = rows.x + (ow * a.w.stride - a.w.begin) * a.channels;
      const V count(static_cast<float>(length(rows.d) * length(rows.h) * length(w)));
      float* y = static_cast<float*>(a.y) + (unit * a.w.out + ow) * a.channels;
      simd::for_each_vector<V>(a.channels, [&](int64_t c, auto tail) __attribute__((always_inline)) {
        V sum(0.f);
        for (int64_t kd = rows.d.first; kd < rows.d.last; ++kd)
          for (int64_t kh = rows.h.first; kh < rows.h.last; ++kh)
            for (int64_t kw = w.first; kw < w.last; ++kw)
              sum = sum + V::load(x + kd * rows.row_of_depth + kh * rows.row + kw * a.channels + c, tail, 0.f);
        (sum / count).store(y + c, tail);
      });
    }
  }
}

MAAS_INLINE void run_average_pool_gradient(const PoolArgs& a, int64_t begin, int64_t end) {
  const float* dy = static_cast<const float*>(a.x);
  run_pool_gradient(a, begin, end,
                    [&](int64_t od, int64_t oh, int64_t ow, int64_t at, int64_t, auto tail)
                        __attribute__((always_inline)) {
                          const int64_t count = length(pool_positions(a.d, od)) * length(pool_positions(a.h, oh)) *
                                                length(pool_positions(a.w, ow));
                          return V::load(dy + at, tail, 0.f) / V(static_cast<float>(count));
                        });
}

}  // namespace
}  // namespace maas
