#pragma once
// dw = x^T dy over 16-lane vectors: a tile of R rows of dw (neighbouring elements of x) x C vectors of its columns
// lives in registers while a chunk of outputs passes. Neither x nor dy is packed.
#include "ops/conv/pixels_simd.h"

namespace maas {
namespace {

// Outputs of one row: their first source and dy, and how many.
struct GradientRow {
  const float* x;
  const float* dy;
  int64_t count;
};

struct GradientTile {
  const GradientRow* rows;
  int64_t row_count;
  int64_t offset_x, offset_dy;  // of the tile's first row and column
  int64_t step_x, step_dy;      // from one output to the next
  float* c;
  int64_t ldc, columns;
  bool add;  // to c, else store
};

// kWhole: the last vector is whole too. A masked load costs AVX2 two instructions, AVX-512 nothing.
template <int R, int C, bool kWhole = false>
void gradient_micro(const GradientTile& t) {
  Block<V, R * C> acc;
  const Tail tail(t.columns - (C - 1) * kLanes);
  acc.fill(V(0.f));
  const int64_t step_x = t.step_x, step_dy = t.step_dy;
  for (int64_t r = 0; r < t.row_count; ++r) {
    const float* x = t.rows[r].x + t.offset_x;
    const float* dy = t.rows[r].dy + t.offset_dy;
    for (int64_t p = t.rows[r].count; p > 0; --p, x += step_x, dy += step_dy) {
      Block<V, C> row;
      MAAS_UNROLL for (int j = 0; j < C; ++j) row[j] =
          j == C - 1 && !kWhole ? V::load(dy + j * kLanes, tail, 0.f) : V::load(dy + j * kLanes);
      MAAS_UNROLL for (int i = 0; i < R; ++i) {
        // One broadcast serves C products: as a memory operand of each it would make loads the limit.
        const V v(x[i]);
        MAAS_UNROLL for (int j = 0; j < C; ++j) acc[i * C + j] = fma(v, row[j], acc[i * C + j]);
      }
    }
  }
  MAAS_UNROLL for (int i = 0; i < R; ++i) MAAS_UNROLL for (int j = 0; j < C; ++j) {
    const bool last = j == C - 1;
    float* c = t.c + i * t.ldc + j * kLanes;
    V v = acc[i * C + j];
    if (t.add) v = (last ? V::load(c, tail, 0.f) : V::load(c)) + v;
    if (last)
      v.store(c, tail);
    else
      v.store(c);
  }
}

using GradientMicro = void (*)(const GradientTile&);
#define MAAS_ROWS6(...)                                                                                    \
  nullptr, gradient_micro<1, __VA_ARGS__>, gradient_micro<2, __VA_ARGS__>, gradient_micro<3, __VA_ARGS__>, \
      gradient_micro<4, __VA_ARGS__>, gradient_micro<5, __VA_ARGS__>, gradient_micro<6, __VA_ARGS__>
#if defined(__AVX512F__)
#define MAAS_ROWS8(C) MAAS_ROWS6(C), gradient_micro<7, C>, gradient_micro<8, C>
#define MAAS_ROWS12(C) \
  MAAS_ROWS8(C), gradient_micro<9, C>, gradient_micro<10, C>, gradient_micro<11, C>, gradient_micro<12, C>
const GradientMicro kGradient1[] = {MAAS_ROWS12(1), gradient_micro<13, 1>, gradient_micro<14, 1>};
const GradientMicro kGradient2[] = {MAAS_ROWS12(2)};
const GradientMicro kGradient3[] = {MAAS_ROWS8(3)};
const GradientMicro kGradient4[] = {MAAS_ROWS6(4)};
const GradientMicro* const kGradientMicro[] = {nullptr, kGradient1, kGradient2, kGradient3, kGradient4};
MAAS_INLINE GradientMicro gradient_kernel(int64_t rows, int64_t columns) {
  return kGradientMicro[(columns + kLanes - 1) / kLanes][rows];
}
#undef MAAS_ROWS8
#undef MAAS_ROWS12
#else
const GradientMicro kGradient[] = {MAAS_ROWS6(1)};
const GradientMicro kGradientWhole[] = {MAAS_ROWS6(1, true)};
MAAS_INLINE GradientMicro gradient_kernel(int64_t rows, int64_t columns) {
  return (columns == kLanes ? kGradientWhole : kGradient)[rows];
}
#endif
#undef MAAS_ROWS6

// The outputs of a chunk whose sources for one run lie inside, as rows. Rows are counted over all depths.
MAAS_INLINE int64_t gradient_rows(const ConvKernelGradientArgs& a, int64_t group, int64_t run, int64_t image0,
                                  int64_t image1, int64_t row0, int64_t row1, GradientRow* rows, float* padded) {
  const ConvAxis &d = a.axes.d, &h = a.axes.h, &w = a.axes.w;
  const int64_t ic_all = a.groups * a.ic, oc_all = a.groups * a.oc;
  const int64_t tap = a.run == a.ic ? run : run * w.kernel;
  const int64_t kw = tap % w.kernel, kh = tap / w.kernel % h.kernel, kd = tap / w.kernel / h.kernel;
  const int64_t from = kw * w.dilation - w.begin;  // source of output 0
  int64_t lo = 0, hi = w.out;
  if (!a.padded_row) {
    while (lo < hi && lo * w.step + from < 0) ++lo;
    while (hi > lo && (hi - 1) * w.step + from >= w.in) --hi;
  }
  if (lo >= hi || row0 >= row1) return 0;
  const int64_t span = a.padded_row ? a.padded_row / a.ic : 0;
  int64_t count = 0;
  for (int64_t n = image0; n < image1; ++n) {
    int64_t od = row0 / h.out, oh = row0 % h.out;
    for (int64_t r = row0; r < row1; ++r, ++oh) {
      if (oh == h.out) oh = 0, ++od;
      const int64_t id = od * d.step - d.begin + kd * d.dilation, ih = oh * h.step - h.begin + kh * h.dilation;
      if (id < 0 || id >= d.in || ih < 0 || ih >= h.in) continue;
      const float* x_row = static_cast<const float*>(a.x) + ((n * d.in + id) * h.in + ih) * w.in * ic_all;
      GradientRow& row = rows[count++];
      row.dy = static_cast<const float*>(a.dy) + ((n * d.out * h.out + r) * w.out + lo) * oc_all + group * a.oc;
      row.count = hi - lo;
      if (a.padded_row && (from < 0 || from + span > w.in)) {
        copy_pixels(x_row, w.in, ic_all, a.ic, from, span, padded);
        row.x = padded;
        padded += a.padded_row;
      } else {
        row.x = x_row + (lo * w.step + from) * ic_all + group * a.ic;
      }
    }
  }
  return count;
}

void run_kernel_gradient(const ConvKernelGradientArgs& a, int64_t begin, int64_t end, const Exec& exec) {
  const int64_t oc_all = a.groups * a.oc, size = a.runs * a.run * oc_all;
  if (exec.phase == 1) {
    for (int64_t unit = begin; unit < end; ++unit) {
      const float* part = static_cast<const float*>(a.partial) + unit * oc_all;
      float* y = static_cast<float*>(a.dw) + unit * oc_all;
      for (int64_t j = 0; j < oc_all; j += kLanes) {
        V sum = simd::load_some<V>(part + j, oc_all - j, 0.f);
        for (int64_t p = 1; p < a.parts; ++p) sum = sum + simd::load_some<V>(part + p * size + j, oc_all - j, 0.f);
        simd::store_some(sum, y + j, oc_all - j);
      }
    }
    return;
  }
  GradientRow* rows = static_cast<GradientRow*>(exec.scratch);
  float* padded = reinterpret_cast<float*>(rows + a.list_rows);
  const int64_t image_rows = a.axes.d.out * a.axes.h.out;
  const int64_t run_units = (a.run + a.block - 1) / a.block;
  for (int64_t unit = begin; unit < end; ++unit) {
    int64_t rest = unit;
    const int64_t column_unit = rest % a.column_units;
    const int64_t row_unit = (rest /= a.column_units) % a.row_units;
    const int64_t group = (rest /= a.row_units) % a.groups;
    const int64_t part = rest / a.groups;
    const int64_t run0 = row_unit / run_units * a.unit_runs,
                  run1 = run0 + a.unit_runs < a.runs ? run0 + a.unit_runs : a.runs;
    const int64_t r0 = row_unit % run_units * a.block, r1 = r0 + a.block < a.run ? r0 + a.block : a.run;
    const int64_t f0 = column_unit * kGradientColumns, f1 = f0 + kGradientColumns < a.oc ? f0 + kGradientColumns : a.oc;
    const int64_t image0 = part * a.part_images, image1 = image0 + a.part_images < a.n ? image0 + a.part_images : a.n;
    float* dw = static_cast<float*>(a.partial ? a.partial : a.dw) + (a.partial ? part * size : 0) + group * a.oc;

    GradientTile t;
    t.step_x = a.axes.w.step * a.groups * a.ic;
    t.step_dy = t.ldc = oc_all;
    t.rows = rows;
    t.add = false;
    // Without images one empty chunk writes the zeros.
    for (int64_t n = image0; n == image0 || n < image1; n += a.chunk_images) {
      const int64_t n_end = n + a.chunk_images < image1 ? n + a.chunk_images : image1;
      for (int64_t row = 0; row == 0 || row < image_rows; row += a.chunk_rows) {
        const int64_t row_end = row + a.chunk_rows < image_rows ? row + a.chunk_rows : image_rows;
        for (int64_t run = run0; run < run1; ++run) {
          t.row_count = gradient_rows(a, group, run, n, n_end, row, row_end, rows, padded);
          for (int64_t f = f0; f < f1; f += a.nr) {
            t.columns = f1 - f < a.nr ? f1 - f : a.nr;
            t.offset_dy = f;
            const int64_t tiles = (r1 - r0 + a.mr - 1) / a.mr;
            for (int64_t tile = 0; tile < tiles; ++tile) {
              const int64_t r = r0 + (r1 - r0) * tile / tiles, r_end = r0 + (r1 - r0) * (tile + 1) / tiles;
              t.offset_x = r;
              t.c = dw + (run * a.run + r) * oc_all + f;
              gradient_kernel(r_end - r, t.columns)(t);
            }
          }
        }
        t.add = true;
        if (a.chunk_rows <= 0) break;
      }
    }
  }
}

}  // namespace
}  // namespace maas
