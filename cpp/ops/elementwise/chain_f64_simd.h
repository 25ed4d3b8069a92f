#pragma once
// The chain interpreter in float64, eight lanes at once, for the functions below; other chains run plainly.
// Blocks of 512 elements sit in L1; each step is one loop over its registers.
#include "ops/elementwise/chain_kernels.h"
#include "ops/elementwise/function_numbers.h"
#include "simd/f64.h"

// All that takes or gives such vectors is inlined, so it does not matter how they would be passed.
#pragma GCC diagnostic ignored "-Wpsabi"

namespace maas {
namespace {

// The compiler's own vectors: one zmm or two ymm. A comparison gives -1 or 0 in every lane.
typedef double D8 __attribute__((vector_size(64)));
typedef long long I8 __attribute__((vector_size(64)));
constexpr int64_t kLanes64 = 8;
constexpr double kInf64 = __builtin_inf();

MAAS_INLINE D8 all(double a) { return D8{a, a, a, a, a, a, a, a}; }
MAAS_INLINE D8 truth64(const I8& m) { return m ? all(1.0) : all(0.0); }
MAAS_INLINE D8 absolute64(const D8& a) { return D8(I8(a) & ~I8(all(-0.0))); }
MAAS_INLINE D8 max64(const D8& a, const D8& b) { return a != a ? a : b != b ? b : a > b ? a : b; }
MAAS_INLINE D8 min64(const D8& a, const D8& b) { return a != a ? a : b != b ? b : a < b ? a : b; }
MAAS_INLINE D8 sqrt64(const D8& a) {
  D8 y;
  MAAS_UNROLL for (int i = 0; i < kLanes64; ++i) y[i] = __builtin_sqrt(a[i]);
  return y;
}
MAAS_INLINE D8 fma64(const D8& a, const D8& b, const D8& c) {
  simd::F64 x, y, z;
  __builtin_memcpy(&x, &a, sizeof a);
  __builtin_memcpy(&y, &b, sizeof b);
  __builtin_memcpy(&z, &c, sizeof c);
  x = simd::fma(x, y, z);
  D8 sum;
  __builtin_memcpy(&sum, &x, sizeof sum);
  return sum;
}
// Adding this rounds to an integer in the low bits: |a| < 2^51.
constexpr double kRound = 0x1.8p52;
// 2^n for an integral n in [-1022, 1023].
MAAS_INLINE D8 power_of_two(const D8& n) { return D8(I8(n + all(kRound + 1023)) << 52); }

// e^x: 1 ulp. x = n ln 2 + r; e^r by its series to r^13, of which 2^-57 is left out; 2^n in two factors, so that
// neither overflows before the result does.
MAAS_INLINE D8 exp64(const D8& x) {
  constexpr double kSeries[] = {1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040,
                                1.0 / 720,       1.0 / 120,      1.0 / 24,      1.0 / 6,      0.5,         1.0};
  const D8 c = x < all(-746.0) ? all(-746.0) : x > all(710.0) ? all(710.0) : x;
  const D8 n = (c * all(0x1.71547652b82fep+0) + all(kRound)) - all(kRound);
  const D8 r = fma64(n, all(-0x1.abc9e3b39803fp-56), fma64(n, all(-0x1.62e42fefa39efp-1), c));
  D8 p = all(1.0 / 6227020800.0);
  MAAS_UNROLL for (int i = 0; i < 12; ++i) p = fma64(p, r, all(kSeries[i]));
  p = fma64(p, r, all(1.0));
  const D8 half = (n * all(0.5) + all(kRound)) - all(kRound);
  return x != x ? x : p * power_of_two(half) * power_of_two(n - half);
}
MAAS_INLINE D8 sigmoid64(const D8& x) { return all(1.0) / (all(1.0) + exp64(-x)); }

MAAS_INLINE D8 load64(const double* p, int64_t n) {
  D8 v = all(0.0);
  if (n >= kLanes64)
    __builtin_memcpy(&v, p, sizeof v);
  else
    for (int64_t i = 0; i < n; ++i) v[i] = p[i];
  return v;
}

#define MAAS_F64_FN(name, arity, value)                                                                \
  static void run_##name(const double* pa, const double* pb, const double* pc, double* y, int64_t n) { \
    (void)pb, (void)pc;                                                                                \
    for (int64_t i = 0; i < n; i += kLanes64) {                                                        \
      [[maybe_unused]] const D8 a = load64(pa + i, n - i);                                             \
      [[maybe_unused]] const D8 b = arity > 1 ? load64(pb + i, n - i) : a;                             \
      [[maybe_unused]] const D8 c = arity > 2 ? load64(pc + i, n - i) : a;                             \
      const D8 v = value;                                                                              \
      if (n - i >= kLanes64)                                                                           \
        __builtin_memcpy(y + i, &v, sizeof v);                                                         \
      else                                                                                             \
        for (int64_t j = 0; j < n - i; ++j) y[i + j] = v[j];                                           \
    }                                                                                                  \
  }
#include "ops/elementwise/functions_f64.inc"
#undef MAAS_F64_FN

using FnPointer64 = void (*)(const double*, const double*, const double*, double*, int64_t);

FnPointer64 function64(int fn) {
  switch (fn) {
#define MAAS_F64_FN(name, arity, value) \
  case fn_##name:                       \
    return run_##name;
#include "ops/elementwise/functions_f64.inc"
#undef MAAS_F64_FN
    default:
      return nullptr;
  }
}

MAAS_INLINE void copy64(const double* x, double* y, int64_t n) {
  int64_t i = 0;
  for (; i + kLanes64 <= n; i += kLanes64) __builtin_memcpy(y + i, x + i, sizeof(D8));
  for (; i < n; ++i) y[i] = x[i];
}

// Whether an operand lies as the result does, whatever its axes.
MAAS_INLINE bool lies_as_result(const ChainArgs& args, const ChainInput& in) {
  int64_t step = 1;
  for (int d = args.rank; d-- > 0; step *= args.shape[d])
    if (args.shape[d] != 1 && in.strides[d] != step) return false;
  return true;
}

template <class T>
constexpr bool is_double = false;
template <>
constexpr bool is_double<double> = true;

// n elements of an operand, whatever its strides, from flat position `at` of the result, as doubles.
template <class T>
void gather64(const ChainArgs& args, const ChainInput& in, int64_t at, double* y, int64_t n) {
  int64_t index[ChainArgs::max_rank], rest = at, offset = 0;
  for (int d = args.rank; d-- > 0;) {
    index[d] = rest % args.shape[d];
    rest /= args.shape[d];
    offset += index[d] * in.strides[d];
  }
  const int last = args.rank - 1;
  const T* x = static_cast<const T*>(in.data);
  while (n > 0) {
    const int64_t left = args.shape[last] - index[last], run = left < n ? left : n, step = in.strides[last];
    if (step == 0) {
      const double v = static_cast<double>(x[offset]);
      for (int64_t i = 0; i < run; ++i) y[i] = v;
    } else if (step == 1 && is_double<T>) {
      copy64(static_cast<const double*>(in.data) + offset, y, run);
    } else if (step == 1) {
      for (int64_t i = 0; i < run; ++i) y[i] = static_cast<double>(x[offset + i]);
    } else {
      for (int64_t i = 0; i < run; ++i) y[i] = static_cast<double>(x[offset + i * step]);
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

void gather64(const ChainArgs& args, const ChainInput& in, int64_t at, double* y, int64_t n) {
  switch (in.dtype) {
    case DType::b8:
      return gather64<uint8_t>(args, in, at, y, n);
    case DType::i32:
      return gather64<int32_t>(args, in, at, y, n);
    case DType::i64:
      return gather64<int64_t>(args, in, at, y, n);
    default:
      return gather64<double>(args, in, at, y, n);
  }
}

static void run_chain_f64(const ChainArgs& args, int64_t begin, int64_t end, const Exec& exec) {
  double* registers = static_cast<double*>(exec.scratch);
  double* reg[ChainArgs::max_inputs + ChainArgs::max_steps];
  bool in_place[ChainArgs::max_inputs];  // read where it is
  for (int i = 0; i < args.inputs; ++i)
    in_place[i] =
        args.in[i].dtype == DType::f64 && args.in[i].mode != ChainInput::scalar && lies_as_result(args, args.in[i]);
  for (int r = 0; r < args.registers; ++r) reg[r] = registers + r * ChainArgs::block;
  for (int i = 0; i < args.inputs; ++i)
    if (args.in[i].mode == ChainInput::scalar) gather64(args, args.in[i], 0, reg[i], 1);
  const int64_t stop = end * ChainArgs::unit < args.size ? end * ChainArgs::unit : args.size;
  const int64_t most =
      stop - begin * ChainArgs::unit < ChainArgs::block ? stop - begin * ChainArgs::unit : ChainArgs::block;
  for (int i = 0; i < args.inputs; ++i)
    if (args.in[i].mode == ChainInput::scalar)
      for (int64_t j = 1; j < most; ++j) reg[i][j] = reg[i][0];
  for (int64_t at = begin * ChainArgs::unit; at < stop; at += ChainArgs::block) {
    const int64_t n = stop - at < ChainArgs::block ? stop - at : ChainArgs::block;
    for (int i = 0; i < args.inputs; ++i) {
      const ChainInput& in = args.in[i];
      if (in_place[i])
        reg[i] = const_cast<double*>(static_cast<const double*>(in.data)) + at;
      else if (in.mode != ChainInput::scalar)
        gather64(args, in, at, reg[i], n);
    }
    for (int s = 0; s < args.step_count; ++s) {
      const ChainStepArgs& step = args.steps[s];
      const auto operand = [&](int k) { return step.arg[k] < 0 ? nullptr : reg[step.arg[k]]; };
      // The last step writes to y itself.
      const bool last = s + 1 == args.step_count;
      double* to = last && args.dtype == DType::f64 ? static_cast<double*>(args.y) + at : reg[step.result];
      function64(step.fn)(operand(0), operand(1), operand(2), to, n);
      if (last && args.dtype == DType::b8)
        for (int64_t i = 0; i < n; ++i) static_cast<uint8_t*>(args.y)[at + i] = to[i] != 0;
    }
  }
}

}  // namespace
}  // namespace maas
