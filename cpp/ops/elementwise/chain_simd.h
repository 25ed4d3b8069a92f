#pragma once
// The chain interpreter over 16-lane vectors. Blocks of 512 elements sit in L1; each step is one loop over its
// registers.
#include "ops/elementwise/chain_kernels.h"
#include "simd/isa.h"

namespace maas {
namespace {

using simd::Mask;
using simd::V;

MAAS_INLINE V truth(Mask m) { return select(m, V(1.f), V(0.f)); }
MAAS_INLINE V sign(V a) { return select(isnan(a), a, truth(a > V(0.f)) - truth(a < V(0.f))); }
// Python's %: the sign of b. fmod(a, b) is exact only for quotients that fit; the reference states the same bound.
MAAS_INLINE V floor_mod(V a, V b) {
  const V m = fnma(trunc(a / b), b, a);
  return select(Mask(m != V(0.f)) & ((m < V(0.f)) ^ (b < V(0.f))), m + b, m);
}

enum Fn : int16_t {
#define MAAS_FN(name, ...) fn_##name,
#include "ops/elementwise/functions.inc"
#undef MAAS_FN
};

// One function over n elements. Operands it does not use may be null.
#define MAAS_FN(name, arity, kind, vector, ...)                                             \
  void run_##name(const float* pa, const float* pb, const float* pc, float* y, int64_t n) { \
    (void)pb, (void)pc;                                                                     \
    for (int64_t i = 0; i < n; i += simd::kLanes) {                                         \
      [[maybe_unused]] const V a = simd::load_some<V>(pa + i, n - i, 0.f);                  \
      [[maybe_unused]] const V b = arity > 1 ? simd::load_some<V>(pb + i, n - i, 0.f) : a;  \
      [[maybe_unused]] const V c = arity > 2 ? simd::load_some<V>(pc + i, n - i, 0.f) : a;  \
      simd::store_some(V(vector), y + i, n - i);                                            \
    }                                                                                       \
  }
#include "ops/elementwise/functions.inc"
#undef MAAS_FN

using FnPointer = void (*)(const float*, const float*, const float*, float*, int64_t);
const FnPointer kFunctions[] = {
#define MAAS_FN(name, ...) run_##name,
#include "ops/elementwise/functions.inc"
#undef MAAS_FN
};

MAAS_INLINE void chain_block(const ChainStepArgs* steps, int count, float* const* reg, int64_t n) {
  for (int s = 0; s < count; ++s) {
    const ChainStepArgs& step = steps[s];
    kFunctions[step.fn](step.arg[0] < 0 ? nullptr : reg[step.arg[0]], step.arg[1] < 0 ? nullptr : reg[step.arg[1]],
                        step.arg[2] < 0 ? nullptr : reg[step.arg[2]], reg[step.result], n);
  }
}

void load_bools(const uint8_t* x, float* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = x[i] ? 1.f : 0.f;
}

// n elements of a broadcast or strided operand from flat position `at` of the result.
template <class T>
void gather(const ChainArgs& args, const ChainInput& in, int64_t at, float* y, int64_t n) {
  int64_t index[ChainArgs::max_rank], rest = at, offset = 0;
  for (int d = args.rank; d-- > 0;) {
    index[d] = rest % args.shape[d];
    rest /= args.shape[d];
    offset += index[d] * in.strides[d];
  }
  const int last = args.rank - 1;
  const T* x = static_cast<const T*>(in.data);
  const int64_t step = in.strides[last];
  while (n > 0) {
    int64_t run = args.shape[last] - index[last];
    if (run > n) run = n;
    const T* from = x + offset;
    if (step == 1) {
      for (int64_t i = 0; i < run; ++i) y[i] = from[i];
    } else if (step == 0) {
      const float v = from[0];
      for (int64_t i = 0; i < run; ++i) y[i] = v;
    } else {
      for (int64_t i = 0; i < run; ++i) y[i] = from[i * step];
    }
    y += run;
    n -= run;
    index[last] += run;
    offset += run * step;
    for (int d = last; d >= 0 && index[d] == args.shape[d]; --d) {
      offset -= index[d] * in.strides[d];
      index[d] = 0;
      if (d > 0) {
        ++index[d - 1];
        offset += in.strides[d - 1];
      }
    }
  }
}

void run_chain(const ChainArgs& args, int64_t begin, int64_t end, const Exec& exec) {
  float* registers = static_cast<float*>(exec.scratch);
  float* reg[ChainArgs::max_inputs + ChainArgs::max_steps];
  for (int r = 0; r < args.registers; ++r) reg[r] = registers + r * ChainArgs::block;
  for (int i = 0; i < args.inputs; ++i)
    if (args.in[i].mode == ChainInput::scalar) {
      const float v = args.in[i].dtype == DType::b8
                          ? static_cast<float>(*static_cast<const uint8_t*>(args.in[i].data) != 0)
                          : *static_cast<const float*>(args.in[i].data);
      for (int64_t j = 0; j < ChainArgs::block; ++j) reg[i][j] = v;
    }
  const int64_t stop = end * ChainArgs::unit < args.size ? end * ChainArgs::unit : args.size;
  const int result = args.steps[args.step_count - 1].result;
  for (int64_t at = begin * ChainArgs::unit; at < stop; at += ChainArgs::block) {
    const int64_t n = stop - at < ChainArgs::block ? stop - at : ChainArgs::block;
    for (int i = 0; i < args.inputs; ++i) {
      const ChainInput& in = args.in[i];
      float* own = registers + i * ChainArgs::block;
      if (in.mode == ChainInput::scalar) continue;
      const bool boolean = in.dtype == DType::b8;
      if (in.mode == ChainInput::dense && !boolean) {
        reg[i] = const_cast<float*>(static_cast<const float*>(in.data)) + at;
      } else if (in.mode == ChainInput::dense) {
        load_bools(static_cast<const uint8_t*>(in.data) + at, own, n);
      } else if (boolean) {
        gather<uint8_t>(args, in, at, own, n);
      } else {
        gather<float>(args, in, at, own, n);
      }
    }
    // The last step writes to y itself.
    const int last = args.step_count - 1;
    float* y = args.dtype == DType::b8 ? reg[result] : static_cast<float*>(args.y) + at;
    chain_block(args.steps, last, reg, n);
    const ChainStepArgs& step = args.steps[last];
    kFunctions[step.fn](reg[step.arg[0]], step.arg[1] < 0 ? nullptr : reg[step.arg[1]],
                        step.arg[2] < 0 ? nullptr : reg[step.arg[2]], y, n);
    if (args.dtype == DType::b8)
      for (int64_t i = 0; i < n; ++i) static_cast<uint8_t*>(args.y)[at + i] = y[i] != 0.f;
  }
}

}  // namespace
}  // namespace maas
