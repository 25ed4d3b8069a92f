#pragma once
// Convolution and its input gradient as implicit matrix products: rows are pixels of y, columns its channels, k runs
// over taps and channels of x. A gradient with strides is one product per class of pixels, over the taps that reach it.
#include "cuda/blas.h"
#include "cuda/cluster.h"
#include "ops/conv/conv_cuda.h"
#include "ops/conv/conv_tile.h"
#include "ops/conv/direct_kernels.h"

namespace maas {
namespace {

struct DirectProblem {
  const void* x;
  const void* w;
  void* y;
  float* partial;  // splits x y, when the sum is split
  GpuAxes axes;
  int64_t n;
  int groups, k, m, tiles_m, tiles_n, splits;
  ConvEpilogue epilogue;
};

// Where the sources of a row of A start (elements, may be before x), and at which coordinates; its pixel of y.
struct DirectRow {
  int64_t source, pixel;
  int d, h, w;
};

#ifndef MAAS_CUDA_EMULATE
// Of another block of the cluster.
__device__ __forceinline__ float4 remote_load(uint32_t address) {
  float4 v;
  asm volatile("ld.shared::cluster.v4.f32 {%0,%1,%2,%3}, [%4];"
               : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w)
               : "r"(address)
               : "memory");
  return v;
}
#endif

// Channels VA at a time from x (and of a gradient's w), VB at a time to y (and from w). kCluster: the parts of a split
// sum are the blocks of a cluster, which read each other's sums; else they go to `partial`.
template <class Config, bool kGradient, int VA, int VB, bool kCluster = false>
__global__ void __launch_bounds__(Config::kThreads, Config::kBlocks) conv_direct_kernel(const DirectProblem p) {
  using T = typename Config::T;
  using Tile = typename Config::template Tile<true, kGradient>;
  constexpr int BM = Config::BM, BN = Config::BN, BK = Config::BK, kStages = Config::kStages;
  constexpr int kThreads = Config::kThreads;
  static_assert(Tile::kThreads == kThreads);
  const int thread = static_cast<int>(threadIdx.x);
  const GpuAxes& axes = p.axes;

  uint32_t block = blockIdx.x;
  auto cut = [&](uint32_t size) {
    const uint32_t at = block % size;
    block /= size;
    return static_cast<int>(at);
  };
  const int split = cut(static_cast<uint32_t>(p.splits));
  const int n0 = cut(static_cast<uint32_t>(p.tiles_n)) * BN;
  const int64_t m0 = static_cast<int64_t>(cut(static_cast<uint32_t>(p.tiles_m))) * BM;
  const int group = cut(static_cast<uint32_t>(p.groups));
  const int class_w = cut(static_cast<uint32_t>(axes.w.classes)), class_h = cut(static_cast<uint32_t>(axes.h.classes));
  const int class_d = static_cast<int>(block);
  const GpuTaps td = gpu_taps(axes.d, class_d), th = gpu_taps(axes.h, class_h), tw = gpu_taps(axes.w, class_w);
  const int pixels = td.outs * th.outs * tw.outs;  // of an image and class
  const int64_t rows = p.n * pixels;
  if (m0 >= rows) return;

  const int channels = p.groups * p.k, filters = p.groups * p.m;
  DirectRow* const row_table = reinterpret_cast<DirectRow*>(shared_from<Tile::kAlign>());
  T* const stages = reinterpret_cast<T*>(row_table + BM);
  for (int r = thread; r < BM; r += kThreads) {
    DirectRow row{0, -1, -(1 << 30), 0, 0};
    const int64_t at = m0 + r;
    if (at < rows) {
      int64_t image;
      uint32_t rest;
      if (rows <= 0x7fffffff) {
        image = static_cast<uint32_t>(at) / static_cast<uint32_t>(pixels);
        rest = static_cast<uint32_t>(at) - static_cast<uint32_t>(image) * static_cast<uint32_t>(pixels);
      } else {
        image = at / pixels;
        rest = static_cast<uint32_t>(at - image * pixels);
      }
      const uint32_t plane = rest / static_cast<uint32_t>(tw.outs);
      const int ow = static_cast<int>(rest - plane * static_cast<uint32_t>(tw.outs));
      const int od = static_cast<int>(plane / static_cast<uint32_t>(th.outs));
      const int oh = static_cast<int>(plane) - od * th.outs;
      row.d = td.source + od * axes.d.step;
      row.h = th.source + oh * axes.h.step;
      row.w = tw.source + ow * axes.w.step;
      row.source = (((image * axes.d.in + row.d) * axes.h.in + row.h) * axes.w.in + row.w) * channels;
      row.pixel = ((image * axes.d.out + class_d + od * axes.d.classes) * axes.h.out + class_h + oh * axes.h.classes) *
                      axes.w.out +
                  class_w + ow * axes.w.classes;
    }
    row_table[r] = row;
  }
  __syncthreads();

  const T* const x = static_cast<const T*>(p.x) + group * p.k;
  const T* const w = static_cast<const T*>(p.w);
  const int terms = td.count * th.count * tw.count * p.k;
  const int steps = (terms + BK - 1) / BK, per_split = (steps + p.splits - 1) / p.splits;
  const int first = min(split * per_split, steps), count = min(first + per_split, steps) - first;

  // This thread's column of A (and of a gradient's B): the tap and channel it is at, moved on by BK each step.
  constexpr int kVectorsK = BK / VA, kRowStep = kThreads / kVectorsK;
  static_assert(kThreads % kVectorsK == 0 && BM % kRowStep == 0);
  const int column = thread % kVectorsK * VA, row0 = thread / kVectorsK;
  int tap_w, tap_h, tap_d, channel;
  {
    const int at = first * BK + column;
    int tap = p.k > 0 ? at / p.k : 0;
    channel = at - tap * p.k;
    const int along_w = max(tw.count, 1), along_h = max(th.count, 1);
    tap_w = tap % along_w;
    tap /= along_w;
    tap_h = tap % along_h;
    tap_d = tap / along_h;
  }
  const int more_taps = p.k > 0 ? BK / p.k : 0, more_channels = BK - more_taps * p.k;

  auto load_stage = [&](int step, int slot) {
    T* const a = stages + slot * Tile::kStage;
    T* const b = a + Tile::kSizeA;
    const bool live = tap_d < td.count && terms > 0;
    {
      const int d = tap_d * axes.d.source_step, h = tap_h * axes.h.source_step, wide = tap_w * axes.w.source_step;
      const T* const from = x + ((static_cast<int64_t>(d) * axes.h.in + h) * axes.w.in + wide) * channels + channel;
      constexpr int kRows = BM / kRowStep;
      T values[kRows];
#pragma unroll
      for (int i = 0; i < kRows; ++i) {
        const DirectRow& row = row_table[row0 + i * kRowStep];
        const bool read = live && static_cast<unsigned>(row.d + d) < static_cast<unsigned>(axes.d.in) &&
                          static_cast<unsigned>(row.h + h) < static_cast<unsigned>(axes.h.in) &&
                          static_cast<unsigned>(row.w + wide) < static_cast<unsigned>(axes.w.in);
        const T* const source = read ? from + row.source : x;
        if constexpr (kInBackground<VA, T>)
          copy_async<VA>(a + Tile::at_a(row0 + i * kRowStep, column), source, read);
        else
          values[i] = read ? *source : T(0.f);
      }
      if constexpr (!kInBackground<VA, T>) {
#pragma unroll
        for (int i = 0; i < kRows; ++i) a[Tile::at_a(row0 + i * kRowStep, column)] = values[i];
      }
    }
    if constexpr (kGradient) {
      // Rows are channels of dx, filters lie along them.
      const int wd = axes.d.kernel - 1 - td.first - tap_d * axes.d.tap_step;
      const int wh = axes.h.kernel - 1 - th.first - tap_h * axes.h.tap_step;
      const int ww = axes.w.kernel - 1 - tw.first - tap_w * axes.w.tap_step;
      const int64_t tap = (static_cast<int64_t>(wd) * axes.h.kernel + wh) * axes.w.kernel + ww;
      const T* const from = w + (tap * p.m + n0) * channels + group * p.k + channel;
      constexpr int kRows = BN / kRowStep > 0 ? BN / kRowStep : 1;
      static_assert(BN % kRowStep == 0 || kRowStep > BN);
      T values[kRows];
#pragma unroll
      for (int i = 0; i < kRows; ++i) {
        const int r = row0 + i * kRowStep;
        if (kRowStep > BN && r >= BN) break;
        const bool read = live && n0 + r < p.m;
        const T* const source = read ? from + static_cast<int64_t>(r) * channels : w;
        if constexpr (kInBackground<VA, T>)
          copy_async<VA>(b + Tile::at_b(r, column), source, read);
        else
          values[i] = read ? *source : T(0.f);
      }
      if constexpr (!kInBackground<VA, T>) {
#pragma unroll
        for (int i = 0; i < kRows; ++i) {
          const int r = row0 + i * kRowStep;
          if (kRowStep > BN && r >= BN) break;
          b[Tile::at_b(r, column)] = values[i];
        }
      }
    } else {
      constexpr int kVectorsN = BN / VB, kStepK = kThreads / kVectorsN > 0 ? kThreads / kVectorsN : 1;
      static_assert(kThreads % kVectorsN == 0);
      const int nb = thread % kVectorsN * VB, k0 = thread / kVectorsN;
      const T* const from = w + group * p.m + n0 + nb;
      constexpr int kRows = BK / kStepK > 0 ? BK / kStepK : 1;
      static_assert(BK % kStepK == 0 || kStepK > BK);
      T values[kRows];
#pragma unroll
      for (int i = 0; i < kRows; ++i) {
        const int kb = k0 + i * kStepK;
        if (kStepK > BK && kb >= BK) break;
        const int64_t at = static_cast<int64_t>(step) * BK + kb;
        const bool read = at < terms && n0 + nb < p.m;
        const T* const source = read ? from + at * filters : w;
        if constexpr (kInBackground<VB, T>)
          copy_async<VB>(b + Tile::at_b(kb, nb), source, read);
        else
          values[i] = read ? *source : T(0.f);
      }
      if constexpr (!kInBackground<VB, T>) {
#pragma unroll
        for (int i = 0; i < kRows; ++i) {
          const int kb = k0 + i * kStepK;
          if (kStepK > BK && kb >= BK) break;
          b[Tile::at_b(kb, nb)] = values[i];
        }
      }
    }
    channel += more_channels;
    tap_w += more_taps;
    if (channel >= p.k) {
      channel -= p.k;
      ++tap_w;
    }
    while (tap_w >= tw.count && tap_d < td.count) {
      tap_w -= tw.count;
      if (++tap_h >= th.count) {
        tap_h = 0;
        ++tap_d;
      }
    }
  };

  Tile tile;
#pragma unroll
  for (int s = 0; s < kStages - 1; ++s) {
    if (s < count) load_stage(first + s, s);
    cuda::cp_async_commit();
  }
  for (int s = 0; s < count; ++s) {
    cuda::cp_async_wait<kStages - 2>();
    Tile::written();
    __syncthreads();
    const T* const a = stages + s % kStages * Tile::kStage;
    if constexpr (Tile::kAsync) tile.step(a, a + Tile::kSizeA);
    if (s + kStages - 1 < count) load_stage(first + s + kStages - 1, (s + kStages - 1) % kStages);
    cuda::cp_async_commit();
    if constexpr (!Tile::kAsync) tile.step(a, a + Tile::kSizeA);
    tile.wait();
  }
  cuda::cp_async_wait<0>();
  __syncthreads();
  float* const sums = reinterpret_cast<float*>(stages);
  tile.store(sums);
  __syncthreads();

  constexpr int kVectorsN = BN / VB, kStepM = kThreads / kVectorsN;
  static_assert(kThreads % kVectorsN == 0 && BM % kStepM == 0);
  const int nb = thread % kVectorsN * VB, filter = group * p.m + n0 + nb;
  T* const y = static_cast<T*>(p.y);
  if constexpr (kCluster) {
#ifndef MAAS_CUDA_EMULATE
    // Each block adds some rows of all blocks, in their order.
    cuda::cluster_sync();
    if (n0 + nb < p.m) {
      const ChannelEpilogue<VB, T> epilogue(p.epilogue, filter);
      for (int r = thread / kVectorsN + split * kStepM; r < BM; r += kStepM * p.splits) {
        const int64_t pixel = row_table[r].pixel;
        if (pixel < 0) break;
        float v[VB] = {};
        for (int s = 0; s < p.splits; ++s) {
          const uint32_t from = cuda::remote_address(sums + r * Tile::kRowSums + nb, static_cast<uint32_t>(s));
#pragma unroll
          for (int i = 0; i < VB; i += 4) {
            const float4 more = remote_load(from + i * 4);
            v[i] += more.x;
            v[i + 1] += more.y;
            v[i + 2] += more.z;
            v[i + 3] += more.w;
          }
        }
        const int64_t element = pixel * filters + filter;
        epilogue(p.epilogue, v, element);
        cuda::store(y + element, cuda::from_float<T, VB>(v));
      }
    }
    __syncwarp();
    cuda::cluster_sync();
#endif
  } else {
    if (n0 + nb >= p.m) return;
    const bool whole = p.splits == 1;
    const ChannelEpilogue<VB, T> epilogue(whole ? p.epilogue : ConvEpilogue{}, filter);
    float* const partial = whole ? nullptr : p.partial + split * (p.n * axes.d.out * axes.h.out * axes.w.out) * filters;
    for (int r = thread / kVectorsN; r < BM; r += kStepM) {
      const int64_t pixel = row_table[r].pixel;
      if (pixel < 0) break;
      const int64_t element = pixel * filters + filter;
      float v[VB];
      read_floats(sums + r * Tile::kRowSums + nb, v);
      if (whole) {
        epilogue(p.epilogue, v, element);
        cuda::store(y + element, cuda::from_float<T, VB>(v));
      } else {
        write_floats(partial + element, v);
      }
    }
  }
}

template <class Config, bool kGradient>
constexpr size_t direct_shared() {
  using Tile = typename Config::template Tile<true, kGradient>;
  const size_t stages = Config::kStages * Tile::kStage * sizeof(typename Config::T);
  const size_t sums = Config::BM * Tile::kRowSums * sizeof(float);
  return Config::BM * sizeof(DirectRow) + std::max(stages, sums) + shared_slack(Tile::kAlign);
}

// ---- the choice of a tile and of how often the sum is split, and by a cluster

inline int64_t classes_of(const ConvAxes& a) { return a.d.classes * a.h.classes * a.w.classes; }
inline int64_t largest_class(const ConvAxes& a) {
  return div_up(a.d.out, a.d.classes) * div_up(a.h.out, a.h.classes) * div_up(a.w.out, a.w.classes);
}

// Clusters of other sizes than these fit badly on a GPU's groups of multiprocessors.
inline bool in_cluster(const TileCost& c, int splits) {
  return c.clusters && (splits == 2 || splits == 4 || splits == 8);
}

// A split sum costs a second kernel and its memory; in a cluster, little.
inline TileChoice choose_direct(const ConvDirectArgs& a, const TileCost* tiles, int count) {
  TileChoice best;
  double least = -1;
  // Rows of y must not depend on how many there are: one tile and one order for every batch.
  const bool fixed = cuda::deterministic();
  const int64_t n = fixed ? 1 : a.n, classes = classes_of(a.axes);
  const int64_t terms = std::max<int64_t>(1, a.axes.d.kernel * a.axes.h.kernel * a.axes.w.kernel * a.k / classes);
  const int64_t y_bytes = a.n * outputs_of(a.axes) * a.groups * a.m * 4;
  for (int t = 0; t < count; ++t) {
    const TileCost& c = tiles[t];
    const int64_t steps = div_up(terms, c.bk);
    const int64_t blocks = div_up(n * largest_class(a.axes), c.bm) * div_up(a.m, c.bn) * a.groups * classes;
    for (int splits : {1, 2, 3, 4, 6, 8, 12, 16, 24, 32}) {
      if (splits > 1 &&
          (fixed || steps / splits < 3 || y_bytes * splits > kMostScratch || blocks > 2 * kMultiprocessors))
        break;
      double clocks = tile_clocks(c, blocks * splits, div_up(steps, splits));
      if (splits > 1) clocks += in_cluster(c, splits) ? 1000 : 3000 + static_cast<double>(y_bytes * splits * 2) / 1400;
      if (least < 0 || clocks < least) {
        least = clocks;
        best = {t, splits};
      }
    }
  }
  return best;
}

inline int64_t written(const ConvDirectArgs& a) { return a.n * outputs_of(a.axes) * a.groups * a.m; }

// ---- launches

template <class Config, bool kGradient, int VA, int VB, bool kCluster = false>
void launch_direct(const ConvDirectArgs& a, const Launch& l, int splits) {
  const int64_t tiles_m = div_up(a.n * largest_class(a.axes), Config::BM), tiles_n = div_up(a.m, Config::BN);
  const int64_t blocks = tiles_m * tiles_n * splits * a.groups * classes_of(a.axes);
  if (blocks > 0x7fffffff)
    fail(ErrorKind::not_implemented, "conv: the result is too large for one CUDA launch, received ", blocks, " tiles");
  DirectProblem p{a.x,
                  a.w,
                  a.y,
                  static_cast<float*>(l.scratch),
                  gpu_axes(a.axes),
                  a.n,
                  static_cast<int>(a.groups),
                  static_cast<int>(a.k),
                  static_cast<int>(a.m),
                  static_cast<int>(tiles_m),
                  static_cast<int>(tiles_n),
                  splits,
                  a.epilogue};
  const auto kernel = conv_direct_kernel<Config, kGradient, VA, VB, kCluster>;
  const size_t shared = direct_shared<Config, kGradient>();
#ifndef MAAS_CUDA_EMULATE
  if constexpr (kCluster) {
    cuda::check(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel), cudaFuncAttributeMaxDynamicSharedMemorySize,
                                     static_cast<int>(shared)),
                "shared memory");
    cuda::launch_clusters(l, kernel, static_cast<unsigned>(blocks / splits), static_cast<unsigned>(splits),
                          dim3(Config::kThreads), shared, p);
    return;
  }
#endif
  cuda::launch(l, kernel, dim3(static_cast<unsigned>(blocks)), dim3(Config::kThreads), shared, p);
}

// Vectors of V channels where all sizes and addresses allow.
template <class T>
struct Vectors {
  bool a, b;
  explicit Vectors(const ConvDirectArgs& c) {
    constexpr int64_t V = cuda::kLanes<T>;
    const bool gradient = c.axes.w.gradient;
    a = c.k % V == 0 && aligned<T>({c.x}) && (!gradient || aligned<T>({c.w}));
    b = c.m % V == 0 && aligned<T>({c.y, c.epilogue.add, c.epilogue.mask}) && (gradient || aligned<T>({c.w}));
  }
};

// The first two tiles serve every alignment, the large one whole vectors only.
template <class Small, class Narrow, class Large>
struct DirectKernels {
  using T = typename Small::T;
  using SmallTile = Small;
  static constexpr int V = cuda::kLanes<T>;

  static constexpr TileCost all[] = {tile_cost<Small>(), tile_cost<Narrow>(), tile_cost<Large>()};
  static TileChoice choose(const ConvDirectArgs& a) {
    const Vectors<T> v(a);
    return choose_direct(a, all, v.a && v.b ? 3 : 2);
  }
  static size_t scratch(const ConvDirectArgs& a) {
    const int splits = choose(a).parts;
    return splits > 1 ? static_cast<size_t>(splits * written(a)) * sizeof(float) : 0;
  }
  template <class Config, bool kGradient>
  static void run(const ConvDirectArgs& a, const Launch& l, int splits) {
    const Vectors<T> v(a);
    if (v.a && v.b) return launch_direct<Config, kGradient, V, V>(a, l, splits);
    if constexpr (!std::is_same_v<Config, Large>) {
      if (v.b) return launch_direct<Config, kGradient, 1, V>(a, l, splits);
      return launch_direct<Config, kGradient, 1, 1>(a, l, splits);
    }
  }
  template <class Config>
  static void run(const ConvDirectArgs& a, const Launch& l, int splits) {
    return a.axes.w.gradient ? run<Config, true>(a, l, splits) : run<Config, false>(a, l, splits);
  }
  static void launch(const ConvDirectArgs& a, const Launch& l) {
    if (written(a) == 0) return;
    check_pixels(a.axes);
    const TileChoice choice = choose(a);
    if (choice.tile == 0)
      run<Small>(a, l, choice.parts);
    else if (choice.tile == 1)
      run<Narrow>(a, l, choice.parts);
    else
      run<Large>(a, l, choice.parts);
    if (choice.parts > 1)
      sum_parts<T>(l, static_cast<const float*>(l.scratch), choice.parts, written(a), a.groups * a.m, a.y, a.epilogue);
  }
};

template <class T>
using DirectTensor =
    DirectKernels<TensorConfig<T, 64, 64, 64, 32, 32, 4, 2, 30>, TensorConfig<T, 128, 64, 32, 32, 32, 4, 2, 36>,
                  TensorConfig<T, 128, 128, 32, 64, 32, 4, 2, 42>>;

}  // namespace
}  // namespace maas
