// One thread per element of the panels.
#include "ops/recurrent/recurrent_device.h"

#define MAAS_KERNELS "ops/recurrent/pack_kernels.inc"
#define MAAS_KERNEL_ARGS RecurrentPackArgs
#define MAAS_KERNEL_TABLE recurrent_pack_kernels
#include "cuda/kernel_table.h"

namespace maas {
namespace cuda::recurrent {
namespace {

template <class T>
__global__ void recurrent_pack(RecurrentPackArgs a, int64_t gates, bool side_by_side) {
  const int64_t H = a.units, padded = (H + 15) / 16 * 16, count = H * gates * padded;
  for (int64_t i = blockIdx.x * static_cast<int64_t>(blockDim.x) + threadIdx.x; i < count;
       i += gridDim.x * static_cast<int64_t>(blockDim.x)) {
    int64_t k, gate, u;
    if (side_by_side) {
      u = i / (H * gates * 16) * 16 + i % 16;
      gate = i / 16 % gates;
      k = i / (gates * 16) % H;
    } else {
      const int64_t rows = a.transpose ? H * gates : H, matrix = rows * padded;
      const int64_t in = i % matrix, block = in / (rows * 64);
      const int64_t width = padded - block * 64 < 64 ? padded - block * 64 : 64, rest = in - block * rows * 64;
      gate = i / matrix;
      k = rest / width;
      u = block * 64 + rest % width;
    }
    const int64_t row = a.transpose ? u : k, column = a.transpose ? k : gate * H + u;
    static_cast<T*>(a.y)[i] = u < H ? static_cast<const T*>(a.u)[row * a.rs + column * a.cs] : T(0);
  }
}

template <class T>
void pack(const RecurrentPackArgs& a, const Launch& l) {
  const int64_t gates = cell_gates(a.cell), count = a.units * gates * ((a.units + 15) / 16 * 16);
  if (!count) return;
  launch(l, recurrent_pack<T>, blocks_for(count, 256, 16 * l.multiprocessors), 256, 0, a, gates,
         gated(a.cell) && !a.transpose);
}

}  // namespace
}  // namespace cuda::recurrent

// Elements are moved as they are, so their size alone matters.
void recurrent_pack_f32_cuda(const RecurrentPackArgs& a, const Launch& l) { cuda::recurrent::pack<uint32_t>(a, l); }
void recurrent_pack_bf16_cuda(const RecurrentPackArgs& a, const Launch& l) { cuda::recurrent::pack<uint16_t>(a, l); }

}  // namespace maas
