// Plain loops; sums in double.
#include <algorithm>
#include <type_traits>

#include "ops/conv/direct_kernels.h"
#include "ops/conv/pack_dot.h"
#include "ops/elementwise/epilogue_rows.h"

namespace maas {
namespace {

void epilogue(const EpilogueArgs& e, float* y, int64_t ldy, int64_t row, int64_t column, int64_t columns,
              float* scratch) {
  if (e.kind == EpilogueArgs::chain) return apply_chain_rows(e, y, ldy, row, 1, column, columns, scratch);
  for (int64_t j = 0; j < columns && e.kind != EpilogueArgs::none; ++j) {
    if (e.kind != EpilogueArgs::relu) y[j] += e.bias_row[column + j];
    if (e.kind != EpilogueArgs::bias) y[j] = y[j] > e.top ? e.top : y[j] != y[j] || y[j] > 0 ? y[j] : 0;
  }
}

// Row k of a tap's column j; `panel` as packed.
template <class T>
double weight(const ConvArgs& a, const T* panel, int64_t columns, int64_t tap, int64_t k, int64_t j) {
  const int64_t width = (columns + 15) / 16 * 16, kw = a.axes.w.kernel;
  if (!a.dot) return static_cast<double>(panel[(tap * a.k + k) * width + j]);
  return static_cast<double>(panel[((tap / kw * columns + j) * kw + tap % kw) * a.k + k]);
}

// Calls fn(packed tap, pixel of the image) for the taps of output (od, oh, ow) whose source is inside.
template <class F>
void for_taps(const ConvAxes& axes, int64_t od, int64_t oh, int64_t ow, F&& fn) {
  const ConvAxis &d = axes.d, &h = axes.h, &w = axes.w;
  const ConvTaps td = conv_taps(d, od % d.classes), th = conv_taps(h, oh % h.classes),
                 tw = conv_taps(w, ow % w.classes);
  for (int64_t s = 0; s < td.count; ++s)
    for (int64_t t = 0; t < th.count; ++t)
      for (int64_t u = 0; u < tw.count; ++u) {
        const int64_t id = td.source + od / d.classes * d.step + s * d.source_step;
        const int64_t ih = th.source + oh / h.classes * h.step + t * h.source_step;
        const int64_t iw = tw.source + ow / w.classes * w.step + u * w.source_step;
        if (id < 0 || id >= d.in || ih < 0 || ih >= h.in || iw < 0 || iw >= w.in) continue;
        const int64_t tap =
            ((td.first + s * d.tap_step) * h.kernel + th.first + t * h.tap_step) * w.kernel + tw.first + u * w.tap_step;
        fn(tap, (id * h.in + ih) * w.in + iw);
      }
}

template <class T>
void conv(const ConvArgs& a, int64_t begin, int64_t end, const Exec& exec) {
  const ConvAxis &d = a.axes.d, &h = a.axes.h, &w = a.axes.w;
  const int64_t k_all = a.groups * a.k, m_all = a.groups * a.m, taps = d.kernel * h.kernel * w.kernel;
  for (int64_t unit = begin; unit < end; ++unit) {
    int64_t rest = unit;
    const int64_t strip = rest % a.strips;
    const int64_t cw = (rest /= a.strips) % w.classes;
    const int64_t oh = (rest /= w.classes) % h.out;
    const int64_t od = (rest /= h.out) % d.out;
    const int64_t panel = (rest /= d.out) % a.panels;
    const int64_t group = (rest /= a.panels) % a.groups;
    const int64_t image = rest / a.groups;
    const int64_t columns = std::min(a.nr, a.m - panel * a.nr);
    const T* panels = static_cast<const T*>(a.w) + (group * a.packed + panel * a.nr) * taps * a.k;
    const T* x = static_cast<const T*>(a.x) + image * d.in * h.in * w.in * k_all + group * a.k;
    for (int64_t i = strip * a.strip; i < (strip + 1) * a.strip && cw + i * w.classes < w.out; ++i) {
      const int64_t ow = cw + i * w.classes, row = ((image * d.out + od) * h.out + oh) * w.out + ow;
      const int64_t column = group * a.m + panel * a.nr;
      T* y = static_cast<T*>(a.y) + row * m_all + column;
      for (int64_t j = 0; j < columns; ++j) {
        double sum = 0;
        for_taps(a.axes, od, oh, ow, [&](int64_t tap, int64_t pixel) {
          for (int64_t k = 0; k < a.k; ++k)
            sum += static_cast<double>(x[pixel * k_all + k]) * weight(a, panels, columns, tap, k, j);
        });
        y[j] = static_cast<T>(sum);
      }
      if constexpr (std::is_same_v<T, float>)
        epilogue(a.epilogue, y, m_all, row, column, columns, static_cast<float*>(exec.scratch));
    }
  }
}

template <class T>
double apply_epilogue(const ConvEpilogue& e, double v, int64_t channel, int64_t element) {
  auto at = [](const void* p, int64_t i) { return static_cast<double>(static_cast<const T*>(p)[i]); };
  if (e.scale) v *= at(e.scale, channel);
  if (e.bias) v += at(e.bias, channel);
  if (e.add) v += at(e.add, element);
  if (e.relu) v = v != v || v > 0 ? v : 0;
  return !e.mask || at(e.mask, element) > 0 ? v : 0;
}

template <class T>
void direct(const ConvDirectArgs& a, int64_t begin, int64_t end) {
  const ConvAxis &d = a.axes.d, &h = a.axes.h, &w = a.axes.w;
  const int64_t k_all = a.groups * a.k, m_all = a.groups * a.m, taps = d.kernel * h.kernel * w.kernel;
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t oh = unit % h.out, od = unit / h.out % d.out, image = unit / h.out / d.out;
    for (int64_t ow = 0; ow < w.out; ++ow)
      for (int64_t j = 0; j < m_all; ++j) {
        const int64_t group = j / a.m;
        const T* x = static_cast<const T*>(a.x) + image * d.in * h.in * w.in * k_all + group * a.k;
        double sum = 0;
        for_taps(a.axes, od, oh, ow, [&](int64_t tap, int64_t pixel) {
          for (int64_t k = 0; k < a.k; ++k) {
            const int64_t at =
                w.gradient ? ((taps - 1 - tap) * a.m + j % a.m) * k_all + group * a.k + k : (tap * a.k + k) * m_all + j;
            sum += static_cast<double>(x[pixel * k_all + k]) * static_cast<double>(static_cast<const T*>(a.w)[at]);
          }
        });
        const int64_t element = (unit * w.out + ow) * m_all + j;
        static_cast<T*>(a.y)[element] = static_cast<T>(apply_epilogue<T>(a.epilogue, sum, j, element));
      }
  }
}

template <class T>
void pack(const ConvPackArgs& a, int64_t begin, int64_t end) {
  if (a.dot) return pack_columns<T>(a, begin, end);
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

// Calls fn(output pixel, its source pixel for this tap of the window) for those inside, over all images.
template <class F>
void for_outputs(const ConvAxes& axes, int64_t n, int64_t tap, F&& fn) {
  const ConvAxis &d = axes.d, &h = axes.h, &w = axes.w;
  const int64_t kw = tap % w.kernel, kh = tap / w.kernel % h.kernel, kd = tap / w.kernel / h.kernel;
  for (int64_t i = 0; i < n; ++i)
    for (int64_t od = 0; od < d.out; ++od)
      for (int64_t oh = 0; oh < h.out; ++oh)
        for (int64_t ow = 0; ow < w.out; ++ow) {
          const int64_t id = od * d.step - d.begin + kd * d.dilation, ih = oh * h.step - h.begin + kh * h.dilation;
          const int64_t iw = ow * w.step - w.begin + kw * w.dilation;
          if (id < 0 || id >= d.in || ih < 0 || ih >= h.in || iw < 0 || iw >= w.in) continue;
          fn(((i * d.out + od) * h.out + oh) * w.out + ow, ((i * d.in + id) * h.in + ih) * w.in + iw);
        }
}

template <class T>
double kernel_gradient_at(const ConvKernelGradientArgs& a, int64_t row, int64_t column) {
  const int64_t ic_all = a.groups * a.ic, oc_all = a.groups * a.oc;
  const T* x = static_cast<const T*>(a.x) + column / a.oc * a.ic + row % a.ic;
  const T* dy = static_cast<const T*>(a.dy) + column;
  double sum = 0;
  for_outputs(a.axes, a.n, row / a.ic, [&](int64_t output, int64_t source) {
    sum += static_cast<double>(x[source * ic_all]) * static_cast<double>(dy[output * oc_all]);
  });
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

template <class T>
void depthwise(const DepthwiseArgs& a, int64_t begin, int64_t end, const Exec& exec) {
  const ConvAxis &d = a.axes.d, &h = a.axes.h, &w = a.axes.w;
  const int64_t taps = d.kernel * h.kernel * w.kernel, c_all = a.channels;
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t oh = unit % h.out, od = unit / h.out % d.out, image = unit / h.out / d.out;
    const T* x = static_cast<const T*>(a.x) + image * d.in * h.in * w.in * c_all;
    for (int64_t ow = 0; ow < w.out; ++ow) {
      const int64_t row = unit * w.out + ow;
      T* y = static_cast<T*>(a.y) + row * c_all;
      for (int64_t c = 0; c < c_all; ++c) {
        double sum = 0;
        for_taps(a.axes, od, oh, ow, [&](int64_t tap, int64_t pixel) {
          const int64_t of_window = w.gradient ? taps - 1 - tap : tap;
          sum += static_cast<double>(x[pixel * c_all + c]) *
                 static_cast<double>(static_cast<const T*>(a.w)[of_window * c_all + c]);
        });
        y[c] = static_cast<T>(sum);
      }
      if constexpr (std::is_same_v<T, float>)
        epilogue(a.epilogue, y, c_all, row, 0, c_all, static_cast<float*>(exec.scratch));
    }
  }
}

template <class T>
void depthwise_kernel_gradient(const DepthwiseKernelGradientArgs& a, int64_t begin, int64_t end) {
  const int64_t taps = a.axes.d.kernel * a.axes.h.kernel * a.axes.w.kernel, c_all = a.channels;
  for (int64_t unit = begin; unit < end; ++unit)
    for (int64_t c = unit * kDepthwiseColumns; c < std::min(c_all, (unit + 1) * kDepthwiseColumns); ++c)
      for (int64_t tap = 0; tap < taps; ++tap) {
        double sum = 0;
        for_outputs(a.axes, a.n, tap, [&](int64_t output, int64_t source) {
          sum += static_cast<double>(static_cast<const T*>(a.x)[source * c_all + c]) *
                 static_cast<double>(static_cast<const T*>(a.dy)[output * c_all + c]);
        });
        static_cast<T*>(a.dw)[tap * c_all + c] = static_cast<T>(sum);
      }
}

}  // namespace

void conv_f32_ref(const ConvArgs& a, int64_t begin, int64_t end, const Exec& exec) { conv<float>(a, begin, end, exec); }
void conv_f64_ref(const ConvArgs& a, int64_t begin, int64_t end, const Exec& exec) {
  conv<double>(a, begin, end, exec);
}
void conv_direct_f32_ref(const ConvDirectArgs& a, int64_t begin, int64_t end, const Exec&) {
  direct<float>(a, begin, end);
}
void conv_direct_f64_ref(const ConvDirectArgs& a, int64_t begin, int64_t end, const Exec&) {
  direct<double>(a, begin, end);
}
void conv_pack_f32_ref(const ConvPackArgs& a, int64_t begin, int64_t end, const Exec&) { pack<float>(a, begin, end); }
void conv_pack_f64_ref(const ConvPackArgs& a, int64_t begin, int64_t end, const Exec&) { pack<double>(a, begin, end); }
void conv_kernel_gradient_f32_ref(const ConvKernelGradientArgs& a, int64_t begin, int64_t end, const Exec&) {
  kernel_gradient<float>(a, begin, end);
}
void conv_kernel_gradient_f64_ref(const ConvKernelGradientArgs& a, int64_t begin, int64_t end, const Exec&) {
  kernel_gradient<double>(a, begin, end);
}

void depthwise_f32_ref(const DepthwiseArgs& a, int64_t begin, int64_t end, const Exec& exec) {
  depthwise<float>(a, begin, end, exec);
}
void depthwise_f64_ref(const DepthwiseArgs& a, int64_t begin, int64_t end, const Exec& exec) {
  depthwise<double>(a, begin, end, exec);
}
void depthwise_kernel_gradient_f32_ref(const DepthwiseKernelGradientArgs& a, int64_t begin, int64_t end, const Exec&) {
  depthwise_kernel_gradient<float>(a, begin, end);
}
void depthwise_kernel_gradient_f64_ref(const DepthwiseKernelGradientArgs& a, int64_t begin, int64_t end, const Exec&) {
  depthwise_kernel_gradient<double>(a, begin, end);
}

}  // namespace maas
