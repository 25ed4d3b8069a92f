#pragma once
// Random numbers: y[i] is a function of (seed, stream, step, i) alone, see core/random.h; seed and step are the two
// elements of the state tensor. One 32-bit word an element; float64 numbers and integers take 64 bits each.
//   uniform: low + u * (high - low), below high          normal: mean + stddev * quantile(u)
//   truncated: the same of a normal cut at 2 deviations  integer: low + u * (high - low), rounded down
//   permutation: 0 .. n-1 in random order (Fisher-Yates)
//   dropout: y[i] = u[i] >= rate ? x[i] / (1 - rate) : 0; y may be x
// y and x are dense. One unit = 1024 elements, so a unit never shares a Philox block; a permutation is one unit.
#include <cstdint>

#include "core/dtype.h"
#include "core/exec.h"
#include "core/philox_key.h"

namespace maas {

struct RandomArgs {
  static constexpr int64_t unit = 1024;
  static constexpr int64_t max_cuda_permutation = 16384;  // elements, 8 bytes of shared memory each
  enum Kind : uint8_t { uniform, normal, truncated, integer, permutation } kind;
  const void* state;
  DType state_dtype, dtype;
  void* y;
  int64_t size, stream;
  double low, high;  // or mean, deviation
  float last;        // the largest float32 below high
  int64_t first;     // of integers
  uint64_t range;
  const void* x;       // dropout
  uint32_t threshold;  // dropout: kept if the word's upper 24 bits reach it
  double keep;         // 1 - rate
};

using RandomKey = PhiloxKey;
RandomKey random_key(const RandomArgs& args);

}  // namespace maas
