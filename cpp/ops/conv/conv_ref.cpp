// Plain loops; sums in double.
#include <algorithm>
#include <type_traits>

#include "ops/conv/conv_kernels.h"
#include "ops/elementwise/epilogue_rows.h"

namespace maas {
namespace {

void epilogue(const ConvArgs& a, float* y, int64_t row, int64_t column, int64_t columns, float* scratch) {
  const EpilogueArgs& e = a.epilogue;
  if (e.kind == EpilogueArgs::chain) return apply_chain_rows(e, y, a.groups * a.m, row, 1, column, columns, scratch);
  for (int64_t j = 0; j < columns && e.kind != EpilogueArgs::none; ++j) {
    if (e.kind != EpilogueArgs::relu) y[j] += e.bias_row[column + j];
    if (e.kind != EpilogueArgs::bias) y[j] = y[j] != y[j] || y[j] > 0 ? y[j] : 0;
  }
}

template <class T>
void conv(const ConvArgs& a, int64_t begin, int64_t end, const Exec& exec) {
  const ConvAxis &h = a.h, &w = a.w_axis;
  const int64_t k_all = a.groups * a.k, m_all = a.groups * a.m;
  for (int64_t unit = begin; unit < end; ++unit) {
    int64_t rest = unit;
    const int64_t strip = rest % a.strips;
    const int64_t cw = (rest /= a.strips) % w.classes;
    const int64_t oh = (rest /= w.classes) % h.out;
    const int64_t panel = (rest /= h.out) % a.panels;
    const int64_t group = (rest /= a.panels) % a.groups;
    const int64_t image = rest / a.groups;
    const int64_t columns = std::min(a.nr, a.m - panel * a.nr), width = (columns + 15) / 16 * 16;
    const T* panels = static_cast<const T*>(a.w) + (group * a.packed + panel * a.nr) * h.kernel * w.kernel * a.k;
    const T* x = static_cast<const T*>(a.x) + image * h.in * w.in * k_all + group * a.k;
    const ConvTaps th = conv_taps(h, oh % h.classes), tw = conv_taps(w, cw);
    for (int64_t i = strip * a.strip; i < (strip + 1) * a.strip && cw + i * w.classes < w.out; ++i) {
      const int64_t row = (image * h.out + oh) * w.out + cw + i * w.classes, column = group * a.m + panel * a.nr;
      T* y = static_cast<T*>(a.y) + row * m_all + column;
      for (int64_t j = 0; j < columns; ++j) {
        double sum = 0;
        for (int64_t t = 0; t < th.count; ++t)
          for (int64_t u = 0; u < tw.count; ++u) {
            const int64_t ih = th.source + oh / h.classes * h.step + t * h.source_step;
            const int64_t iw = tw.source + i * w.step + u * w.source_step;
            if (ih < 0 || ih >= h.in || iw < 0 || iw >= w.in) continue;
            const int64_t tap = (th.first + t * h.tap_step) * w.kernel + tw.first + u * w.tap_step;
            for (int64_t k = 0; k < a.k; ++k)
              sum += static_cast<double>(x[(ih * w.in + iw) * k_all + k]) *
                     static_cast<double>(panels[(tap * a.k + k) * width + j]);
          }
        y[j] = static_cast<T>(sum);
      }
      if constexpr (std::is_same_v<T, float>) epilogue(a, y, row, column, columns, static_cast<float*>(exec.scratch));
    }
  }
}

template <class T>
void pack(const ConvPackArgs& a, int64_t begin, int64_t end) {
  const int64_t rows = a.gradient ? a.filters : a.channels, columns = a.gradient ? a.channels : a.filters;
  const int64_t panels = (columns + a.nr - 1) / a.nr, packed = columns / a.nr * a.nr + (columns % a.nr + 15) / 16 * 16;
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t tap = unit % a.taps, panel = unit / a.taps % panels, group = unit / a.taps / panels;
    const int64_t first = panel * a.nr, count = std::min(a.nr, columns - first), width = (count + 15) / 16 * 16;
    T* y = static_cast<T*>(a.y) + (group * packed + first) * a.taps * rows + tap * rows * width;
    const T* x = static_cast<const T*>(a.x) + group * a.filters +
                 (a.gradient ? a.taps - 1 - tap : tap) * a.channels * a.groups * a.filters;
    const int64_t ld = a.groups * a.filters, row = a.gradient ? 1 : ld, column = a.gradient ? ld : 1;
    for (int64_t k = 0; k < rows; ++k)
      for (int64_t j = 0; j < width; ++j) y[k * width + j] = j < count ? x[k * row + (first + j) * column] : T(0);
  }
}

template <class T>
double kernel_gradient_at(const ConvKernelGradientArgs& a, int64_t row, int64_t column) {
  const ConvAxis &h = a.h, &w = a.w_axis;
  const int64_t ic_all = a.groups * a.ic, oc_all = a.groups * a.oc;
  const int64_t c = row % a.ic, kw = row / a.ic % w.kernel, kh = row / a.ic / w.kernel;
  const T* x = static_cast<const T*>(a.x) + column / a.oc * a.ic + c;
  const T* dy = static_cast<const T*>(a.dy) + column;
  double sum = 0;
  for (int64_t n = 0; n < a.n; ++n)
    for (int64_t oh = 0; oh < h.out; ++oh)
      for (int64_t ow = 0; ow < w.out; ++ow) {
        const int64_t ih = oh * h.step - h.begin + kh * h.dilation, iw = ow * w.step - w.begin + kw * w.dilation;
        if (ih < 0 || ih >= h.in || iw < 0 || iw >= w.in) continue;
        sum += static_cast<double>(x[((n * h.in + ih) * w.in + iw) * ic_all]) *
               static_cast<double>(dy[((n * h.out + oh) * w.out + ow) * oc_all]);
      }
  return sum;
}

template <class T>
void kernel_gradient(const ConvKernelGradientArgs& a, int64_t begin, int64_t end) {
  const int64_t run_units = a.run ? (a.run + a.block - 1) / a.block : 1;
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t column_unit = unit % a.column_units, row_unit = unit / a.column_units % a.row_units;
    const int64_t group = unit / a.column_units / a.row_units;
    const int64_t first_run = row_unit / run_units * a.unit_runs, block = row_unit % run_units * a.block;
    const int64_t f0 = column_unit * kGradientColumns, f1 = std::min(a.oc, f0 + kGradientColumns);
    for (int64_t run = first_run; run < std::min(first_run + a.unit_runs, a.runs); ++run)
      for (int64_t r = run * a.run + block; r < run * a.run + std::min(block + a.block, a.run); ++r)
        for (int64_t f = group * a.oc + f0; f < group * a.oc + f1; ++f)
          static_cast<T*>(a.dw)[r * a.groups * a.oc + f] = static_cast<T>(kernel_gradient_at<T>(a, r, f));
  }
}

}  // namespace

void conv_f32_ref(const ConvArgs& a, int64_t begin, int64_t end, const Exec& exec) { conv<float>(a, begin, end, exec); }
void conv_f64_ref(const ConvArgs& a, int64_t begin, int64_t end, const Exec& exec) {
  conv<double>(a, begin, end, exec);
}
void conv_pack_f32_ref(const ConvPackArgs& a, int64_t begin, int64_t end, const Exec&) { pack<float>(a, begin, end); }
void conv_pack_f64_ref(const ConvPackArgs& a, int64_t begin, int64_t end, const Exec&) { pack<double>(a, begin, end); }
void conv_kernel_gradient_f32_ref(const ConvKernelGradientArgs& a, int64_t begin, int64_t end, const Exec&) {
  kernel_gradient<float>(a, begin, end);
}
void conv_kernel_gradient_f64_ref(const ConvKernelGradientArgs& a, int64_t begin, int64_t end, const Exec&) {
  kernel_gradient<double>(a, begin, end);
}

}  // namespace maas
