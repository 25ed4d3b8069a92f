// Plain loops; sums in double.
#include <algorithm>
#include <limits>

#include "ops/pool/pool_kernels.h"

namespace maas {
namespace {

int64_t index_at(const PoolArgs& a, int64_t i) {
  return a.wide ? static_cast<const int32_t*>(a.index)[i] : static_cast<const uint8_t*>(a.index)[i];
}
void set_index(const PoolArgs& a, int64_t i, int64_t position) {
  if (a.index && a.wide) static_cast<int32_t*>(a.index)[i] = static_cast<int32_t>(position);
  if (a.index && !a.wide) static_cast<uint8_t*>(a.index)[i] = static_cast<uint8_t>(position);
}

// Calls fn(position in the window, flat pixel of the image) for positions inside the image.
template <class F>
void for_window(const PoolArgs& a, int64_t image, int64_t od, int64_t oh, int64_t ow, F&& fn) {
  for (int64_t kd = 0; kd < a.d.kernel; ++kd)
    for (int64_t kh = 0; kh < a.h.kernel; ++kh)
      for (int64_t kw = 0; kw < a.w.kernel; ++kw) {
        const int64_t id = od * a.d.stride - a.d.begin + kd, ih = oh * a.h.stride - a.h.begin + kh;
        const int64_t iw = ow * a.w.stride - a.w.begin + kw;
        if (id >= 0 && id < a.d.in && ih >= 0 && ih < a.h.in && iw >= 0 && iw < a.w.in)
          fn((kd * a.h.kernel + kh) * a.w.kernel + kw, ((image * a.d.in + id) * a.h.in + ih) * a.w.in + iw);
      }
}

template <class T, bool kMax>
void pool(const PoolArgs& a, int64_t begin, int64_t end) {
  const T* x = static_cast<const T*>(a.x);
  for (int64_t unit = begin; unit < end; ++unit)
    for (int64_t ow = 0; ow < a.w.out; ++ow)
      for (int64_t c = 0; c < a.channels; ++c) {
        const int64_t at = (unit * a.w.out + ow) * a.channels + c;
        const int64_t oh = unit % a.h.out, od = unit / a.h.out % a.d.out, image = unit / a.h.out / a.d.out;
        T best = -std::numeric_limits<T>::infinity();
        int64_t count = 0, position = 0;
        double sum = 0;
        for_window(a, image, od, oh, ow, [&](int64_t k, int64_t pixel) {
          const T v = x[pixel * a.channels + c];
          if (!count || v > best || (v != v && best == best)) best = v, position = k;
          sum += static_cast<double>(v);
          ++count;
        });
        static_cast<T*>(a.y)[at] = kMax ? best : static_cast<T>(sum / static_cast<double>(count));
        if (kMax) set_index(a, at, position);
      }
}

// Every window looks for the pixel among its positions: slow, and plainly the sum that the contract names.
template <class T, bool kMax>
void gradient(const PoolArgs& a, int64_t begin, int64_t end) {
  const T* dy = static_cast<const T*>(a.x);
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t ih = unit % a.h.in, id = unit / a.h.in % a.d.in, image = unit / a.h.in / a.d.in;
    for (int64_t iw = 0; iw < a.w.in; ++iw)
      for (int64_t c = 0; c < a.channels; ++c) {
        double sum = 0;
        for (int64_t od = 0; od < a.d.out; ++od) {
          const int64_t kd = id + a.d.begin - od * a.d.stride;
          if (kd < 0 || kd >= a.d.kernel) continue;
          for (int64_t oh = 0; oh < a.h.out; ++oh) {
            const int64_t kh = ih + a.h.begin - oh * a.h.stride;
            if (kh < 0 || kh >= a.h.kernel) continue;
            for (int64_t ow = 0; ow < a.w.out; ++ow) {
              const int64_t kw = iw + a.w.begin - ow * a.w.stride;
              if (kw < 0 || kw >= a.w.kernel) continue;
              const int64_t at = (((image * a.d.out + od) * a.h.out + oh) * a.w.out + ow) * a.channels + c;
              if (kMax) {
                if (index_at(a, at) == (kd * a.h.kernel + kh) * a.w.kernel + kw) sum += static_cast<double>(dy[at]);
              } else {
                int64_t count = 0;
                for_window(a, image, od, oh, ow, [&](int64_t, int64_t) { ++count; });
                sum += static_cast<double>(dy[at]) / static_cast<double>(count);
              }
            }
          }
        }
        static_cast<T*>(a.y)[(unit * a.w.in + iw) * a.channels + c] = static_cast<T>(sum);
      }
  }
}

}  // namespace

void max_pool_f32_ref(const PoolArgs& a, int64_t begin, int64_t end, const Exec&) { pool<float, true>(a, begin, end); }
void max_pool_f64_ref(const PoolArgs& a, int64_t begin, int64_t end, const Exec&) { pool<double, true>(a, begin, end); }
void max_pool_gradient_f32_ref(const PoolArgs& a, int64_t begin, int64_t end, const Exec&) {
  gradient<float, true>(a, begin, end);
}
void max_pool_gradient_f64_ref(const PoolArgs& a, int64_t begin, int64_t end, const Exec&) {
  gradient<double, true>(a, begin, end);
}
void average_pool_f32_ref(const PoolArgs& a, int64_t begin, int64_t end, const Exec&) {
  pool<float, false>(a, begin, end);
}
void average_pool_f64_ref(const PoolArgs& a, int64_t begin, int64_t end, const Exec&) {
  pool<double, false>(a, begin, end);
}
void average_pool_gradient_f32_ref(const PoolArgs& a, int64_t begin, int64_t end, const Exec&) {
  gradient<float, false>(a, begin, end);
}
void average_pool_gradient_f64_ref(const PoolArgs& a, int64_t begin, int64_t end, const Exec&) {
  gradient<double, false>(a, begin, end);
}

}  // namespace maas
