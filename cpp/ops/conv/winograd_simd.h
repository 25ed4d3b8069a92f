#pragma once
// Winograd convolution over 16-lane vectors. Windows of a block of tiles are transformed, then panel by panel: a matrix
// product for each point, and the transform back with the epilogue in registers. What the steps hand over stays in L2.
#include "ops/conv/winograd_kernels.h"
#include "ops/elementwise/epilogue_rows.h"
#include "ops/gemm/gemm_kernels.h"
#include "ops/gemm/micro_simd.h"

namespace maas {
namespace {

// Rows of a weight panel that stay in L1 while the tiles of a block pass, with as many that come next: of 64 columns,
// 2 x 16 KB.
constexpr int64_t kWinogradKc = 64;

struct PointTile : MicroTile {
  const float* a;
  const float* b;
  int64_t k;
  const float* ahead;  // panel rows that come next, two lines for each row of this block, `ahead_step` apart
  int64_t ahead_step;
  template <class F>
  MAAS_MEMBER void each_run(F&& fn) const {
    fn(a, int64_t{1}, b, k);
  }
  MAAS_MEMBER void fetch(int64_t at) const {
    __builtin_prefetch(ahead + at * ahead_step);
    __builtin_prefetch(ahead + at * ahead_step + 16);
  }
};

template <int T>
struct Transform;

template <>
struct Transform<4> {
  static constexpr float kA = 0.707106781186547524f, kB = 1.41421356237309505f;  // 1 / sqrt(2), sqrt(2)
  // Bt d
  static MAAS_MEMBER void window(V (&d)[6]) {
    const V first = fnma(V(2.5f), d[2], d[0] + d[4]), last = fnma(V(2.5f), d[3], d[1] + d[5]);
    const V even = fnma(V(2.f), d[2], d[4]), odd = fnma(V(2.f), d[1], d[3]);
    const V even2 = fnma(V(.5f), d[2], d[4]), odd2 = fnma(V(.5f), d[1], d[3]);
    d[0] = first;
    d[1] = fma(V(kA), odd, even);
    d[2] = fnma(V(kA), odd, even);
    d[3] = fma(V(kB), odd2, even2);
    d[4] = fnma(V(kB), odd2, even2);
    d[5] = last;
  }
  // At m
  static MAAS_MEMBER void outputs(const V (&m)[6], V (&y)[4]) {
    const V even = m[1] + m[2], odd = m[1] - m[2], even2 = m[3] + m[4], odd2 = m[3] - m[4];
    y[0] = m[0] + even + even2;
    y[1] = fma(V(kA), odd, V(kB) * odd2);
    y[2] = fma(V(.5f), even, even2 + even2);
    y[3] = fma(V(.5f * kA), odd, fma(V(2 * kB), odd2, m[5]));
  }
};

template <>
struct Transform<2> {
  static MAAS_MEMBER void window(V (&d)[4]) {
    const V first = d[2] - d[0], last = d[3] - d[1], sum = d[1] + d[2], difference = d[2] - d[1];
    d[0] = first;
    d[1] = sum;
    d[2] = difference;
    d[3] = last;
  }
  static MAAS_MEMBER void outputs(const V (&m)[4], V (&y)[2]) {
    const V sum = m[1] + m[2], difference = m[1] - m[2];
    y[0] = m[0] + sum;
    y[1] = difference + m[3];
  }
};

// Lines of so many places at once are beyond what hardware follows: each is fetched one step ahead, as here the next
// channels, and at the end of a row the next tile, lie behind these.
// Channels [c, c + 16) of a tile: its window at pixels[], each point `stride` after the one before.
template <int T, class Mask>
MAAS_INLINE void window_in(const float* const* pixels, int64_t c, Mask mask, float* v, int64_t stride) {
  constexpr int N = T + 2;
  V columns[N][N];
  for (int j = 0; j < N; ++j) {
    V d[N];
    MAAS_UNROLL for (int i = 0; i < N; ++i) {
      const float* const pixel = pixels[i * N + j] + c;
      d[i] = V::load(pixel, mask, 0.f);
      __builtin_prefetch(pixel + kLanes);
    }
    Transform<T>::window(d);
    MAAS_UNROLL for (int i = 0; i < N; ++i) columns[i][j] = d[i];
  }
  for (int i = 0; i < N; ++i) {
    V d[N];
    MAAS_UNROLL for (int j = 0; j < N; ++j) d[j] = columns[i][j];
    Transform<T>::window(d);
    MAAS_UNROLL for (int j = 0; j < N; ++j) {
      d[j].store(v + j * stride);
      __builtin_prefetch(v + j * stride + kLanes);
    }
    v += N * stride;
  }
}

// The window of the tile at (row, column) of x, all channels.
template <int T>
MAAS_INLINE void tile_in(const WinogradArgs& a, const float* x, int64_t row, int64_t column, const float* zeros,
                         float* v, int64_t stride) {
  constexpr int N = T + 2;
  const float* pixels[N * N];
  for (int i = 0; i < N; ++i) {
    const int64_t ih = row + i;
    for (int j = 0; j < N; ++j) {
      const int64_t iw = column + j;
      const bool inside = ih >= 0 && ih < a.ih && iw >= 0 && iw < a.iw;
      pixels[i * N + j] = inside ? x + (ih * a.iw + iw) * a.k : zeros;
    }
  }
  int64_t c = 0;
  for (; c + kLanes <= a.k; c += kLanes) window_in<T>(pixels, c, simd::Full{}, v + c, stride);
  if (c < a.k) window_in<T>(pixels, c, Tail(a.k - c), v + c, stride);
}

MAAS_INLINE V finish(const ConvEpilogue& e, V v, V scale, V bias, const float* add, const float* mask, bool row,
                     int64_t left) {
  if (row) v = e.scale ? fma(v, scale, bias) : v + bias;
  if (add) v = v + simd::load_some<V>(add, left, 0.f);
  if (e.relu) v = max(V(0.f), v) + V(0.f);  // keeps NaN; -0 becomes 0
  if (mask) v = select(simd::load_some<V>(mask, left, 0.f) > V(0.f), v, V(0.f));
  return v;
}

// Columns [0, columns) of a tile whose products are at m, `stride` from point to point, to y: `rows` x `count` outputs.
// `column` and `at`: of its first element in rows as wide as y, and in y.
template <int T>
MAAS_INLINE void tile_out(const WinogradArgs& a, const float* m, int64_t stride, float* y, int64_t column, int64_t at,
                          int64_t rows, int64_t count, int64_t columns) {
  constexpr int N = T + 2;
  const ConvEpilogue& e = a.fused;
  const float* const scale = static_cast<const float*>(e.scale);
  const float* const bias = static_cast<const float*>(e.bias);
  const float* const add = static_cast<const float*>(e.add);
  const float* const mask = static_cast<const float*>(e.mask);
  for (int64_t c = 0; c < columns; c += kLanes) {
    const int64_t left = columns - c;
    V half[T][N];
    for (int j = 0; j < N; ++j) {
      V from[N], to[T];
      MAAS_UNROLL for (int i = 0; i < N; ++i) {
        const float* const product = m + (i * N + j) * stride + c;
        from[i] = V::load(product);
        __builtin_prefetch(product + kLanes);
      }
      Transform<T>::outputs(from, to);
      MAAS_UNROLL for (int i = 0; i < T; ++i) half[i][j] = to[i];
    }
    const V by = scale ? simd::load_some<V>(scale + column + c, left, 0.f) : V(1.f);
    const V plus = bias ? simd::load_some<V>(bias + column + c, left, 0.f) : V(0.f);
    for (int64_t i = 0; i < rows; ++i) {
      V from[N], to[T];
      MAAS_UNROLL for (int j = 0; j < N; ++j) from[j] = half[i][j];
      Transform<T>::outputs(from, to);
      const int64_t line = at + i * a.ow * a.m + c;
      MAAS_UNROLL for (int j = 0; j < T; ++j) {
        if (j < count) {
          const int64_t to_at = line + j * a.m;
          const V v = finish(e, to[j], by, plus, add ? add + to_at : nullptr, mask ? mask + to_at : nullptr,
                             scale || bias, left);
          simd::store_some(v, y + to_at, left);
        }
      }
    }
  }
}

struct TilePlace {
  int64_t image, row, column;  // row and column of the first output
};
MAAS_INLINE TilePlace place_of(const WinogradArgs& a, int64_t tile) {
  const int64_t of_image = a.tiles_h * a.tiles_w;
  return {tile / of_image, tile % of_image / a.tiles_w * a.tile, tile % a.tiles_w * a.tile};
}
MAAS_INLINE void next_tile(const WinogradArgs& a, TilePlace& p) {
  if ((p.column += a.tile) < a.tiles_w * a.tile) return;
  p.column = 0;
  if ((p.row += a.tile) < a.tiles_h * a.tile) return;
  p.row = 0;
  ++p.image;
}

// Products of `tiles` transformed windows with one panel's weights, point by point.
MAAS_INLINE void multiply_points(const WinogradArgs& a, const float* v, int64_t v_stride, const float* w,
                                 int64_t vectors, int64_t tiles, float* m, int64_t m_stride) {
  PointTile t;
  t.rsa = (a.k + kLanes - 1) / kLanes * kLanes;
  t.ldb = t.ldc = t.columns = vectors * kLanes;
  t.bias = nullptr;
  t.relu = false;
  const int64_t mr = tile_rows(t.columns, a.nr), groups = (tiles + mr - 1) / mr;
  for (int64_t point = 0; point < winograd_points(a.tile); ++point, v += v_stride, w += a.k * t.ldb, m += m_stride)
    for (int64_t k0 = 0; k0 < a.k; k0 += kWinogradKc) {
      t.first = k0 == 0;
      t.k = a.k - k0 < kWinogradKc ? a.k - k0 : kWinogradKc;
      t.b = w + k0 * t.ldb;
      for (int64_t g = 0; g < groups; ++g) {
        const int64_t i = tiles * g / groups, rows = tiles * (g + 1) / groups - i;
        // Each pass fetches its share of the next block: weights come from far away at less than a line a step.
        t.ahead = t.b + (t.k + t.k * g / groups) * t.ldb;
        t.ahead_step = groups > 3 ? kLanes : 2 * kLanes;
        t.a = v + i * t.rsa + k0;
        t.c = m + i * t.ldc;
        kMicro<PointTile>[vectors][rows](t);
      }
    }
}

template <int T>
MAAS_INLINE void run_winograd_tiles(const WinogradArgs& a, int64_t begin, int64_t end, const Exec& exec) {
  const int64_t points = winograd_points(T), all = a.n * a.tiles_h * a.tiles_w;
  const int64_t k_row = (a.k + kLanes - 1) / kLanes * kLanes;
  float* const zeros = reinterpret_cast<float*>(static_cast<char*>(exec.scratch) + a.epilogue_bytes);
  float* const v = zeros + k_row;
  const int64_t v_stride = winograd_stride(a.block_tiles, a.k), m_stride = winograd_stride(a.block_tiles, a.nr);
  float* const m = v + points * v_stride;
  const float* const x = static_cast<const float*>(a.x);
  float* const y = static_cast<float*>(a.y);
  for (int64_t c = 0; c < k_row; c += kLanes) V(0.f).store(zeros + c);
  int64_t transformed = -1;
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t block = unit / a.panel_groups, group = unit % a.panel_groups;
    const int64_t first = all * block / a.blocks, tiles = all * (block + 1) / a.blocks - first;
    if (transformed != block) {
      TilePlace p = place_of(a, first);
      for (int64_t i = 0; i < tiles; ++i, next_tile(a, p))
        tile_in<T>(a, x + p.image * a.ih * a.iw * a.k, p.row - a.begin_h, p.column - a.begin_w, zeros, v + i * k_row,
                   v_stride);
      transformed = block;
    }
    const int64_t last_panel = a.panels * (group + 1) / a.panel_groups;
    for (int64_t panel = a.panels * group / a.panel_groups; panel < last_panel; ++panel) {
      const int64_t column = panel * a.nr, columns = a.m - column < a.nr ? a.m - column : a.nr;
      const int64_t vectors = (columns + kLanes - 1) / kLanes;
      multiply_points(a, v, v_stride, static_cast<const float*>(a.w) + points * a.k * column, vectors, tiles, m,
                      m_stride);
      TilePlace p = place_of(a, first);
      for (int64_t i = 0; i < tiles; ++i, next_tile(a, p)) {
        const int64_t row = (p.image * a.oh + p.row) * a.ow + p.column, at = row * a.m + column;
        const int64_t rows = a.oh - p.row < T ? a.oh - p.row : T, count = a.ow - p.column < T ? a.ow - p.column : T;
        tile_out<T>(a, m + i * vectors * kLanes, m_stride, y, column, at, rows, count, columns);
        if (a.epilogue.kind == EpilogueArgs::chain)
          for (int64_t r = 0; r < rows; ++r)
            apply_chain_rows(a.epilogue, y + at + r * a.ow * a.m, a.m, row + r * a.ow, count, column, columns,
                             static_cast<float*>(exec.scratch));
      }
    }
  }
}

void run_winograd(const WinogradArgs& a, int64_t begin, int64_t end, const Exec& exec) {
  if (a.tile == 4)
    run_winograd_tiles<4>(a, begin, end, exec);
  else
    run_winograd_tiles<2>(a, begin, end, exec);
}

}  // namespace
}  // namespace maas
