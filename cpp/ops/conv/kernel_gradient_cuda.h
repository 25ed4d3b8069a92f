#pragma once
// The kernel gradient as an implicit matrix product: rows are taps and channels of x, columns filters, k runs over the
// pixels of dy. The pixels are cut into parts, which depend on the sizes alone; a second kernel sums them in order.
#include "ops/conv/conv_cuda.h"
#include "ops/conv/conv_tile.h"

namespace maas {
namespace {

struct KernelGradientProblem {
  const void* x;
  const void* dy;
  void* dw;
  float* partial;  // parts x dw, when there are more than one
  GpuAxes axes;
  FastDiv image, plane, line;  // by the pixels of dy in an image, in a plane, in a line
  int64_t pixels;              // of dy, all images
  int rows, steps_of_part;     // taps * ic; steps of BK pixels
  int groups, ic, oc, tiles_m, tiles_n, parts;
};

// Where the window of a pixel of dy starts in x, elements and coordinates.
struct WindowStart {
  int64_t source;
  int d, h, w;
};

// Of the pipeline, or of the sums that take its place; in multiples of 16.
template <class Config, class Tile, size_t kStages = Config::kStages * Tile::kStage * sizeof(typename Config::T),
          size_t kSums = Config::BM * Tile::kRowSums * sizeof(float)>
inline constexpr size_t kStagesBytes = kStages > kSums ? kStages : kSums;

// Channels VA at a time from x, VB at a time from dy and to dw.
template <class Config, int VA, int VB>
__global__ void __launch_bounds__(Config::kThreads, Config::kBlocks)
    conv_kernel_gradient_kernel(const KernelGradientProblem p) {
  using T = typename Config::T;
  using Tile = typename Config::template Tile<false, false>;
  constexpr int BM = Config::BM, BN = Config::BN, BK = Config::BK, kStages = Config::kStages;
  constexpr int kThreads = Config::kThreads;
  static_assert(Tile::kThreads == kThreads && BK <= kThreads);
  const int thread = static_cast<int>(threadIdx.x);
  const GpuAxes& axes = p.axes;

  uint32_t block = blockIdx.x;
  auto cut = [&](int size) {
    const uint32_t at = block % static_cast<uint32_t>(size);
    block /= static_cast<uint32_t>(size);
    return static_cast<int>(at);
  };
  const int n0 = cut(p.tiles_n) * BN, m0 = cut(p.tiles_m) * BM, group = cut(p.groups);
  const int part = static_cast<int>(block);
  const int channels = p.groups * p.ic, filters = p.groups * p.oc;

  const int64_t first_pixel = static_cast<int64_t>(part) * p.steps_of_part * BK;
  const int64_t left = p.pixels - first_pixel;
  const int mine = left <= 0 ? 0 : static_cast<int>(min(left, static_cast<int64_t>(p.steps_of_part) * BK));
  const int count = (mine + BK - 1) / BK;
  const int64_t first_image = first_pixel <= 0x7fffffff
                                  ? static_cast<int64_t>(p.image(static_cast<uint32_t>(first_pixel)))
                                  : first_pixel / p.image.d;
  const uint32_t offset = static_cast<uint32_t>(first_pixel - first_image * p.image.d);

  T* const stages = reinterpret_cast<T*>(shared_from<Tile::kAlign>());
  WindowStart* const starts = reinterpret_cast<WindowStart*>(  // two steps of BK pixels
      reinterpret_cast<unsigned char*>(stages) + kStagesBytes<Config, Tile>);

  // A thread finds the window of one pixel of a step.
  auto find_windows = [&](int step) {
    if (thread >= BK) return;
    WindowStart s{0, -(1 << 30), 0, 0};
    const int at = step * BK + thread;
    if (at < mine) {
      uint32_t image = offset + static_cast<uint32_t>(at);
      uint32_t plane = p.image.cut(image);  // the pixel in its image, then its parts
      uint32_t line = p.plane.cut(plane);
      const uint32_t wide = p.line.cut(line);
      s.d = static_cast<int>(plane) * axes.d.step - axes.d.begin;
      s.h = static_cast<int>(line) * axes.h.step - axes.h.begin;
      s.w = static_cast<int>(wide) * axes.w.step - axes.w.begin;
      s.source = ((((first_image + image) * axes.d.in + s.d) * axes.h.in + s.h) * axes.w.in + s.w) * channels;
    }
    starts[step % 2 * BK + thread] = s;
  };

  // This thread's column of A: one tap and channel, all the way.
  constexpr int kVectorsM = BM / VA, kStepA = kThreads / kVectorsM;
  static_assert(kThreads % kVectorsM == 0 && BK % kStepA == 0);
  const int ma = thread % kVectorsM * VA, ka = thread / kVectorsM;
  const bool live = m0 + ma < p.rows;
  int tap = live ? (m0 + ma) / p.ic : 0;
  const int channel = live ? m0 + ma - tap * p.ic : 0;
  const int dw = tap % axes.w.kernel * axes.w.dilation;
  tap /= axes.w.kernel;
  const int dh = tap % axes.h.kernel * axes.h.dilation, dd = tap / axes.h.kernel * axes.d.dilation;
  const T* const x = static_cast<const T*>(p.x) + group * p.ic + channel;
  const int64_t of_tap = ((static_cast<int64_t>(dd) * axes.h.in + dh) * axes.w.in + dw) * channels;

  constexpr int kVectorsN = BN / VB, kStepB = kThreads / kVectorsN;
  static_assert(kThreads % kVectorsN == 0 && BK % kStepB == 0);
  const int nb = thread % kVectorsN * VB, kb = thread / kVectorsN;
  const T* const dy = static_cast<const T*>(p.dy) + group * p.oc + n0 + nb;

  auto load_stage = [&](int step, int slot) {
    T* const a = stages + slot * Tile::kStage;
    T* const b = a + Tile::kSizeA;
    const WindowStart* const start = starts + step % 2 * BK;
    T as[BK / kStepA], bs[BK / kStepB];
#pragma unroll
    for (int i = 0; i < BK / kStepA; ++i) {
      const int k = ka + i * kStepA;
      const WindowStart& s = start[k];
      const bool read = live && static_cast<unsigned>(s.d + dd) < static_cast<unsigned>(axes.d.in) &&
                        static_cast<unsigned>(s.h + dh) < static_cast<unsigned>(axes.h.in) &&
                        static_cast<unsigned>(s.w + dw) < static_cast<unsigned>(axes.w.in);
      const T* const from = read ? x + (s.source + of_tap) : static_cast<const T*>(p.x);
      if constexpr (kInBackground<VA, T>)
        copy_async<VA>(a + Tile::at_a(k, ma), from, read);
      else
        as[i] = read ? *from : T(0.f);
    }
#pragma unroll
    for (int i = 0; i < BK / kStepB; ++i) {
      const int k = kb + i * kStepB, at = step * BK + k;
      const bool read = at < mine && n0 + nb < p.oc;
      const T* const from = read ? dy + (first_pixel + at) * filters : static_cast<const T*>(p.dy);
      if constexpr (kInBackground<VB, T>)
        copy_async<VB>(b + Tile::at_b(k, nb), from, read);
      else
        bs[i] = read ? *from : T(0.f);
    }
    if constexpr (!kInBackground<VA, T>) {
#pragma unroll
      for (int i = 0; i < BK / kStepA; ++i) a[Tile::at_a(ka + i * kStepA, ma)] = as[i];
    }
    if constexpr (!kInBackground<VB, T>) {
#pragma unroll
      for (int i = 0; i < BK / kStepB; ++i) b[Tile::at_b(kb + i * kStepB, nb)] = bs[i];
    }
  };

  // Windows are found a step before they are read.
  Tile tile;
  find_windows(0);
  __syncthreads();
  for (int s = 0; s < kStages - 1; ++s) {
    if (s < count) load_stage(s, s);
    cuda::cp_async_commit();
    find_windows(s + 1);
    __syncthreads();
  }
  for (int s = 0; s < count; ++s) {
    cuda::cp_async_wait<kStages - 2>();
    Tile::written();
    __syncthreads();
    const T* const a = stages + s % kStages * Tile::kStage;
    if constexpr (Tile::kAsync) tile.step(a, a + Tile::kSizeA);
    if (s + kStages - 1 < count) load_stage(s + kStages - 1, (s + kStages - 1) % kStages);
    cuda::cp_async_commit();
    find_windows(s + kStages);
    if constexpr (!Tile::kAsync) tile.step(a, a + Tile::kSizeA);
    tile.wait();
  }
  cuda::cp_async_wait<0>();
  __syncthreads();
  float* const sums = reinterpret_cast<float*>(stages);
  tile.store(sums);
  __syncthreads();

  if (n0 + nb >= p.oc) return;
  const int64_t column = group * p.oc + n0 + nb;
  for (int r = kb; r < BM && m0 + r < p.rows; r += kStepB) {
    const int64_t element = static_cast<int64_t>(m0 + r) * filters + column;
    float v[VB];
    read_floats(sums + r * Tile::kRowSums + nb, v);
    if (p.parts == 1) {
      cuda::store(static_cast<T*>(p.dw) + element, cuda::from_float<T, VB>(v));
    } else {
      write_floats(p.partial + part * (static_cast<int64_t>(p.rows) * filters) + element, v);
    }
  }
}

inline int64_t gradient_rows(const ConvKernelGradientArgs& a) {
  return a.axes.d.kernel * a.axes.h.kernel * a.axes.w.kernel * a.ic;
}
inline int64_t gradient_pixels(const ConvKernelGradientArgs& a) { return a.n * outputs_of(a.axes); }

// Enough parts to fill the machine, long enough that the second kernel's work stays small.
inline TileChoice choose_kernel_gradient(const ConvKernelGradientArgs& a, const TileCost* tiles, int count) {
  const int64_t rows = gradient_rows(a), pixels = gradient_pixels(a), size = rows * a.groups * a.oc;
  TileChoice best;
  double least = -1;
  for (int t = 0; t < count; ++t) {
    const TileCost& c = tiles[t];
    const int64_t steps = div_up(pixels, c.bk), blocks = div_up(rows, c.bm) * div_up(a.oc, c.bn) * a.groups;
    const int64_t fewest = std::max<int64_t>(div_up(pixels, int64_t(1) << 29), 1);
    for (int64_t parts = fewest; parts <= std::max<int64_t>(fewest, 1024); parts += 1 + parts / 4) {
      if (parts > fewest && (steps / parts < 2 || size * 4 * parts > kMostScratch)) break;
      const double clocks = tile_clocks(c, blocks * parts, div_up(steps, parts)) +
                            (parts > 1 ? 3000 + static_cast<double>(size * parts * 8) / 1400 : 0);
      if (least < 0 || clocks < least) {
        least = clocks;
        best = {t, static_cast<int>(parts)};
      }
    }
  }
  return best;
}

template <class Config, int VA, int VB>
void launch_kernel_gradient(const ConvKernelGradientArgs& a, const Launch& l, int parts) {
  using Tile = typename Config::template Tile<false, false>;
  const int64_t per_image = outputs_of(a.axes), steps = div_up(gradient_pixels(a), Config::BK);
  KernelGradientProblem p{a.x,
                          a.dy,
                          a.dw,
                          static_cast<float*>(l.scratch),
                          gpu_axes(a.axes),
                          FastDiv(std::max<int64_t>(per_image, 1)),
                          FastDiv(std::max<int64_t>(a.axes.h.out * a.axes.w.out, 1)),
                          FastDiv(std::max<int64_t>(a.axes.w.out, 1)),
                          gradient_pixels(a),
                          static_cast<int>(gradient_rows(a)),
                          static_cast<int>(div_up(steps, parts)),
                          static_cast<int>(a.groups),
                          static_cast<int>(a.ic),
                          static_cast<int>(a.oc),
                          static_cast<int>(div_up(gradient_rows(a), Config::BM)),
                          static_cast<int>(div_up(a.oc, Config::BN)),
                          parts};
  cuda::launch(l, conv_kernel_gradient_kernel<Config, VA, VB>,
               dim3(static_cast<unsigned>(int64_t(p.tiles_m) * p.tiles_n * a.groups * parts)), dim3(Config::kThreads),
               kStagesBytes<Config, Tile> + 2 * Config::BK * sizeof(WindowStart) + shared_slack(Tile::kAlign), p);
}

template <class Small, class Narrow, class Large>
struct KernelGradientKernels {
  using T = typename Small::T;
  static constexpr int V = cuda::kLanes<T>;
  using Args = ConvKernelGradientArgs;

  static int64_t size(const Args& a) { return gradient_rows(a) * a.groups * a.oc; }
  static bool vectors_a(const Args& a) { return a.ic % V == 0 && aligned<T>({a.x}); }
  static bool vectors_b(const Args& a) { return a.oc % V == 0 && aligned<T>({a.dy, a.dw}); }

  static constexpr TileCost all[] = {tile_cost<Small>(), tile_cost<Narrow>(), tile_cost<Large>()};
  static TileChoice choose(const Args& a) {
    return choose_kernel_gradient(a, all, vectors_a(a) && vectors_b(a) ? 3 : 2);
  }
  static size_t scratch(const Args& a) {
    const int parts = choose(a).parts;
    return parts > 1 ? static_cast<size_t>(size(a) * parts) * sizeof(float) : 0;
  }

  template <class Config>
  static void run(const Args& a, const Launch& l, int parts) {
    const bool va = vectors_a(a), vb = vectors_b(a);
    if (va && vb) return launch_kernel_gradient<Config, V, V>(a, l, parts);
    if constexpr (!std::is_same_v<Config, Large>)
      return vb ? launch_kernel_gradient<Config, 1, V>(a, l, parts) : launch_kernel_gradient<Config, 1, 1>(a, l, parts);
  }
  static void launch(const Args& a, const Launch& l) {
    if (size(a) == 0) return;
    check_pixels(a.axes);
    const TileChoice choice = choose(a);
    if (choice.tile == 0)
      run<Small>(a, l, choice.parts);
    else if (choice.tile == 1)
      run<Narrow>(a, l, choice.parts);
    else
      run<Large>(a, l, choice.parts);
    if (choice.parts > 1)
      sum_parts<T>(l, static_cast<const float*>(l.scratch), choice.parts, size(a), size(a), a.dw, {});
  }
};

template <class T>
using KernelGradientTensor =
    KernelGradientKernels<TensorConfig<T, 64, 64, 32, 32, 32, 4, 3, 27>, TensorConfig<T, 128, 64, 32, 32, 32, 4, 2, 36>,
                          TensorConfig<T, 128, 128, 32, 64, 32, 4, 2, 42>>;

}  // namespace
}  // namespace maas
