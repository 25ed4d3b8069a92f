// Every primitive of cpp/simd behind extern "C", compiled once per ISA and called from test_simd.py.
#include "simd/isa.h"

namespace {
using namespace maas::simd;
const float two = 2.f;

template <class F>
void run(bool flush, F&& fn) {  // FTZ and DAZ, as the executor sets them
  const unsigned saved = _mm_getcsr();
  _mm_setcsr(flush ? saved | 0x8040 : saved);
  fn();
  _mm_setcsr(saved);
}
}  // namespace

extern "C" {

#define SIMD_1(NAME, ORACLE)                                                          \
  void simd_##NAME(const float* x, const float*, float* out, int64_t n, bool flush) { \
    run(flush, [&] { map<V>(x, out, n, 0.f, [](V a) { return NAME(a); }); });         \
  }
#define SIMD_2(NAME, ORACLE)                                                              \
  void simd_##NAME(const float* x, const float* y, float* out, int64_t n, bool flush) {   \
    run(flush, [&] { map2<V>(x, y, out, n, 0.f, [](V a, V b) { return NAME(a, b); }); }); \
  }
#include "functions.inc"

#define BINARY(NAME, EXPRESSION)                                                                           \
  void simd_##NAME(const float* x, const float* y, float* out, int64_t n, bool flush) {                    \
    run(flush, [&] { map2<V>(x, y, out, n, 0.f, [](V a, [[maybe_unused]] V b) { return EXPRESSION; }); }); \
  }
BINARY(add, a + b)
BINARY(sub, a - b)
BINARY(mul, a* b)
BINARY(div, a / b)
BINARY(neg, -a)
BINARY(min, min(a, b))
BINARY(max, max(a, b))
BINARY(fma, fma(a, b, a))
BINARY(fms, fms(a, b, a))
BINARY(fnma, fnma(a, b, a))
BINARY(broadcast_fma, broadcast_fma(a, &two, b))
BINARY(ldexp, ldexp(select(abs(a) < V(0x1p-60f), V(1.5f), select(abs(a) > V(0x1p60f), V(-1.25f), a)),
                    min(max(round(b), V(-250.f)), V(250.f))))
BINARY(and, a& b)
BINARY(or, a | b)
BINARY(xor, a ^ b)
BINARY(eq, select(a == b, V(1.f), V(0.f)))
BINARY(ne, select(a != b, V(1.f), V(0.f)))
BINARY(lt, select(a < b, V(1.f), V(0.f)))
BINARY(le, select(a <= b, V(1.f), V(0.f)))
BINARY(gt, select(a > b, V(1.f), V(0.f)))
BINARY(ge, select(a >= b, V(1.f), V(0.f)))
BINARY(isnan, select(isnan(a), V(1.f), V(0.f)))
BINARY(trunc_to_int, as_float(trunc_to_int(a)))
BINARY(round_to_int, as_float(round_to_int(a)))
BINARY(saturated, as_float(a.saturated()))
BINARY(to_float, to_float(as_int(a)))
BINARY(iadd, as_float(as_int(a) + as_int(b)))
BINARY(isub, as_float(as_int(a) - as_int(b)))
BINARY(imul, as_float(as_int(a) * as_int(b)))
BINARY(iand, as_float(as_int(a) & as_int(b)))
BINARY(ior, as_float(as_int(a) | as_int(b)))
BINARY(ixor, as_float(as_int(a) ^ as_int(b)))
BINARY(imin, as_float(min(as_int(a), as_int(b))))
BINARY(imax, as_float(max(as_int(a), as_int(b))))
BINARY(shl, as_float(shl<5>(as_int(a))))
BINARY(shr, as_float(shr<5>(as_int(a))))
BINARY(shr_logical, as_float(shr_logical<5>(as_int(a))))
BINARY(ieq, select(as_int(a) == as_int(b), V(1.f), V(0.f)))
BINARY(ine, select(as_int(a) != as_int(b), V(1.f), V(0.f)))
BINARY(ilt, select(as_int(a) < as_int(b), V(1.f), V(0.f)))
BINARY(ile, select(as_int(a) <= as_int(b), V(1.f), V(0.f)))
BINARY(igt, select(as_int(a) > as_int(b), V(1.f), V(0.f)))
BINARY(ige, select(as_int(a) >= as_int(b), V(1.f), V(0.f)))
BINARY(masks, as_float(select((a < b) | (~(a > V(0.f)) ^ ((b < V(1.f)) & (a == a))), as_int(a), I::iota())))

// n <= 16 lanes of any storage type to float and back; n == 16 goes through Full.
#define STORAGE(NAME, T)                                                         \
  void load_##NAME(const T* p, int64_t n, float fill, float* out) {              \
    (n == 16 ? V::load(p, Full{}, fill) : V::load(p, Tail(n), fill)).store(out); \
  }                                                                              \
  void store_##NAME(const float* x, T* p, int64_t n) {                           \
    n == 16 ? V::load(x).store(p, Full{}) : V::load(x).store(p, Tail(n));        \
  }
STORAGE(float32, float)
STORAGE(bfloat16, bf16)
STORAGE(float16, f16)
STORAGE(float64, double)
STORAGE(int8, int8_t)
STORAGE(uint8, uint8_t)
STORAGE(int32, int32_t)
STORAGE(int64, int64_t)
STORAGE(bool, bool)
#define INTEGER(NAME, T)                                                         \
  void iload_##NAME(const T* p, int64_t n, int32_t fill, int32_t* out) {         \
    (n == 16 ? I::load(p, Full{}, fill) : I::load(p, Tail(n), fill)).store(out); \
  }                                                                              \
  void istore_##NAME(const int32_t* x, T* p, int64_t n) {                        \
    n == 16 ? I::load(x).store(p, Full{}) : I::load(x).store(p, Tail(n));        \
  }
INTEGER(int8, int8_t)
INTEGER(uint8, uint8_t)
INTEGER(int32, int32_t)
INTEGER(int64, int64_t)

uint32_t mask_round_trip(const bool* p, bool* q, int64_t n) {
  const Mask m = n == 16 ? Mask::load(p, Full{}) : Mask::load(p, Tail(n));
  n == 16 ? m.store(q, Full{}) : m.store(q, Tail(n));
  const bool consistent = any(m) == (m.bits() != 0) && all(m) == (m.bits() == 0xffff);
  return consistent && Mask::from_bits(m.bits()).bits() == m.bits() ? m.bits() : 0x10000;
}
uint32_t mask_of_tail(int64_t n) { return Mask(Tail(n)).bits(); }
void gather(const float* base, const int32_t* index, float* out) { V::gather(base, I::load(index)).store(out); }
void gather_some(const float* base, const int32_t* index, uint32_t mask, float* out) {
  V::gather(base, I::load(index), Mask::from_bits(mask), V(7.f)).store(out);
}
void transpose16(float* x) {
  Block<V, 16> block;
  block.load(x);
  transpose(block.v);
  block.store(x);
}
void reduce(const float* x, int64_t n, float* out) {
  out[0] = sum_all<V>(x, n);
  out[1] = max_all<V>(x, n);
  out[2] = min_all<V>(x, n);
  const V head = V::load(x, Tail(n < 16 ? n : 16), 1.f);
  out[3] = prod_lanes(head);
  out[4] = first(head);
}
// Counts the elements that for_each_vector hands out, one by one.
void visit(int32_t* count, int64_t n) {
  for_each_vector<V>(n, [&](int64_t i, auto tail) { (I::load(count + i, tail, 0) + I(1)).store(count + i, tail); });
}
}
