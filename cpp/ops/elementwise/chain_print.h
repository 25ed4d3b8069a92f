#pragma once
// A chain as the text of a CUDA kernel, and what the kernel's parameter holds. No CUDA here.
#include <cstdint>
#include <string>

#include "ops/elementwise/chain_kernels.h"

namespace maas {

// How a launch walks the result: what shapes the text besides functions and dtypes.
struct ChainWalk {
  // Of an operand, for the `width` elements of the result that a thread takes at once.
  enum Read : uint8_t {
    none,     // there is no such operand
    dense,    // they lie where they lie in the result
    scalar,   // one element for the whole result
    vector,   // next to each other
    splat,    // one element for all of them
    strided,  // apart by one stride
    each,     // anywhere: each is looked for
  };
  Read read[ChainArgs::max_inputs];
  uint8_t width;   // elements; within one row of the result unless an operand is read as `each`
  uint8_t unroll;  // how many times `width` a thread loads before it computes, at most
  uint8_t rank;    // axes that operands are looked for along; 0: no operand is
  bool wide;       // positions need 64 bits
  bool move;       // bytes go as they are
};
ChainWalk walk_chain(const ChainArgs& args);

// What the text depends on, as bytes: chains of one key share a kernel.
std::string chain_key(const ChainArgs& args, const ChainWalk& walk);
// Defines `struct Params` and `extern "C" __global__ void chain(const Params)`.
std::string print_chain(const ChainArgs& args, const ChainWalk& walk);

// A Params: words in the order of its fields.
struct ChainParams {
  static constexpr int kMaxWords = ChainArgs::max_inputs + 4 + 3 * ChainArgs::max_rank + 80;
  static_assert(ChainArgs::max_inputs * ChainArgs::max_rank == 80);
  int64_t words[kMaxWords];
  int count = 0;
  int64_t blocks;  // of `threads`
  static constexpr int threads = 256;
};
ChainParams chain_params(const ChainArgs& args, const ChainWalk& walk, int multiprocessors);

}  // namespace maas
