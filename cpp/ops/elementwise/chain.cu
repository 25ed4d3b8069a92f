// Chains on a GPU: each is printed, compiled once, and launched with what differs from run to run as its parameter.
// Beside it, the plain copy that swaps axes, which wants shared memory.
#include <mutex>
#include <unordered_map>

#include "cuda/launch.h"
#include "cuda/nvrtc.h"
#include "ops/elementwise/chain_print.h"

#define MAAS_KERNELS "ops/elementwise/kernels.inc"
#define MAAS_KERNEL_ARGS ChainArgs
#define MAAS_KERNEL_TABLE chain_kernels
#include "cuda/kernel_table.h"

namespace maas {
namespace {

// Printing is left out where a chain of this key was printed before, for the GPU in use.
cuda::TextKernel kernel_of(const ChainArgs& args, const ChainWalk& walk) {
  static std::mutex mutex;
  static auto* const kernels = new std::unordered_map<std::string, cuda::TextKernel>;
  int device = 0;
  cuda::check(cudaGetDevice(&device), "device");
  std::string key = chain_key(args, walk);
  key.push_back(static_cast<char>(device));
  {
    std::lock_guard guard(mutex);
    if (const auto it = kernels->find(key); it != kernels->end()) return it->second;
  }
  const cuda::TextKernel made = cuda::compile_kernel(print_chain(args, walk), "chain");
  std::lock_guard guard(mutex);
  return kernels->emplace(std::move(key), made).first->second;
}

// ---- y[.., c, .., l] = x, where x lies with axis c contiguous and y with its last axis l: tiles through shared memory

struct Swap {
  int64_t columns, rows;       // sizes of c and l
  int64_t x_stride, y_stride;  // of x along l, of y along c
  int64_t column_tiles, row_tiles;
  int64_t sizes[ChainArgs::max_rank], x_strides[ChainArgs::max_rank], y_strides[ChainArgs::max_rank];
  int others;  // axes, last one first
};

template <class T, int kTile>
__global__ void __launch_bounds__(256) swap_axes(const T* x, T* y, const Swap p) {
  constexpr int kStep = 256 / kTile;
  __shared__ T tile[kTile][kTile + (sizeof(T) < 4 ? 4 / sizeof(T) : 1)];  // reads down a column meet all banks
  int64_t rest = blockIdx.x;
  const int64_t row = rest % p.row_tiles * kTile;
  rest /= p.row_tiles;
  const int64_t column = rest % p.column_tiles * kTile;
  rest /= p.column_tiles;
  for (int d = 0; d < p.others; ++d) {
    const int64_t i = rest % p.sizes[d];
    rest /= p.sizes[d];
    x += i * p.x_strides[d];
    y += i * p.y_strides[d];
  }
  const int i = static_cast<int>(threadIdx.x) % kTile, first = static_cast<int>(threadIdx.x) / kTile;
#pragma unroll
  for (int k = 0; k < kTile; k += kStep) {
    const int j = first + k;
    if (column + i < p.columns && row + j < p.rows) tile[j][i] = x[column + i + (row + j) * p.x_stride];
  }
  __syncthreads();
#pragma unroll
  for (int k = 0; k < kTile; k += kStep) {
    const int j = first + k;
    if (column + j < p.columns && row + i < p.rows) y[(column + j) * p.y_stride + row + i] = tile[i][j];
  }
}

template <class T, int kTile>
void swap_axes_of(const ChainArgs& a, Swap& p, int64_t blocks, const Launch& l) {
  cuda::launch(l, swap_axes<T, kTile>, static_cast<unsigned>(blocks), 256, 0, static_cast<const T*>(a.in[0].data),
               static_cast<T*>(a.y), p);
}

// False if the copy does not swap two axes of some size.
bool try_swap_axes(const ChainArgs& a, const Launch& l) {
  const ChainInput& in = a.in[0];
  const int last = a.rank - 1;
  int contiguous = -1;
  for (int d = 0; d < last; ++d)
    if (in.strides[d] == 1 && a.shape[d] > 1) contiguous = d;
  if (contiguous < 0 || in.strides[last] == 0 || in.strides[last] == 1 || a.shape[contiguous] < 8 || a.shape[last] < 8)
    return false;
  Swap p{};
  const int tile = bit_size(a.dtype) < 32 ? 64 : 32;
  p.columns = a.shape[contiguous];
  p.rows = a.shape[last];
  p.x_stride = in.strides[last];
  p.column_tiles = (p.columns + tile - 1) / tile;
  p.row_tiles = (p.rows + tile - 1) / tile;
  int64_t blocks = p.column_tiles * p.row_tiles, y_stride = a.shape[last];
  for (int d = last; d-- > 0; y_stride *= a.shape[d]) {
    if (d == contiguous) {
      p.y_stride = y_stride;
      continue;
    }
    p.sizes[p.others] = a.shape[d];
    p.x_strides[p.others] = in.strides[d];
    p.y_strides[p.others++] = y_stride;
    blocks *= a.shape[d];
  }
  if (blocks >= int64_t{1} << 31) return false;
  switch (bit_size(a.dtype)) {
    case 8:
      swap_axes_of<uint8_t, 64>(a, p, blocks, l);
      break;
    case 16:
      swap_axes_of<uint16_t, 64>(a, p, blocks, l);
      break;
    case 32:
      swap_axes_of<uint32_t, 32>(a, p, blocks, l);
      break;
    default:
      swap_axes_of<uint64_t, 32>(a, p, blocks, l);
  }
  return true;
}

}  // namespace

void chain_cuda(const ChainArgs& args, const Launch& l) {
  if (args.size == 0) return;
  const ChainWalk walk = walk_chain(args);
  if (walk.move && walk.rank && try_swap_axes(args, l)) return;
  const ChainParams params = chain_params(args, walk, l.multiprocessors);
  cuda::launch(l, kernel_of(args, walk), static_cast<unsigned>(params.blocks), ChainParams::threads, params.words,
               static_cast<size_t>(params.count) * sizeof params.words[0]);
}

}  // namespace maas
