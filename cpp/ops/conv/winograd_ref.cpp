// Plain loops; transforms and sums in double.
#include <algorithm>
#include <cmath>
#include <vector>

#include "ops/conv/winograd_kernels.h"
#include "ops/elementwise/epilogue_rows.h"

namespace maas {
namespace {

constexpr int kMostPoints = 6;
// G: (tile + 2) x 3, Bt: (tile + 2) x (tile + 2), At: tile x (tile + 2).
struct Matrices {
  double g[kMostPoints][3] = {}, bt[kMostPoints][kMostPoints] = {}, at[4][kMostPoints] = {};
};

// Of interpolation at the finite points p and at infinity: with M(x) the product of all x - p, a row of Bt holds the
// coefficients of M(x) / (x - p), G's the powers of p over the product of p's differences to the others, At's the
// powers of p.
Matrices make_matrices(int tile) {
  const double points[] = {0, std::sqrt(.5), -std::sqrt(.5), std::sqrt(2.), -std::sqrt(2.)}, small[] = {0, 1, -1};
  const double* const p = tile == 4 ? points : small;
  const int finite = tile + 1;
  Matrices m;
  for (int row = 0; row <= finite; ++row) {
    double product[kMostPoints] = {1}, scale = 1;
    int degree = 0;
    for (int i = 0; i < finite; ++i) {
      if (i == row) continue;
      if (row < finite) scale *= p[row] - p[i];
      for (int d = ++degree; d > 0; --d) product[d] = product[d - 1] - p[i] * product[d];
      product[0] *= -p[i];
    }
    for (int d = 0; d <= degree; ++d) m.bt[row][d] = product[d];
    for (int d = 0; d < 3; ++d) m.g[row][d] = row < finite ? std::pow(p[row], d) / scale : d == 2;
    for (int d = 0; d < tile; ++d) m.at[d][row] = row < finite ? std::pow(p[row], d) : d == tile - 1;
  }
  return m;
}

const Matrices& matrices(int64_t tile) {
  static const Matrices four = make_matrices(4), two = make_matrices(2);
  return tile == 4 ? four : two;
}

void epilogue(const WinogradArgs& a, float* y, int64_t row, int64_t column, int64_t columns, float* scratch) {
  if (a.epilogue.kind == EpilogueArgs::chain)
    return apply_chain_rows(a.epilogue, y, a.m, row, 1, column, columns, scratch);
  const ConvEpilogue& e = a.fused;
  auto at = [](const void* p, int64_t i) { return static_cast<const float*>(p)[i]; };
  for (int64_t j = 0; j < columns; ++j) {
    const int64_t f = column + j, element = row * a.m + f;
    if (e.scale) y[j] *= at(e.scale, f);
    if (e.bias) y[j] += at(e.bias, f);
    if (e.add) y[j] += at(e.add, element);
    if (e.relu) y[j] = y[j] != y[j] || y[j] > 0 ? y[j] : 0;
    if (e.mask && !(at(e.mask, element) > 0)) y[j] = 0;
  }
}

// Columns [column, column + columns) of one tile.
void tile(const WinogradArgs& a, int64_t image, int64_t row, int64_t column_of_image, int64_t column, int64_t columns,
          std::vector<double>& v, float* scratch) {
  const int t = static_cast<int>(a.tile), n = t + 2;
  const Matrices& m = matrices(a.tile);
  const float* const x = static_cast<const float*>(a.x) + image * a.ih * a.iw * a.k;
  const int64_t width = (columns + 15) / 16 * 16;
  v.assign(static_cast<size_t>(n * n * a.k), 0);
  for (int64_t c = 0; c < a.k; ++c) {
    double d[kMostPoints][kMostPoints] = {}, half[kMostPoints][kMostPoints] = {};
    for (int i = 0; i < n; ++i)
      for (int j = 0; j < n; ++j) {
        const int64_t ih = row - a.begin_h + i, iw = column_of_image - a.begin_w + j;
        if (ih >= 0 && ih < a.ih && iw >= 0 && iw < a.iw) d[i][j] = static_cast<double>(x[(ih * a.iw + iw) * a.k + c]);
      }
    for (int i = 0; i < n; ++i)
      for (int j = 0; j < n; ++j)
        for (int s = 0; s < n; ++s) half[i][j] += m.bt[i][s] * d[s][j];
    for (int i = 0; i < n; ++i)
      for (int j = 0; j < n; ++j)
        for (int s = 0; s < n; ++s) v[static_cast<size_t>((i * n + j) * a.k + c)] += half[i][s] * m.bt[j][s];
  }
  const float* const panel = static_cast<const float*>(a.w) + n * n * a.k * column;
  float* const y = static_cast<float*>(a.y);
  for (int64_t f = 0; f < columns; ++f) {
    double product[kMostPoints][kMostPoints] = {};
    for (int p = 0; p < n * n; ++p)
      for (int64_t c = 0; c < a.k; ++c)
        product[p / n][p % n] +=
            v[static_cast<size_t>(p * a.k + c)] * static_cast<double>(panel[(p * a.k + c) * width + f]);
    for (int i = 0; i < t && row + i < a.oh; ++i)
      for (int j = 0; j < t && column_of_image + j < a.ow; ++j) {
        double sum = 0;
        for (int s = 0; s < n; ++s)
          for (int r = 0; r < n; ++r) sum += m.at[i][s] * product[s][r] * m.at[j][r];
        y[((image * a.oh + row + i) * a.ow + column_of_image + j) * a.m + column + f] = static_cast<float>(sum);
      }
  }
  for (int64_t i = row; i < std::min(row + t, a.oh); ++i)
    for (int64_t j = column_of_image; j < std::min(column_of_image + t, a.ow); ++j) {
      const int64_t of_y = (image * a.oh + i) * a.ow + j;
      epilogue(a, y + of_y * a.m + column, of_y, column, columns, scratch);
    }
}

}  // namespace

void conv_winograd_f32_ref(const WinogradArgs& a, int64_t begin, int64_t end, const Exec& exec) {
  const int64_t of_image = a.tiles_h * a.tiles_w, all = a.n * of_image;
  std::vector<double> v;
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t block = unit / a.panel_groups, group = unit % a.panel_groups;
    for (int64_t i = all * block / a.blocks; i < all * (block + 1) / a.blocks; ++i)
      for (int64_t p = a.panels * group / a.panel_groups; p < a.panels * (group + 1) / a.panel_groups; ++p)
        tile(a, i / of_image, i % of_image / a.tiles_w * a.tile, i % a.tiles_w * a.tile, p * a.nr,
             std::min(a.nr, a.m - p * a.nr), v, static_cast<float*>(exec.scratch));
  }
}

void conv_winograd_pack_f32(const WinogradPackArgs& a, int64_t begin, int64_t end, const Exec&) {
  const Matrices& m = matrices(a.tile);
  const int n = static_cast<int>(a.tile) + 2;
  const int64_t rows = a.gradient ? a.filters : a.channels, all = a.gradient ? a.channels : a.filters;
  const int64_t down = a.gradient ? 1 : a.filters, along = a.gradient ? a.filters : 1, tap = a.channels * a.filters;
  for (int64_t panel = begin; panel < end; ++panel) {
    const int64_t first = panel * a.nr, columns = std::min(a.nr, all - first), width = (columns + 15) / 16 * 16;
    const float* const x = static_cast<const float*>(a.x) + first * along;
    float* const y = static_cast<float*>(a.y) + n * n * rows * first;
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t f = 0; f < width; ++f) {
        double half[kMostPoints][3] = {};
        for (int i = 0; i < n && f < columns; ++i)
          for (int j = 0; j < 3; ++j)
            for (int s = 0; s < 3; ++s) {
              const int from = s * 3 + j;
              half[i][j] +=
                  m.g[i][s] * static_cast<double>(x[(a.gradient ? 8 - from : from) * tap + r * down + f * along]);
            }
        for (int i = 0; i < n; ++i)
          for (int j = 0; j < n; ++j) {
            const double sum = half[i][0] * m.g[j][0] + half[i][1] * m.g[j][1] + half[i][2] * m.g[j][2];
            y[((i * n + j) * rows + r) * width + f] = static_cast<float>(sum);
          }
      }
  }
}

}  // namespace maas
