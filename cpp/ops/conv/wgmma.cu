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
  // A tile of 2 or more: the plain kernels.
  static TileChoice choose(const ConvDirectArgs& a) {
    static constexpr TileCost tiles[] = {tile_cost<Square<T>>(), tile_cost<Narrow<T>>(), Plain::all[0], Plain::all[1],
                                         Plain::all[2]};
    const Vectors<T> v(a);
    return v.a && v.b ? choose_direct(a, tiles, 5) : TileChoice{2, 1};
  }
  static size_t scratch(const ConvDirectArgs& a) {
    const TileChoice choice = choose(a);
    if (choice.tile >= 2) return Plain::scratch(a);
    return choice.parts > 1 ? static_cast<size_t>(choice.parts * written(a)) * sizeof(float) : 0;
  }
  template <class Config>
  static void run(const ConvDirectArgs& a, const Launch& l, int parts) {
    if (a.axes.w.gradient)
      launch_direct<Config, true, V, V>(a, l, parts);
    else
      launch_direct<Config, false, V, V>(a, l, parts);
  }
  static void launch(const ConvDirectArgs& a, const Launch& l, void (*plain)(const ConvDirectArgs&, const Launch&)) {
    const TileChoice choice = choose(a);
    if (choice.tile >= 2 || written(a) == 0) return plain(a, l);
    check_pixels(a.axes);
    if (choice.tile == 0)
      run<Square<T>>(a, l, choice.parts);
    else
      run<Narrow<T>>(a, l, choice.parts);
    if (choice.parts > 1)
      sum_parts<T>(l, static_cast<const float*>(l.scratch), choice.parts, written(a), a.groups * a.m, a.y, a.epilogue);
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
