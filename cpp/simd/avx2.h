// 16 float32 lanes in two ymm registers: a holds lanes 0-7, b lanes 8-15. Needs AVX2, FMA and F16C.
// Same interface and same bits as avx512.h.
#pragma once
#include "simd/base.h"

namespace maas::simd::avx2 {
namespace {

struct Tail {  // the first n lanes, 0 <= n <= 16
  __m256i a, b;
  int n;
  MAAS_MEMBER explicit Tail(int64_t count) : n(static_cast<int>(count)) {
    const __m256i limit = _mm256_set1_epi32(n);
    a = _mm256_cmpgt_epi32(limit, _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    b = _mm256_cmpgt_epi32(limit, _mm256_setr_epi32(8, 9, 10, 11, 12, 13, 14, 15));
  }
};

// AVX2 masks only 4 and 8 byte elements: the other types pass a tail through a buffer of 16.
template <class T>
struct Buffer {
  alignas(32) T data[16];
  MAAS_MEMBER Buffer() {}
  MAAS_MEMBER Buffer(const T* p, Tail t) {
    memset(static_cast<void*>(data), 0, sizeof(data));
    memcpy(static_cast<void*>(data), p, static_cast<size_t>(t.n) * sizeof(T));
  }
  MAAS_MEMBER void copy_to(T* p, Tail t) const {
    memcpy(static_cast<void*>(p), data, static_cast<size_t>(t.n) * sizeof(T));
  }
};

MAAS_INLINE __m128i load128(const void* p) { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }
MAAS_INLINE __m256i load256(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
MAAS_INLINE void store128(void* p, __m128i x) { _mm_storeu_si128(static_cast<__m128i*>(p), x); }
MAAS_INLINE void store256(void* p, __m256i x) { _mm256_storeu_si256(static_cast<__m256i*>(p), x); }
MAAS_INLINE __m128i high_half(__m128i x) { return _mm_srli_si128(x, 8); }
MAAS_INLINE __m128i low4(__m256i x) { return _mm256_castsi256_si128(x); }
MAAS_INLINE __m128i high4(__m256i x) { return _mm256_extracti128_si256(x, 1); }

struct Mask : Adl {  // all bits of a lane are equal
  __m256 a, b;
  Mask() = default;
  MAAS_MEMBER Mask(__m256 x, __m256 y) : a(x), b(y) {}
  MAAS_MEMBER Mask(__m256i x, __m256i y) : a(_mm256_castsi256_ps(x)), b(_mm256_castsi256_ps(y)) {}
  MAAS_MEMBER Mask(Tail t) : Mask(t.a, t.b) {}
  MAAS_MEMBER static Mask from_bits(uint32_t bits) {
    const __m256i x = _mm256_set1_epi32(static_cast<int>(bits));
    const __m256i l = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128), h = _mm256_slli_epi32(l, 8);
    return Mask(_mm256_cmpeq_epi32(_mm256_and_si256(x, l), l), _mm256_cmpeq_epi32(_mm256_and_si256(x, h), h));
  }
  MAAS_MEMBER uint32_t bits() const {  // bit i = lane i
    return static_cast<uint32_t>(_mm256_movemask_ps(a)) | static_cast<uint32_t>(_mm256_movemask_ps(b)) << 8;
  }
  MAAS_MEMBER bool any() const { return bits() != 0; }
  MAAS_MEMBER bool all() const { return bits() == 0xffff; }
  MAAS_MEMBER static Mask load(const bool* p) {
    const __m128i x = load128(p);
    const __m256i zero = _mm256_setzero_si256();
    return Mask(_mm256_cmpgt_epi32(_mm256_cvtepu8_epi32(x), zero),
                _mm256_cmpgt_epi32(_mm256_cvtepu8_epi32(high_half(x)), zero));
  }
  MAAS_MEMBER static Mask load(const bool* p, Tail t) { return load(Buffer<bool>(p, t).data); }
  MAAS_MEMBER static Mask load(const bool* p, Full) { return load(p); }
  MAAS_MEMBER void store(bool* p) const {
    const __m256i x = _mm256_castps_si256(a), y = _mm256_castps_si256(b);
    const __m128i bytes = _mm_packs_epi16(_mm_packs_epi32(low4(x), high4(x)), _mm_packs_epi32(low4(y), high4(y)));
    store128(p, _mm_and_si128(bytes, _mm_set1_epi8(1)));
  }
  MAAS_MEMBER void store(bool* p, Tail t) const {
    Buffer<bool> buffer;
    store(buffer.data);
    buffer.copy_to(p, t);
  }
  MAAS_MEMBER void store(bool* p, Full) const { store(p); }
};
MAAS_INLINE Mask operator&(Mask x, Mask y) { return Mask(_mm256_and_ps(x.a, y.a), _mm256_and_ps(x.b, y.b)); }
MAAS_INLINE Mask operator|(Mask x, Mask y) { return Mask(_mm256_or_ps(x.a, y.a), _mm256_or_ps(x.b, y.b)); }
MAAS_INLINE Mask operator^(Mask x, Mask y) { return Mask(_mm256_xor_ps(x.a, y.a), _mm256_xor_ps(x.b, y.b)); }
MAAS_INLINE Mask operator~(Mask x) {
  const __m256 ones = _mm256_castsi256_ps(_mm256_set1_epi32(-1));
  return Mask(_mm256_xor_ps(x.a, ones), _mm256_xor_ps(x.b, ones));
}
MAAS_INLINE bool any(Mask m) { return m.any(); }
MAAS_INLINE bool all(Mask m) { return m.all(); }

struct I32 : Adl {
  using Mask = avx2::Mask;
  __m256i a, b;
  I32() = default;
  MAAS_MEMBER I32(__m256i x, __m256i y) : a(x), b(y) {}
  MAAS_MEMBER I32(int32_t x) : a(_mm256_set1_epi32(x)), b(a) {}
  MAAS_MEMBER static I32 iota() {
    return I32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_setr_epi32(8, 9, 10, 11, 12, 13, 14, 15));
  }
  MAAS_MEMBER static I32 load(const int32_t* p) { return I32(load256(p), load256(p + 8)); }
  MAAS_MEMBER static I32 load(const int32_t* p, Tail t, int32_t fill) {
    return filled(t, I32(_mm256_maskload_epi32(p, t.a), _mm256_maskload_epi32(p + 8, t.b)), fill);
  }
  MAAS_MEMBER static I32 load(const int8_t* p) {
    const __m128i x = load128(p);
    return I32(_mm256_cvtepi8_epi32(x), _mm256_cvtepi8_epi32(high_half(x)));
  }
  MAAS_MEMBER static I32 load(const uint8_t* p) {
    const __m128i x = load128(p);
    return I32(_mm256_cvtepu8_epi32(x), _mm256_cvtepu8_epi32(high_half(x)));
  }
  MAAS_MEMBER static I32 load(const int64_t* p) {
    return I32(low_words(load256(p), load256(p + 4)), low_words(load256(p + 8), load256(p + 12)));
  }
  template <class T>
  MAAS_MEMBER static I32 load(const T* p, Tail t, int32_t fill) {
    return filled(t, load(Buffer<T>(p, t).data), fill);
  }
  template <class T>
  MAAS_MEMBER static I32 load(const T* p, Full, int32_t) {
    return load(p);
  }
  MAAS_MEMBER void store(int32_t* p) const {
    store256(p, a);
    store256(p + 8, b);
  }
  MAAS_MEMBER void store(int32_t* p, Tail t) const {
    _mm256_maskstore_epi32(p, t.a, a);
    _mm256_maskstore_epi32(p + 8, t.b, b);
  }
  MAAS_MEMBER void store(int8_t* p) const {
    store128(p, _mm_packs_epi16(_mm_packs_epi32(low4(a), high4(a)), _mm_packs_epi32(low4(b), high4(b))));
  }
  MAAS_MEMBER void store(uint8_t* p) const {
    store128(p, _mm_packus_epi16(_mm_packs_epi32(low4(a), high4(a)), _mm_packs_epi32(low4(b), high4(b))));
  }
  MAAS_MEMBER void store(int64_t* p) const {
    store256(p, _mm256_cvtepi32_epi64(low4(a)));
    store256(p + 4, _mm256_cvtepi32_epi64(high4(a)));
    store256(p + 8, _mm256_cvtepi32_epi64(low4(b)));
    store256(p + 12, _mm256_cvtepi32_epi64(high4(b)));
  }
  template <class T>
  MAAS_MEMBER void store(T* p, Tail t) const {
    Buffer<T> buffer;
    store(buffer.data);
    buffer.copy_to(p, t);
  }
  template <class T>
  MAAS_MEMBER void store(T* p, Full) const {
    store(p);
  }

 private:
  MAAS_MEMBER static I32 filled(Tail t, I32 x, int32_t fill) {
    const __m256i f = _mm256_set1_epi32(fill);
    return I32(_mm256_blendv_epi8(f, x.a, t.a), _mm256_blendv_epi8(f, x.b, t.b));
  }
  MAAS_MEMBER static __m256i low_words(__m256i x, __m256i y) {
    const __m256 even = _mm256_shuffle_ps(_mm256_castsi256_ps(x), _mm256_castsi256_ps(y), 0x88);
    return _mm256_permute4x64_epi64(_mm256_castps_si256(even), 0xd8);
  }
};
#define MAAS_AVX2_I32(NAME, INTRINSIC) \
  MAAS_INLINE I32 NAME(I32 x, I32 y) { return I32(INTRINSIC(x.a, y.a), INTRINSIC(x.b, y.b)); }
MAAS_AVX2_I32(operator+, _mm256_add_epi32)
MAAS_AVX2_I32(operator-, _mm256_sub_epi32)
MAAS_AVX2_I32(operator*, _mm256_mullo_epi32)
MAAS_AVX2_I32(operator&, _mm256_and_si256)
MAAS_AVX2_I32(operator|, _mm256_or_si256)
MAAS_AVX2_I32(operator^, _mm256_xor_si256)
MAAS_AVX2_I32(min, _mm256_min_epi32)
MAAS_AVX2_I32(max, _mm256_max_epi32)
#undef MAAS_AVX2_I32
MAAS_INLINE Mask operator==(I32 x, I32 y) { return Mask(_mm256_cmpeq_epi32(x.a, y.a), _mm256_cmpeq_epi32(x.b, y.b)); }
MAAS_INLINE Mask operator>(I32 x, I32 y) { return Mask(_mm256_cmpgt_epi32(x.a, y.a), _mm256_cmpgt_epi32(x.b, y.b)); }
MAAS_INLINE Mask operator!=(I32 x, I32 y) { return ~(x == y); }
MAAS_INLINE Mask operator<(I32 x, I32 y) { return y > x; }
MAAS_INLINE Mask operator>=(I32 x, I32 y) { return ~(y > x); }
MAAS_INLINE Mask operator<=(I32 x, I32 y) { return ~(x > y); }
MAAS_INLINE I32 select(Mask m, I32 x, I32 y) {
  return I32(_mm256_blendv_epi8(y.a, x.a, _mm256_castps_si256(m.a)),
             _mm256_blendv_epi8(y.b, x.b, _mm256_castps_si256(m.b)));
}
template <int N>
MAAS_INLINE I32 shl(I32 x) {
  return I32(_mm256_slli_epi32(x.a, N), _mm256_slli_epi32(x.b, N));
}
template <int N>
MAAS_INLINE I32 shr(I32 x) {  // keeps the sign
  return I32(_mm256_srai_epi32(x.a, N), _mm256_srai_epi32(x.b, N));
}
template <int N>
MAAS_INLINE I32 shr_logical(I32 x) {
  return I32(_mm256_srli_epi32(x.a, N), _mm256_srli_epi32(x.b, N));
}

struct F32 : Adl {
  using Mask = avx2::Mask;
  using I32 = avx2::I32;
  using Tail = avx2::Tail;
  static constexpr int kRegisters = 8;  // how many F32 the register file holds
  __m256 a, b;
  F32() = default;
  MAAS_MEMBER F32(__m256 x, __m256 y) : a(x), b(y) {}
  MAAS_MEMBER F32(float x) : a(_mm256_set1_ps(x)), b(a) {}
  MAAS_MEMBER __m256 low() const { return a; }   // lanes 0-7
  MAAS_MEMBER __m256 high() const { return b; }  // lanes 8-15

  MAAS_MEMBER static F32 load(const float* p) { return F32(_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)); }
  MAAS_MEMBER static F32 load(const float* p, Tail t, float fill) {
    return filled(t, F32(_mm256_maskload_ps(p, t.a), _mm256_maskload_ps(p + 8, t.b)), fill);
  }
  MAAS_MEMBER static F32 load(const bf16* p) { return F32(widen(load128(p)), widen(load128(p + 8))); }
  MAAS_MEMBER static F32 load(const f16* p) {
    return F32(_mm256_cvtph_ps(load128(p)), _mm256_cvtph_ps(load128(p + 8)));
  }
  MAAS_MEMBER static F32 load(const int32_t* p) { return from(I32::load(p)); }
  MAAS_MEMBER static F32 load(const int8_t* p) { return from(I32::load(p)); }
  MAAS_MEMBER static F32 load(const uint8_t* p) { return from(I32::load(p)); }
  MAAS_MEMBER static F32 load(const bool* p) { return from(I32::load(reinterpret_cast<const uint8_t*>(p))); }
  MAAS_MEMBER static F32 load(const int64_t* p) {  // AVX2 has no such conversion: lane by lane
    alignas(32) float y[16];
    for (int i = 0; i < 16; i++) y[i] = static_cast<float>(p[i]);
    return load(y);
  }
  MAAS_MEMBER static F32 load(const double* p) { return F32(narrow(p), narrow(p + 8)); }
  template <class T>
  MAAS_MEMBER static F32 load(const T* p, Tail t, float fill) {
    return filled(t, load(Buffer<T>(p, t).data), fill);
  }
  template <class T>
  MAAS_MEMBER static F32 load(const T* p, Full, float) {
    return load(p);
  }
  MAAS_MEMBER static F32 gather(const float* base, I32 index) {
    return F32(_mm256_i32gather_ps(base, index.a, 4), _mm256_i32gather_ps(base, index.b, 4));
  }
  MAAS_MEMBER static F32 gather(const float* base, I32 index, Mask m, F32 fill) {
    return F32(_mm256_mask_i32gather_ps(fill.a, base, index.a, m.a, 4),
               _mm256_mask_i32gather_ps(fill.b, base, index.b, m.b, 4));
  }

  MAAS_MEMBER void store(float* p) const {
    _mm256_storeu_ps(p, a);
    _mm256_storeu_ps(p + 8, b);
  }
  MAAS_MEMBER void store(float* p, Tail t) const {
    _mm256_maskstore_ps(p, t.a, a);
    _mm256_maskstore_ps(p + 8, t.b, b);
  }
  MAAS_MEMBER void store(bf16* p) const {
    const __m256i both = _mm256_packus_epi32(to_bf16(a), to_bf16(b));
    store256(p, _mm256_permute4x64_epi64(both, 0xd8));
  }
  MAAS_MEMBER void store(f16* p) const {
    store128(p, _mm256_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
    store128(p + 8, _mm256_cvtps_ph(b, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }
  MAAS_MEMBER void store(int32_t* p) const { saturated().store(p); }
  MAAS_MEMBER void store(int8_t* p) const { saturated().store(p); }
  MAAS_MEMBER void store(uint8_t* p) const { saturated().store(p); }
  MAAS_MEMBER void store(bool* p) const { nonzero().store(p); }
  MAAS_MEMBER void store(int64_t* p) const {
    alignas(32) float x[16];
    store(x);
    for (int i = 0; i < 16; i++) {
      p[i] = x[i] >= 0x1p63f ? INT64_MAX : x[i] < -0x1p63f ? INT64_MIN : x[i] == x[i] ? static_cast<int64_t>(x[i]) : 0;
    }
  }
  MAAS_MEMBER void store(double* p) const {
    _mm256_storeu_pd(p, _mm256_cvtps_pd(_mm256_castps256_ps128(a)));
    _mm256_storeu_pd(p + 4, _mm256_cvtps_pd(_mm256_extractf128_ps(a, 1)));
    _mm256_storeu_pd(p + 8, _mm256_cvtps_pd(_mm256_castps256_ps128(b)));
    _mm256_storeu_pd(p + 12, _mm256_cvtps_pd(_mm256_extractf128_ps(b, 1)));
  }
  template <class T>
  MAAS_MEMBER void store(T* p, Tail t) const {
    Buffer<T> buffer;
    store(buffer.data);
    buffer.copy_to(p, t);
  }
  template <class T>
  MAAS_MEMBER void store(T* p, Full) const {
    store(p);
  }

  // Truncation; out of range saturates, NaN gives 0 (the rule of XLA, hence of Keras on JAX).
  MAAS_MEMBER I32 saturated() const { return I32(saturate(a), saturate(b)); }
  MAAS_MEMBER Mask nonzero() const {
    const __m256 zero = _mm256_setzero_ps();
    return Mask(_mm256_cmp_ps(a, zero, _CMP_NEQ_UQ), _mm256_cmp_ps(b, zero, _CMP_NEQ_UQ));
  }

 private:
  MAAS_MEMBER static F32 filled(Tail t, F32 x, float fill) {
    const __m256 f = _mm256_set1_ps(fill);
    return F32(_mm256_blendv_ps(f, x.a, _mm256_castsi256_ps(t.a)), _mm256_blendv_ps(f, x.b, _mm256_castsi256_ps(t.b)));
  }
  MAAS_MEMBER static F32 from(I32 x) { return F32(_mm256_cvtepi32_ps(x.a), _mm256_cvtepi32_ps(x.b)); }
  MAAS_MEMBER static __m256 widen(__m128i x) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(x), 16));
  }
  MAAS_MEMBER static __m256 narrow(const double* p) {
    return _mm256_set_m128(_mm256_cvtpd_ps(_mm256_loadu_pd(p + 4)), _mm256_cvtpd_ps(_mm256_loadu_pd(p)));
  }
  MAAS_MEMBER static __m256i to_bf16(__m256 f) {  // in the low 16 bits of every lane
    const __m256i x = _mm256_castps_si256(f);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(x, 16), _mm256_set1_epi32(1));
    const __m256i up = _mm256_add_epi32(x, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    const __m256i nan = _mm256_or_si256(x, _mm256_set1_epi32(0x400000));
    const __m256i is_nan = _mm256_castps_si256(_mm256_cmp_ps(f, f, _CMP_UNORD_Q));
    return _mm256_srli_epi32(_mm256_blendv_epi8(up, nan, is_nan), 16);
  }
  MAAS_MEMBER static __m256i saturate(__m256 x) {
    const __m256i raw = _mm256_cvttps_epi32(x);  // out of range and NaN give INT32_MIN
    const __m256 large = _mm256_cmp_ps(x, _mm256_set1_ps(0x1p31f), _CMP_GE_OQ);
    const __m256i top = _mm256_blendv_epi8(raw, _mm256_set1_epi32(INT32_MAX), _mm256_castps_si256(large));
    return _mm256_and_si256(top, _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_ORD_Q)));
  }
};

#define MAAS_AVX2_1(NAME, ...)                                                          \
  MAAS_INLINE F32 NAME(F32 v) {                                                         \
    const auto f = [](__m256 x) __attribute__((always_inline)) { return __VA_ARGS__; }; \
    return F32(f(v.a), f(v.b));                                                         \
  }
#define MAAS_AVX2_2(NAME, INTRINSIC) \
  MAAS_INLINE F32 NAME(F32 x, F32 y) { return F32(INTRINSIC(x.a, y.a), INTRINSIC(x.b, y.b)); }
#define MAAS_AVX2_3(NAME, INTRINSIC) \
  MAAS_INLINE F32 NAME(F32 x, F32 y, F32 z) { return F32(INTRINSIC(x.a, y.a, z.a), INTRINSIC(x.b, y.b, z.b)); }
#define MAAS_AVX2_COMPARE(NAME, CODE) \
  MAAS_INLINE Mask NAME(F32 x, F32 y) { return Mask(_mm256_cmp_ps(x.a, y.a, CODE), _mm256_cmp_ps(x.b, y.b, CODE)); }
MAAS_AVX2_2(operator+, _mm256_add_ps)
MAAS_AVX2_2(operator-, _mm256_sub_ps)
MAAS_AVX2_2(operator*, _mm256_mul_ps)
MAAS_AVX2_2(operator/, _mm256_div_ps)
MAAS_AVX2_2(operator&, _mm256_and_ps)
MAAS_AVX2_2(operator|, _mm256_or_ps)
MAAS_AVX2_2(operator^, _mm256_xor_ps)
MAAS_AVX2_2(min, _mm256_min_ps)  // y if x or y is NaN or both are zeros
MAAS_AVX2_2(max, _mm256_max_ps)
MAAS_AVX2_3(fma, _mm256_fmadd_ps)
MAAS_AVX2_3(fms, _mm256_fmsub_ps)
MAAS_AVX2_3(fnma, _mm256_fnmadd_ps)
MAAS_AVX2_1(operator-, _mm256_xor_ps(x, _mm256_set1_ps(-0.f)))
MAAS_AVX2_1(sqrt, _mm256_sqrt_ps(x))
MAAS_AVX2_1(abs, _mm256_andnot_ps(_mm256_set1_ps(-0.f), x))
MAAS_AVX2_1(floor, _mm256_round_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC))
MAAS_AVX2_1(ceil, _mm256_round_ps(x, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC))
MAAS_AVX2_1(trunc, _mm256_round_ps(x, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC))
MAAS_AVX2_1(round, _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC))
MAAS_AVX2_COMPARE(operator==, _CMP_EQ_OQ)
MAAS_AVX2_COMPARE(operator!=, _CMP_NEQ_UQ)
MAAS_AVX2_COMPARE(operator<, _CMP_LT_OQ)
MAAS_AVX2_COMPARE(operator<=, _CMP_LE_OQ)
MAAS_AVX2_COMPARE(operator>, _CMP_GT_OQ)
MAAS_AVX2_COMPARE(operator>=, _CMP_GE_OQ)
#undef MAAS_AVX2_1
#undef MAAS_AVX2_2
#undef MAAS_AVX2_3
#undef MAAS_AVX2_COMPARE
MAAS_INLINE Mask isnan(F32 x) { return x != x; }
MAAS_INLINE F32 select(Mask m, F32 x, F32 y) {
  return F32(_mm256_blendv_ps(y.a, x.a, m.a), _mm256_blendv_ps(y.b, x.b, m.b));
}
MAAS_INLINE I32 as_int(F32 x) { return I32(_mm256_castps_si256(x.a), _mm256_castps_si256(x.b)); }
MAAS_INLINE F32 as_float(I32 x) { return F32(_mm256_castsi256_ps(x.a), _mm256_castsi256_ps(x.b)); }
MAAS_INLINE F32 to_float(I32 x) { return F32(_mm256_cvtepi32_ps(x.a), _mm256_cvtepi32_ps(x.b)); }
MAAS_INLINE I32 trunc_to_int(F32 x) { return I32(_mm256_cvttps_epi32(x.a), _mm256_cvttps_epi32(x.b)); }
MAAS_INLINE I32 round_to_int(F32 x) { return I32(_mm256_cvtps_epi32(x.a), _mm256_cvtps_epi32(x.b)); }
MAAS_INLINE float first(F32 x) { return _mm256_cvtss_f32(x.a); }

// x * 2^n for integral |n| <= 250 and 2^-60 <= |x| <= 2^60 (or NaN). The first product is exact, so only one rounding.
MAAS_INLINE F32 ldexp(F32 x, F32 n) {
  const I32 k = round_to_int(n), half = shr<1>(k);
  const F32 p = as_float(shl<23>(half + I32(127))), q = as_float(shl<23>(k - half + I32(127)));
  return x * p * q;
}

// acc + *p * y with one vbroadcastss.
MAAS_INLINE F32 broadcast_fma(F32 acc, const float* p, F32 y) {
  const __m256 x = _mm256_broadcast_ss(p);
  return F32(_mm256_fmadd_ps(x, y.a, acc.a), _mm256_fmadd_ps(x, y.b, acc.b));
}

// An 8x8 block, rows in and out.
MAAS_INLINE void transpose8(__m256 (&r)[8]) {
  __m256 t[8], u[8];
  MAAS_UNROLL for (int i = 0; i < 8; i += 2) {
    t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
    t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
  }
  MAAS_UNROLL for (int i = 0; i < 8; i += 4) {
    MAAS_UNROLL for (int j = 0; j < 2; j++) {
      u[i + 2 * j] = _mm256_shuffle_ps(t[i + j], t[i + 2 + j], 0x44);
      u[i + 2 * j + 1] = _mm256_shuffle_ps(t[i + j], t[i + 2 + j], 0xee);
    }
  }
  MAAS_UNROLL for (int c = 0; c < 4; c++) {
    r[c] = _mm256_permute2f128_ps(u[c], u[4 + c], 0x20);
    r[4 + c] = _mm256_permute2f128_ps(u[c], u[4 + c], 0x31);
  }
}

// r[i] lane j <-> r[j] lane i.
MAAS_INLINE void transpose(F32 (&r)[16]) {
  __m256 b[4][8];  // quarters: top left, top right, bottom left, bottom right
  MAAS_UNROLL for (int i = 0; i < 8; i++) {
    b[0][i] = r[i].a;
    b[1][i] = r[i].b;
    b[2][i] = r[8 + i].a;
    b[3][i] = r[8 + i].b;
  }
  MAAS_UNROLL for (int q = 0; q < 4; q++) transpose8(b[q]);
  MAAS_UNROLL for (int i = 0; i < 8; i++) {
    r[i] = F32(b[0][i], b[2][i]);
    r[8 + i] = F32(b[1][i], b[3][i]);
  }
}

}  // namespace
}  // namespace maas::simd::avx2
