#pragma once
// The chain interpreter over 16-lane vectors. Blocks of 512 elements sit in L1; each step is one loop over its
// registers.
#include "ops/elementwise/chain_kernels.h"
#include "ops/elementwise/function_numbers.h"
#include "simd/isa.h"

namespace maas {
namespace {

using simd::Mask;
using simd::V;

MAAS_INLINE V truth(Mask m) { return select(m, V(1.f), V(0.f)); }
MAAS_INLINE V sign(V a) { return select(abs(a) > V(0.f), copysign(V(1.f), a), a); }  // keeps NaN and the zero's sign

MAAS_INLINE V no_bits(V) { return V(simd::kNan); }  // bitwise functions are of integers, which run plainly

// a - trunc(a / b) b without rounding: every round takes the next 24 bits of the quotient, exactly. At most 12 rounds.
MAAS_INLINE V remainder(V a, V b) {
  const V size = abs(b);
  const Mask valid = Mask(abs(a) < V(simd::kInf)) & (size > V(0.f));
  V r = a;
  for (int round = 0; round < 16; ++round) {
    const Mask more = Mask(abs(r) >= size) & valid;
    if (!any(more)) break;
    // Where the quotient would overflow, that of a larger divisor comes first.
    const V divisor = select(abs(r) * V(0x1p-126f) > size, size * V(0x1p126f), size);
    r = select(more, fnma(trunc(r / divisor), divisor, r), r);
  }
  // A quotient rounded up to an integer went one too far.
  const Mask beyond = Mask(r != V(0.f)) & ((r < V(0.f)) ^ (a < V(0.f)));
  return select(valid, select(beyond, r + copysign(size, a), r), V(simd::kNan));
}
// Python's % and //, which go together: the remainder has the sign of b.
MAAS_INLINE Mask other_sign(V m, V b) { return Mask(m != V(0.f)) & ((m < V(0.f)) ^ (b < V(0.f))); }
MAAS_INLINE V floor_mod(V a, V b) {
  const V m = remainder(a, b);
  return select(other_sign(m, b), m + b, m);
}
MAAS_INLINE V floor_divide(V a, V b) {
  const V m = remainder(a, b), q = (a - m) / b;
  return select(Mask(b == V(0.f)), a / b, round(select(other_sign(m, b), q - V(1.f), q)));
}

// To nearest even in a narrower storage type, and back.
template <class T>
MAAS_INLINE V round_through(V a) {
  T bits[simd::kLanes];
  a.store(bits);
  return V::load(bits);
}

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

// n elements of any storage type, as floats and back.
template <class T>
void widen(const void* x, float* y, int64_t n) {
  simd::map<V>(static_cast<const T*>(x), y, n, 0.f, [](V v) __attribute__((always_inline)) { return v; });
}
template <class T>
void narrow(const float* x, void* y, int64_t n) {
  simd::map<V>(x, static_cast<T*>(y), n, 0.f, [](V v) __attribute__((always_inline)) { return v; });
}
void widen_bools(const void* x, float* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = static_cast<const uint8_t*>(x)[i] ? 1.f : 0.f;
}
struct Storage {
  int64_t bytes;
  void (*widen)(const void* x, float* y, int64_t n);
  void (*narrow)(const float* x, void* y, int64_t n);
};
template <class T>
constexpr Storage kStorage{sizeof(T), widen<T>, narrow<T>};
MAAS_INLINE Storage storage(DType t) {
  switch (t) {
    case DType::b8:
      return {1, widen_bools, narrow<bool>};
    case DType::bf16:
      return kStorage<simd::bf16>;
    case DType::f16:
      return kStorage<simd::f16>;
    case DType::i8:
      return kStorage<int8_t>;
    case DType::u8:
      return kStorage<uint8_t>;
    case DType::i32:
      return kStorage<int32_t>;
    case DType::i64:
      return kStorage<int64_t>;
    case DType::f64:
      return kStorage<double>;
    case DType::i16:
    case DType::u16:
      return {2, nullptr, nullptr};  // only moved
    case DType::u32:
      return {4, nullptr, nullptr};
    case DType::u64:
      return {8, nullptr, nullptr};
    case DType::f8:
    case DType::f8e5:
      return {1, nullptr, nullptr};
    default:
      return kStorage<float>;
  }
}

// n elements of a broadcast or strided operand from flat position `at` of the result. T: any type of their size.
template <class T>
void gather(const ChainArgs& args, const ChainInput& in, int64_t at, T* y, int64_t n) {
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
      const T v = from[0];
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

void gather(const ChainArgs& args, const ChainInput& in, int64_t at, int64_t bytes, void* y, int64_t n) {
  if (bytes == 1) gather(args, in, at, static_cast<uint8_t*>(y), n);
  if (bytes == 2) gather(args, in, at, static_cast<uint16_t*>(y), n);
  if (bytes == 4) gather(args, in, at, static_cast<float*>(y), n);
  if (bytes == 8) gather(args, in, at, static_cast<double*>(y), n);
}

// y = x of 4-byte elements with the last two axes in the other order in memory, for elements [at, stop) of y: 16 x 16
// at a time where 16 rows of y lie inside. The lines of x that a column of blocks reads are then read once.
void transposed_move(const ChainArgs& args, int64_t at, int64_t stop) {
  const ChainInput& in = args.in[0];
  float* y = static_cast<float*>(args.y);
  const int last = args.rank - 1;
  const int64_t columns = args.shape[last], rows = args.shape[last - 1], step = in.strides[last];
  while (at < stop) {
    const int64_t row = at / columns, i = row % rows;
    if (at % columns || i + simd::kLanes > rows || at + simd::kLanes * columns > stop) {
      const int64_t rest = columns - at % columns, n = rest < stop - at ? rest : stop - at;
      gather(args, in, at, y + at, n);
      at += n;
      continue;
    }
    int64_t offset = i, outer = row / rows;
    for (int d = last - 1; d-- > 0; outer /= args.shape[d]) offset += outer % args.shape[d] * in.strides[d];
    const float* x = static_cast<const float*>(in.data) + offset;
    int64_t j = 0;
    for (; j + simd::kLanes <= columns; j += simd::kLanes) {
      V block[simd::kLanes];
      MAAS_UNROLL for (int k = 0; k < simd::kLanes; ++k) block[k] = V::load(x + (j + k) * step);
      transpose(block);
      MAAS_UNROLL for (int k = 0; k < simd::kLanes; ++k) block[k].store(y + at + k * columns + j);
    }
    for (; j < columns; ++j)
      for (int k = 0; k < simd::kLanes; ++k) y[at + k * columns + j] = x[j * step + k];
    at += simd::kLanes * columns;
  }
}

// y = x in the same dtype: bytes move as they are.
void run_move(const ChainArgs& args, int64_t begin, int64_t end) {
  const ChainInput& in = args.in[0];
  const int64_t bytes = storage(args.dtype).bytes, at = begin * ChainArgs::unit;
  const int64_t stop = end * ChainArgs::unit < args.size ? end * ChainArgs::unit : args.size;
  if (at >= stop) return;
  char* y = static_cast<char*>(args.y) + at * bytes;
  const int last = args.rank - 1;
  if (in.mode == ChainInput::dense)
    __builtin_memmove(y, static_cast<const char*>(in.data) + at * bytes, static_cast<size_t>((stop - at) * bytes));
  else if (bytes == 4 && last > 0 && in.strides[last - 1] == 1 && in.strides[last] > 1)
    transposed_move(args, at, stop);
  else
    gather(args, in, at, bytes, y, stop - at);
}

void run_chain(const ChainArgs& args, int64_t begin, int64_t end, const Exec& exec) {
  if (args.step_count == 1 && args.steps[0].fn == fn_identity && args.in[0].dtype == args.dtype)
    return run_move(args, begin, end);
  float* registers = static_cast<float*>(exec.scratch);
  void* raw = registers + args.registers * ChainArgs::block;  // a block as it is stored
  float* reg[ChainArgs::max_inputs + ChainArgs::max_steps];
  Storage stored[ChainArgs::max_inputs];
  for (int r = 0; r < args.registers; ++r) reg[r] = registers + r * ChainArgs::block;
  for (int i = 0; i < args.inputs; ++i) {
    stored[i] = storage(args.in[i].dtype);
    if (args.in[i].mode != ChainInput::scalar) continue;
    stored[i].widen(args.in[i].data, reg[i], 1);
    for (int64_t j = 1; j < ChainArgs::block; ++j) reg[i][j] = reg[i][0];
  }
  const Storage result = storage(args.dtype);
  const int64_t stop = end * ChainArgs::unit < args.size ? end * ChainArgs::unit : args.size;
  for (int64_t at = begin * ChainArgs::unit; at < stop; at += ChainArgs::block) {
    const int64_t n = stop - at < ChainArgs::block ? stop - at : ChainArgs::block;
    for (int i = 0; i < args.inputs; ++i) {
      const ChainInput& in = args.in[i];
      if (in.mode == ChainInput::scalar) continue;
      const bool is_float = in.dtype == DType::f32;
      const void* from = static_cast<const char*>(in.data) + at * stored[i].bytes;
      if (in.mode == ChainInput::gather) {
        from = is_float ? reg[i] : raw;
        gather(args, in, at, stored[i].bytes, const_cast<void*>(from), n);
      }
      if (!is_float)
        stored[i].widen(from, reg[i], n);
      else if (in.mode == ChainInput::dense)
        reg[i] = const_cast<float*>(static_cast<const float*>(from));
    }
    // The last step writes to y itself.
    const int last = args.step_count - 1;
    const ChainStepArgs& step = args.steps[last];
    char* to = static_cast<char*>(args.y) + at * result.bytes;
    float* y = args.dtype == DType::f32 ? reinterpret_cast<float*>(to) : reg[step.result];
    chain_block(args.steps, last, reg, n);
    kFunctions[step.fn](reg[step.arg[0]], step.arg[1] < 0 ? nullptr : reg[step.arg[1]],
                        step.arg[2] < 0 ? nullptr : reg[step.arg[2]], y, n);
    if (args.dtype != DType::f32) result.narrow(y, to, n);
  }
}

}  // namespace
}  // namespace maas
