// Convolutions and kernel gradients of 16-bit floats on Hopper's warpgroup instructions, where they pay; small problems
// go on to the plain kernels.
#ifndef MAAS_CUDA_EMULATE
#include "ops/conv/conv_wgmma.h"
#include "ops/conv/direct_cuda.h"
#include "ops/conv/kernel_gradient_cuda.h"

namespace maas {

#define MAAS_PLAIN(name, Args)               \
  void name(const Args& a, const Launch& l); \
  size_t name##_scratch(const Args& a);
MAAS_PLAIN(conv_direct_bf16_cuda, ConvDirectArgs)
MAAS_PLAIN(conv_direct_f16_cuda, ConvDirectArgs)
MAAS_PLAIN(conv_kernel_gradient_bf16_cuda, ConvKernelGradientArgs)
MAAS_PLAIN(conv_kernel_gradient_f16_cuda, ConvKernelGradientArgs)
#undef MAAS_PLAIN

namespace {

template <class T>
using Square = WgmmaConfig<T, 128, 128, 3, 2, 62>;
template <class T>
using Narrow = WgmmaConfig<T, 128, 64, 4, 2, 50>;

template <class T>
struct DirectWgmma {
  static constexpr int V = cuda::kLanes<T>;
  using Plain = DirectTensor<T>;
  enum { square, narrow, small };  // after them, the other plain ones
  static constexpr TileCost with_clusters(TileCost c) {
    c.clusters = true;
    return c;
  }
  static constexpr TileCost tiles[] = {tile_cost<Square<T>>(), with_clusters(tile_cost<Narrow<T>>()),
                                       with_clusters(Plain::all[0]), Plain::all[1], Plain::all[2]};
  static bool takes(const ConvDirectArgs& a) {
    const Vectors<T> v(a);
    return v.a && v.b && written(a) > 0;
  }
  static bool plain(TileChoice c) { return c.tile > small || (c.tile == small && !in_cluster(tiles[small], c.parts)); }
  static size_t scratch(const ConvDirectArgs& a) {
    if (!takes(a)) return Plain::scratch(a);
    const TileChoice c = choose_direct(a, tiles, 5);
    if (plain(c)) return Plain::scratch(a);
    return c.parts == 1 || in_cluster(tiles[c.tile], c.parts)
               ? 0
               : static_cast<size_t>(c.parts * written(a)) * sizeof(float);
  }
  template <class Config, bool kCluster>
  static void run(const ConvDirectArgs& a, const Launch& l, int parts) {
    if (a.axes.w.gradient)
      launch_direct<Config, true, V, V, kCluster>(a, l, parts);
    else
      launch_direct<Config, false, V, V, kCluster>(a, l, parts);
  }
  static void launch(const ConvDirectArgs& a, const Launch& l, void (*without)(const ConvDirectArgs&, const Launch&)) {
    if (!takes(a)) return without(a, l);
    const TileChoice c = choose_direct(a, tiles, 5);
    if (plain(c)) return without(a, l);
    check_pixels(a.axes);
    if (c.tile == small) return run<typename Plain::SmallTile, true>(a, l, c.parts);
    if (in_cluster(tiles[c.tile], c.parts)) return run<Narrow<T>, true>(a, l, c.parts);
    if (c.tile == square)
      run<Square<T>, false>(a, l, c.parts);
    else
      run<Narrow<T>, false>(a, l, c.parts);
    if (c.parts > 1)
      sum_parts<T>(l, static_cast<const float*>(l.scratch), c.parts, written(a), a.groups * a.m, a.y, a.epilogue);
  }
};

template <class T>
struct KernelGradientWgmma {
  static constexpr int V = cuda::kLanes<T>;
  using Plain = KernelGradientTensor<T>;
  using Args = ConvKernelGradientArgs;
  static TileChoice choose(const Args& a) {
    static constexpr TileCost tiles[] = {tile_cost<Square<T>>(), tile_cost<Narrow<T>>(), Plain::all[0], Plain::all[1],
                                         Plain::all[2]};
    return Plain::vectors_a(a) && Plain::vectors_b(a) ? choose_kernel_gradient(a, tiles, 5) : TileChoice{2, 1};
  }
  static size_t scratch(const Args& a) {
    const TileChoice choice = choose(a);
    if (choice.tile >= 2) return Plain::scratch(a);
    return choice.parts > 1 ? static_cast<size_t>(choice.parts * Plain::size(a)) * sizeof(float) : 0;
  }
  static void launch(const Args& a, const Launch& l, void (*plain)(const Args&, const Launch&)) {
    const TileChoice choice = choose(a);
    if (choice.tile >= 2 || Plain::size(a) == 0) return plain(a, l);
    check_pixels(a.axes);
    if (choice.tile == 0)
      launch_kernel_gradient<Square<T>, V, V>(a, l, choice.parts);
    else
      launch_kernel_gradient<Narrow<T>, V, V>(a, l, choice.parts);
    if (choice.parts > 1)
      sum_parts<T>(l, static_cast<const float*>(l.scratch), choice.parts, Plain::size(a), Plain::size(a), a.dw, {});
  }
};

}  // namespace

#define MAAS_WGMMA_ROW(name, Kernels, Args, type)                                                             \
  void name##_##type##_wgmma(const Args& a, const Launch& l) { Kernels::launch(a, l, name##_##type##_cuda); } \
  size_t name##_##type##_wgmma_scratch(const Args& a) { return Kernels::scratch(a); }
MAAS_WGMMA_ROW(conv_direct, DirectWgmma<__nv_bfloat16>, ConvDirectArgs, bf16)
MAAS_WGMMA_ROW(conv_direct, DirectWgmma<__half>, ConvDirectArgs, f16)
MAAS_WGMMA_ROW(conv_kernel_gradient, KernelGradientWgmma<__nv_bfloat16>, ConvKernelGradientArgs, bf16)
MAAS_WGMMA_ROW(conv_kernel_gradient, KernelGradientWgmma<__half>, ConvKernelGradientArgs, f16)
#undef MAAS_WGMMA_ROW

}  // namespace maas
#endif
