// Plain loops; sums in double. The wide image is rounded to float, as where it is stored.
#include <algorithm>

#include "ops/conv/expand_kernels.h"

namespace maas {
namespace {

float finished(const EpilogueArgs& e, double sum, int64_t channel) {
  float v = static_cast<float>(sum);
  if (e.bias_row) v += e.bias_row[channel];
  if (e.kind == EpilogueArgs::relu || e.kind == EpilogueArgs::bias_relu)
    v = v > e.top ? e.top : v != v || v > 0 ? v : 0;
  return v;
}

float expanded(const ExpandDepthwiseArgs& g, const float* pixel, int64_t channel) {
  const int64_t panel = channel / g.nr * g.nr, columns = std::min(g.nr, g.depthwise.channels - panel);
  const float* b = static_cast<const float*>(g.panels) + panel * g.k + channel - panel;
  double sum = 0;
  for (int64_t k = 0; k < g.k; ++k)
    sum += static_cast<double>(pixel[k]) * static_cast<double>(b[k * ((columns + 15) / 16 * 16)]);
  return finished(g.expanded, sum, channel);
}

}  // namespace

void expand_depthwise_f32_ref(const ExpandDepthwiseArgs& g, int64_t begin, int64_t end, const Exec&) {
  const DepthwiseArgs& a = g.depthwise;
  const ConvAxis &h = a.axes.h, &w = a.axes.w;
  for (int64_t unit = begin; unit < end; ++unit)
    for (int64_t ow = 0; ow < w.out; ++ow)
      for (int64_t c = 0; c < a.channels; ++c) {
        double sum = 0;
        for (int64_t i = 0; i < h.kernel; ++i)
          for (int64_t j = 0; j < w.kernel; ++j) {
            const int64_t ih = unit % h.out * h.step - h.begin + i, iw = ow * w.step - w.begin + j;
            if (ih < 0 || ih >= h.in || iw < 0 || iw >= w.in) continue;
            const float* pixel = static_cast<const float*>(g.x) + ((unit / h.out * h.in + ih) * w.in + iw) * g.k;
            sum += static_cast<double>(expanded(g, pixel, c)) *
                   static_cast<double>(static_cast<const float*>(a.w)[(i * w.kernel + j) * a.channels + c]);
          }
        static_cast<float*>(a.y)[(unit * w.out + ow) * a.channels + c] = finished(a.epilogue, sum, c);
      }
}

}  // namespace maas
