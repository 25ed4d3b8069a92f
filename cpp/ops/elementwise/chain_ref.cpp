// The plain interpreter: every dtype, computing in double or int64.
#include <cmath>
#include <limits>

#include "core/element_io.h"
#include "ops/elementwise/chain_kernels.h"
#include "ops/elementwise/function_numbers.h"

namespace maas {
namespace {

// Integers wrap: they are combined as unsigned.
template <class T>
using Wrapping = std::conditional_t<std::is_integral_v<T>, uint64_t, T>;
template <class T>
T plus(T a, T b) {
  return static_cast<T>(static_cast<Wrapping<T>>(a) + static_cast<Wrapping<T>>(b));
}
template <class T>
T minus(T a, T b) {
  return static_cast<T>(static_cast<Wrapping<T>>(a) - static_cast<Wrapping<T>>(b));
}
template <class T>
T times(T a, T b) {
  return static_cast<T>(static_cast<Wrapping<T>>(a) * static_cast<Wrapping<T>>(b));
}
template <class T>
T negated(T a) {
  return static_cast<T>(-static_cast<Wrapping<T>>(a));
}
template <class T>
T absolute(T a) {
  if constexpr (std::is_unsigned_v<T>)
    return a;
  else if constexpr (std::is_integral_v<T>)
    return a < 0 ? negated(a) : a;
  else
    return std::fabs(a);
}
// fn of a float; an integer is whole already, and may not fit a double.
template <class T, class F>
T whole(T a, F fn) {
  if constexpr (std::is_integral_v<T>)
    return a;
  else
    return fn(a);
}

// Quotients by an integer 0 are 0. Of floats the quotient goes with the remainder: floor(1 / 0.1f) would be 10.
template <class T>
T floor_divide(T a, T b) {
  if constexpr (std::is_unsigned_v<T>) {
    return b == 0 ? 0 : a / b;
  } else if constexpr (std::is_integral_v<T>) {
    if (b == 0) return 0;
    if (b == -1) return negated(a);
    return a % b != 0 && ((a < 0) != (b < 0)) ? a / b - 1 : a / b;
  } else {
    if (b == 0) return a / b;
    const T m = std::fmod(a, b), q = (a - m) / b;
    return std::nearbyint(m != 0 && ((m < 0) != (b < 0)) ? q - 1 : q);
  }
}
template <class T>
T floor_mod(T a, T b) {
  if constexpr (std::is_integral_v<T>)
    return b == 0 ? 0 : minus(a, times(floor_divide(a, b), b));
  else
    return b == 0 ? std::numeric_limits<T>::quiet_NaN() : [&] {
      T m = std::fmod(a, b);
      return m != 0 && ((m < 0) != (b < 0)) ? m + b : m;
    }();
}
// Integers: by squaring; a negative exponent leaves what is left of 1 / a^|b| when its fraction is cut.
template <class T>
T power(T a, T b) {
  if constexpr (std::is_integral_v<T>) {
    if constexpr (std::is_signed_v<T>)
      if (b < 0) return a == 1 || (a == -1 && b % 2 == 0) ? 1 : a == -1 ? -1 : 0;
    T y = 1;
    for (; b; b >>= 1, a = times(a, a))
      if (b & 1) y = times(y, a);
    return y;
  } else {
    return std::pow(a, b);
  }
}
// A function of integers' bits; of a float, which has none here, NaN.
template <class T, class F>
T bits(T a, T b, F fn) {
  if constexpr (std::is_integral_v<T>)
    return static_cast<T>(fn(static_cast<int64_t>(a), static_cast<int64_t>(b)));
  else
    return std::numeric_limits<T>::quiet_NaN();
}
template <class T>
T nan_max(T a, T b) {
  return a != a ? a : b != b ? b : a > b ? a : b;
}
template <class T>
T nan_min(T a, T b) {
  return a != a ? a : b != b ? b : a < b ? a : b;
}
template <class T>
T rounded(T a, DType t) {
  if constexpr (std::is_integral_v<T>) {
    return a;
  } else {
    uint16_t bits;
    store_element(&bits, t, 0, a);
    return load_element<T>(&bits, t, 0);
  }
}
template <class T>
T sign(T a) {
  if constexpr (std::is_unsigned_v<T>)
    return T(a != 0);
  else
    return a != a || a == 0 ? a : T((a > 0) - (a < 0));
}
template <class T>
T is_infinite(T a) {
  if constexpr (std::is_integral_v<T>)
    return 0;
  else
    return std::isinf(a);
}
template <class T>
T is_finite(T a) {
  if constexpr (std::is_integral_v<T>)
    return 1;
  else
    return std::isfinite(a);
}
template <class T>
double sigmoid(T a) {
  return 1 / (1 + std::exp(-static_cast<double>(a)));
}
template <class T>
double softplus(T a) {
  const double x = static_cast<double>(a);
  return x != x ? x : (x > 0 ? x : 0) + std::log1p(std::exp(-std::fabs(x)));
}
// x times a probability that is 0 where x is far below 0: the limit there, also at -inf.
double gated(double x, double p) { return p == 0 ? -0.0 : x * p; }
template <class T>
double silu(T a) {
  return gated(static_cast<double>(a), sigmoid(a));
}
template <class T>
double gelu_erf(T a) {
  const double x = static_cast<double>(a);
  return gated(x, 0.5 * std::erfc(x * -0.70710678118654752));
}
template <class T>
double gelu_tanh(T a) {
  const double x = static_cast<double>(a);
  return gated(x, sigmoid(1.5957691216057308 * (x + 0.044715 * x * x * x)));  // (1 + tanh(u)) / 2 = sigmoid(2 u)
}

template <class T>
T evaluate(int fn, T a, T b, T c) {
  (void)b, (void)c;
  switch (fn) {
#define MAAS_FN(name, arity, kind, vector, scalar, ...) \
  case fn_##name:                                       \
    return static_cast<T>(scalar);
#include "ops/elementwise/functions.inc"
#undef MAAS_FN
  }
  return a;
}

template <class T>
void run(const ChainArgs& args, int64_t begin, int64_t end) {
  int64_t index[ChainArgs::max_rank], rest = begin;
  for (int d = args.rank; d-- > 0;) {
    index[d] = rest % args.shape[d];
    rest /= args.shape[d];
  }
  T reg[ChainArgs::max_inputs + ChainArgs::max_steps];
  for (int64_t e = begin; e < end; ++e) {
    for (int i = 0; i < args.inputs; ++i) {
      int64_t at = 0;
      for (int d = 0; d < args.rank; ++d) at += index[d] * args.in[i].strides[d];
      reg[i] = load_element<T>(args.in[i].data, args.in[i].dtype, at);
    }
    T y = reg[0];
    for (int s = 0; s < args.step_count; ++s) {
      const ChainStepArgs& step = args.steps[s];
      auto operand = [&](int k) { return step.arg[k] < 0 ? T(0) : reg[step.arg[k]]; };
      y = evaluate<T>(step.fn, operand(0), operand(1), operand(2));
      if (args.narrow) y = static_cast<T>(static_cast<float>(y));
      reg[step.result] = y;
    }
    store_element(args.y, args.dtype, e, y);
    for (int d = args.rank; d-- > 0;) {
      if (++index[d] < args.shape[d]) break;
      index[d] = 0;
    }
  }
}

}  // namespace

void chain_ref(const ChainArgs& args, int64_t begin, int64_t end, const Exec&) {
  const int64_t from = begin * ChainArgs::unit;
  const int64_t to = end * ChainArgs::unit < args.size ? end * ChainArgs::unit : args.size;
  bool longest = args.dtype == DType::u64;
  for (int i = 0; i < args.inputs; ++i) longest = longest || args.in[i].dtype == DType::u64;
  if (args.integers && longest)
    run<uint64_t>(args, from, to);
  else if (args.integers)
    run<int64_t>(args, from, to);
  else
    run<double>(args, from, to);
}

}  // namespace maas

namespace maas {

void chain_block_ref(const ChainStepArgs* steps, int count, float* const* reg, int64_t n) {
  for (int s = 0; s < count; ++s)
    for (int64_t i = 0; i < n; ++i) {
      auto operand = [&](int k) { return steps[s].arg[k] < 0 ? 0.0 : static_cast<double>(reg[steps[s].arg[k]][i]); };
      reg[steps[s].result][i] = static_cast<float>(evaluate<double>(steps[s].fn, operand(0), operand(1), operand(2)));
    }
}

}  // namespace maas
