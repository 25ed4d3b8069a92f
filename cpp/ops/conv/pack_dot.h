#pragma once
// Packs kernels of few columns for dot products, one tap of a group a unit. Plain loops, for every row of the table.
#include "ops/conv/conv_kernels.h"

namespace maas {
namespace {

template <class T>
void pack_columns(const ConvPackArgs& a, int64_t begin, int64_t end) {
  const int64_t rows = a.gradient ? a.filters : a.channels, columns = a.gradient ? a.channels : a.filters;
  const int64_t ld = a.groups * a.filters, row = a.gradient ? 1 : ld, column = a.gradient ? ld : 1;
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t tap = unit % a.taps, group = unit / a.taps;
    const T* x =
        static_cast<const T*>(a.x) + group * a.filters + (a.gradient ? a.taps - 1 - tap : tap) * a.channels * ld;
    T* y = static_cast<T*>(a.y) + group * a.taps * rows * columns +
           (tap / a.width * columns * a.width + tap % a.width) * rows;
    for (int64_t j = 0; j < columns; ++j)
      for (int64_t k = 0; k < rows; ++k) y[j * a.width * rows + k] = x[k * row + j * column];
  }
}

}  // namespace
}  // namespace maas
