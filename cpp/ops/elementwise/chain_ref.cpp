// The plain interpreter: every dtype, computing in double or int64.
#include <cmath>
#include <limits>

#include "core/half.h"
#include "ops/elementwise/chain_kernels.h"

namespace maas {
namespace {

template <class T>
T floor_divide(T a, T b) {
  if constexpr (std::is_integral_v<T>) {
    if (b == 0) return 0;
    const T q = b == -1 ? static_cast<T>(-static_cast<uint64_t>(a)) : a / b;
    return b != -1 && a % b != 0 && ((a < 0) != (b < 0)) ? q - 1 : q;
  } else {
    return std::floor(a / b);
  }
}
template <class T>
T floor_mod(T a, T b) {
  if constexpr (std::is_integral_v<T>)
    return b == 0 ? 0 : a - floor_divide(a, b) * b;
  else
    return b == 0 ? std::numeric_limits<T>::quiet_NaN() : [&] {
      T m = std::fmod(a, b);
      return m != 0 && ((m < 0) != (b < 0)) ? m + b : m;
    }();
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
T sign(T a) {
  return a != a ? a : T((a > 0) - (a < 0));
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
template <class T>
double gelu_erf(T a) {
  return 0.5 * a * (1 + std::erf(a * 0.70710678118654752));
}
template <class T>
double gelu_tanh(T a) {
  const double x = static_cast<double>(a);
  return 0.5 * x * (1 + std::tanh(0.79788456080286536 * (x + 0.044715 * x * x * x)));
}

template <class T>
T evaluate(int fn, T a, T b, T c) {
  (void)b, (void)c;
  enum {
#define MAAS_FN(name, ...) fn_##name,
#include "ops/elementwise/functions.inc"
#undef MAAS_FN
  };
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
T load(const void* p, DType t, int64_t i) {
  switch (t) {
    case DType::f64:
      return static_cast<T>(static_cast<const double*>(p)[i]);
    case DType::f32:
      return static_cast<T>(static_cast<const float*>(p)[i]);
    case DType::bf16:
      return static_cast<T>(bf16_to_f32(static_cast<const uint16_t*>(p)[i]));
    case DType::f16:
      return static_cast<T>(f16_to_f32(static_cast<const uint16_t*>(p)[i]));
    case DType::i8:
      return static_cast<T>(static_cast<const int8_t*>(p)[i]);
    case DType::u8:
      return static_cast<T>(static_cast<const uint8_t*>(p)[i]);
    case DType::i16:
      return static_cast<T>(static_cast<const int16_t*>(p)[i]);
    case DType::i32:
      return static_cast<T>(static_cast<const int32_t*>(p)[i]);
    case DType::i64:
      return static_cast<T>(static_cast<const int64_t*>(p)[i]);
    case DType::u32:
      return static_cast<T>(static_cast<const uint32_t*>(p)[i]);
    case DType::b8:
      return static_cast<T>(static_cast<const uint8_t*>(p)[i] != 0);
    default:
      return T(0);
  }
}

// Out of range saturates and NaN becomes 0, so that no value is undefined behaviour.
template <class I, class T>
I to_integer(T v) {
  if constexpr (std::is_floating_point_v<T>) {
    if (v != v) return 0;
    if (v >= static_cast<T>(std::numeric_limits<I>::max())) return std::numeric_limits<I>::max();
    if (v <= static_cast<T>(std::numeric_limits<I>::min())) return std::numeric_limits<I>::min();
  }
  return static_cast<I>(v);
}

template <class T>
void store(void* p, DType t, int64_t i, T v) {
  switch (t) {
    case DType::f64:
      static_cast<double*>(p)[i] = static_cast<double>(v);
      return;
    case DType::f32:
      static_cast<float*>(p)[i] = static_cast<float>(v);
      return;
    case DType::bf16:
      static_cast<uint16_t*>(p)[i] = f32_to_bf16(static_cast<float>(v));
      return;
    case DType::f16:
      static_cast<uint16_t*>(p)[i] = f32_to_f16(static_cast<float>(v));
      return;
    case DType::i8:
      static_cast<int8_t*>(p)[i] = to_integer<int8_t>(v);
      return;
    case DType::u8:
      static_cast<uint8_t*>(p)[i] = to_integer<uint8_t>(v);
      return;
    case DType::i16:
      static_cast<int16_t*>(p)[i] = to_integer<int16_t>(v);
      return;
    case DType::i32:
      static_cast<int32_t*>(p)[i] = to_integer<int32_t>(v);
      return;
    case DType::i64:
      static_cast<int64_t*>(p)[i] = to_integer<int64_t>(v);
      return;
    case DType::u32:
      static_cast<uint32_t*>(p)[i] = to_integer<uint32_t>(v);
      return;
    case DType::b8:
      static_cast<uint8_t*>(p)[i] = v != 0;
      return;
    default:
      return;
  }
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
      reg[i] = load<T>(args.in[i].data, args.in[i].dtype, at);
    }
    T y = reg[0];
    for (int s = 0; s < args.step_count; ++s) {
      const ChainStepArgs& step = args.steps[s];
      auto operand = [&](int k) { return step.arg[k] < 0 ? T(0) : reg[step.arg[k]]; };
      y = evaluate<T>(step.fn, operand(0), operand(1), operand(2));
      if (args.narrow) y = static_cast<T>(static_cast<float>(y));
      reg[step.result] = y;
    }
    store(args.y, args.dtype, e, y);
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
  if (args.integers)
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
