// 16 float32 lanes in one zmm register. Needs AVX-512 F, BW, DQ, VL. Same interface and same bits as avx2.h.
#pragma once
#include "simd/base.h"

namespace maas::simd::avx512 {
namespace {

struct Tail {  // the first n lanes, 0 <= n <= 16
  __mmask16 m;
  int n;
  MAAS_MEMBER explicit Tail(int64_t count)
      : m(static_cast<__mmask16>(count >= 16 ? 0xffffu : (1u << count) - 1u)), n(static_cast<int>(count)) {}
};

struct Mask : Adl {
  __mmask16 m;
  Mask() = default;
  MAAS_MEMBER Mask(__mmask16 v) : m(v) {}
  MAAS_MEMBER Mask(Tail t) : m(t.m) {}
  MAAS_MEMBER static Mask from_bits(uint32_t bits) { return static_cast<__mmask16>(bits); }
  MAAS_MEMBER uint32_t bits() const { return m; }  // bit i = lane i
  MAAS_MEMBER bool any() const { return m != 0; }
  MAAS_MEMBER bool all() const { return m == 0xffff; }
  MAAS_MEMBER static Mask load(const bool* p) {
    const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return _mm_test_epi8_mask(v, v);
  }
  MAAS_MEMBER static Mask load(const bool* p, Tail t) {
    const __m128i v = _mm_maskz_loadu_epi8(t.m, p);
    return _mm_test_epi8_mask(v, v);
  }
  MAAS_MEMBER static Mask load(const bool* p, Full) { return load(p); }
  MAAS_MEMBER void store(bool* p) const { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm_maskz_set1_epi8(m, 1)); }
  MAAS_MEMBER void store(bool* p, Tail t) const { _mm_mask_storeu_epi8(p, t.m, _mm_maskz_set1_epi8(m, 1)); }
  MAAS_MEMBER void store(bool* p, Full) const { store(p); }
};
MAAS_INLINE Mask operator&(Mask a, Mask b) { return static_cast<__mmask16>(a.m & b.m); }
MAAS_INLINE Mask operator|(Mask a, Mask b) { return static_cast<__mmask16>(a.m | b.m); }
MAAS_INLINE Mask operator^(Mask a, Mask b) { return static_cast<__mmask16>(a.m ^ b.m); }
MAAS_INLINE Mask operator~(Mask a) { return static_cast<__mmask16>(~a.m); }
MAAS_INLINE bool any(Mask m) { return m.any(); }
MAAS_INLINE bool all(Mask m) { return m.all(); }

struct I32 : Adl {
  using Mask = avx512::Mask;
  __m512i v;
  I32() = default;
  MAAS_MEMBER I32(__m512i x) : v(x) {}
  MAAS_MEMBER I32(int32_t x) : v(_mm512_set1_epi32(x)) {}
  MAAS_MEMBER static I32 iota() { return _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15); }
  MAAS_MEMBER static I32 load(const int32_t* p) { return _mm512_loadu_si512(p); }
  MAAS_MEMBER static I32 load(const int32_t* p, Tail t, int32_t fill) {
    return _mm512_mask_loadu_epi32(_mm512_set1_epi32(fill), t.m, p);
  }
  MAAS_MEMBER static I32 load(const int8_t* p) {
    return _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  MAAS_MEMBER static I32 load(const int8_t* p, Tail t, int32_t fill) {
    return _mm512_mask_cvtepi8_epi32(_mm512_set1_epi32(fill), t.m, _mm_maskz_loadu_epi8(t.m, p));
  }
  MAAS_MEMBER static I32 load(const uint8_t* p) {
    return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  MAAS_MEMBER static I32 load(const uint8_t* p, Tail t, int32_t fill) {
    return _mm512_mask_cvtepu8_epi32(_mm512_set1_epi32(fill), t.m, _mm_maskz_loadu_epi8(t.m, p));
  }
  MAAS_MEMBER static I32 load(const int64_t* p) {
    return join(_mm512_cvtepi64_epi32(_mm512_loadu_si512(p)), _mm512_cvtepi64_epi32(_mm512_loadu_si512(p + 8)));
  }
  MAAS_MEMBER static I32 load(const int64_t* p, Tail t, int32_t fill) {
    const __mmask8 low = static_cast<__mmask8>(t.m), high = static_cast<__mmask8>(t.m >> 8);
    const __m512i all = join(_mm512_cvtepi64_epi32(_mm512_maskz_loadu_epi64(low, p)),
                             _mm512_cvtepi64_epi32(_mm512_maskz_loadu_epi64(high, p + 8)));
    return _mm512_mask_blend_epi32(t.m, _mm512_set1_epi32(fill), all);
  }
  template <class T>
  MAAS_MEMBER static I32 load(const T* p, Full, int32_t) {
    return load(p);
  }
  MAAS_MEMBER void store(int32_t* p) const { _mm512_storeu_si512(p, v); }
  MAAS_MEMBER void store(int32_t* p, Tail t) const { _mm512_mask_storeu_epi32(p, t.m, v); }
  MAAS_MEMBER void store(int8_t* p) const { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtsepi32_epi8(v)); }
  MAAS_MEMBER void store(int8_t* p, Tail t) const { _mm_mask_storeu_epi8(p, t.m, _mm512_cvtsepi32_epi8(v)); }
  MAAS_MEMBER void store(uint8_t* p) const {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p),
                     _mm512_cvtusepi32_epi8(_mm512_max_epi32(v, _mm512_setzero_si512())));
  }
  MAAS_MEMBER void store(uint8_t* p, Tail t) const {
    _mm_mask_storeu_epi8(p, t.m, _mm512_cvtusepi32_epi8(_mm512_max_epi32(v, _mm512_setzero_si512())));
  }
  MAAS_MEMBER void store(int64_t* p) const {
    _mm512_storeu_si512(p, _mm512_cvtepi32_epi64(low()));
    _mm512_storeu_si512(p + 8, _mm512_cvtepi32_epi64(high()));
  }
  MAAS_MEMBER void store(int64_t* p, Tail t) const {
    _mm512_mask_storeu_epi64(p, static_cast<__mmask8>(t.m), _mm512_cvtepi32_epi64(low()));
    _mm512_mask_storeu_epi64(p + 8, static_cast<__mmask8>(t.m >> 8), _mm512_cvtepi32_epi64(high()));
  }
  template <class T>
  MAAS_MEMBER void store(T* p, Full) const {
    store(p);
  }
  MAAS_MEMBER __m256i low() const { return _mm512_castsi512_si256(v); }
  MAAS_MEMBER __m256i high() const { return _mm512_extracti32x8_epi32(v, 1); }
  MAAS_MEMBER static __m512i join(__m256i low, __m256i high) {
    return _mm512_inserti32x8(_mm512_castsi256_si512(low), high, 1);
  }
};
MAAS_INLINE I32 operator+(I32 a, I32 b) { return _mm512_add_epi32(a.v, b.v); }
MAAS_INLINE I32 operator-(I32 a, I32 b) { return _mm512_sub_epi32(a.v, b.v); }
MAAS_INLINE I32 operator*(I32 a, I32 b) { return _mm512_mullo_epi32(a.v, b.v); }
MAAS_INLINE I32 operator&(I32 a, I32 b) { return _mm512_and_si512(a.v, b.v); }
MAAS_INLINE I32 operator|(I32 a, I32 b) { return _mm512_or_si512(a.v, b.v); }
MAAS_INLINE I32 operator^(I32 a, I32 b) { return _mm512_xor_si512(a.v, b.v); }
MAAS_INLINE I32 min(I32 a, I32 b) { return _mm512_min_epi32(a.v, b.v); }
MAAS_INLINE I32 max(I32 a, I32 b) { return _mm512_max_epi32(a.v, b.v); }
MAAS_INLINE Mask operator==(I32 a, I32 b) { return _mm512_cmpeq_epi32_mask(a.v, b.v); }
MAAS_INLINE Mask operator!=(I32 a, I32 b) { return _mm512_cmpneq_epi32_mask(a.v, b.v); }
MAAS_INLINE Mask operator>(I32 a, I32 b) { return _mm512_cmpgt_epi32_mask(a.v, b.v); }
MAAS_INLINE Mask operator<(I32 a, I32 b) { return _mm512_cmplt_epi32_mask(a.v, b.v); }
MAAS_INLINE Mask operator>=(I32 a, I32 b) { return _mm512_cmpge_epi32_mask(a.v, b.v); }
MAAS_INLINE Mask operator<=(I32 a, I32 b) { return _mm512_cmple_epi32_mask(a.v, b.v); }
MAAS_INLINE I32 select(Mask m, I32 a, I32 b) { return _mm512_mask_blend_epi32(m.m, b.v, a.v); }
template <int N>
MAAS_INLINE I32 shl(I32 a) {
  return _mm512_slli_epi32(a.v, N);
}
template <int N>
MAAS_INLINE I32 shr(I32 a) {  // keeps the sign
  return _mm512_srai_epi32(a.v, N);
}
template <int N>
MAAS_INLINE I32 shr_logical(I32 a) {
  return _mm512_srli_epi32(a.v, N);
}

struct F32 : Adl {
  using Mask = avx512::Mask;
  using I32 = avx512::I32;
  using Tail = avx512::Tail;
  static constexpr int kRegisters = 32;  // how many F32 the register file holds
  __m512 v;
  F32() = default;
  MAAS_MEMBER F32(__m512 x) : v(x) {}
  MAAS_MEMBER F32(float x) : v(_mm512_set1_ps(x)) {}
  MAAS_MEMBER F32(__m256 low, __m256 high) : v(_mm512_insertf32x8(_mm512_castps256_ps512(low), high, 1)) {}
  MAAS_MEMBER __m256 low() const { return _mm512_castps512_ps256(v); }      // lanes 0-7
  MAAS_MEMBER __m256 high() const { return _mm512_extractf32x8_ps(v, 1); }  // lanes 8-15

  MAAS_MEMBER static F32 load(const float* p) { return _mm512_loadu_ps(p); }
  MAAS_MEMBER static F32 load(const float* p, Tail t, float fill) {
    return _mm512_mask_loadu_ps(_mm512_set1_ps(fill), t.m, p);
  }
  MAAS_MEMBER static F32 load(const bf16* p) { return widen(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))); }
  MAAS_MEMBER static F32 load(const bf16* p, Tail t, float fill) {
    return filled(t, widen(_mm256_maskz_loadu_epi16(t.m, p)), fill);
  }
  MAAS_MEMBER static F32 load(const f16* p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  MAAS_MEMBER static F32 load(const f16* p, Tail t, float fill) {
    return filled(t, _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(t.m, p)), fill);
  }
  MAAS_MEMBER static F32 load(const int32_t* p) { return _mm512_cvtepi32_ps(I32::load(p).v); }
  MAAS_MEMBER static F32 load(const int8_t* p) { return _mm512_cvtepi32_ps(I32::load(p).v); }
  MAAS_MEMBER static F32 load(const uint8_t* p) { return _mm512_cvtepi32_ps(I32::load(p).v); }
  MAAS_MEMBER static F32 load(const bool* p) { return load(reinterpret_cast<const uint8_t*>(p)); }
  MAAS_MEMBER static F32 load(const int32_t* p, Tail t, float fill) { return from_ints(p, t, fill); }
  MAAS_MEMBER static F32 load(const int8_t* p, Tail t, float fill) { return from_ints(p, t, fill); }
  MAAS_MEMBER static F32 load(const uint8_t* p, Tail t, float fill) { return from_ints(p, t, fill); }
  MAAS_MEMBER static F32 load(const bool* p, Tail t, float fill) {
    return from_ints(reinterpret_cast<const uint8_t*>(p), t, fill);
  }
  MAAS_MEMBER static F32 load(const int64_t* p) {
    return F32(_mm512_cvtepi64_ps(_mm512_loadu_si512(p)), _mm512_cvtepi64_ps(_mm512_loadu_si512(p + 8)));
  }
  MAAS_MEMBER static F32 load(const int64_t* p, Tail t, float fill) {
    const __m512i a = _mm512_maskz_loadu_epi64(static_cast<__mmask8>(t.m), p);
    const __m512i b = _mm512_maskz_loadu_epi64(static_cast<__mmask8>(t.m >> 8), p + 8);
    return filled(t, F32(_mm512_cvtepi64_ps(a), _mm512_cvtepi64_ps(b)), fill);
  }
  MAAS_MEMBER static F32 load(const double* p) {
    return F32(_mm512_cvtpd_ps(_mm512_loadu_pd(p)), _mm512_cvtpd_ps(_mm512_loadu_pd(p + 8)));
  }
  MAAS_MEMBER static F32 load(const double* p, Tail t, float fill) {
    const __m512d a = _mm512_maskz_loadu_pd(static_cast<__mmask8>(t.m), p);
    const __m512d b = _mm512_maskz_loadu_pd(static_cast<__mmask8>(t.m >> 8), p + 8);
    return filled(t, F32(_mm512_cvtpd_ps(a), _mm512_cvtpd_ps(b)), fill);
  }
  template <class T>
  MAAS_MEMBER static F32 load(const T* p, Full, float) {
    return load(p);
  }
  MAAS_MEMBER static F32 gather(const float* base, I32 index) { return _mm512_i32gather_ps(index.v, base, 4); }
  MAAS_MEMBER static F32 gather(const float* base, I32 index, Mask m, F32 fill) {
    return _mm512_mask_i32gather_ps(fill.v, m.m, index.v, base, 4);
  }

  MAAS_MEMBER void store(float* p) const { _mm512_storeu_ps(p, v); }
  MAAS_MEMBER void store(float* p, Tail t) const { _mm512_mask_storeu_ps(p, t.m, v); }
  MAAS_MEMBER void store(bf16* p) const { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), to_bf16()); }
  MAAS_MEMBER void store(bf16* p, Tail t) const { _mm256_mask_storeu_epi16(p, t.m, to_bf16()); }
  MAAS_MEMBER void store(f16* p) const { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), to_f16()); }
  MAAS_MEMBER void store(f16* p, Tail t) const { _mm256_mask_storeu_epi16(p, t.m, to_f16()); }
  MAAS_MEMBER void store(int32_t* p) const { saturated().store(p); }
  MAAS_MEMBER void store(int32_t* p, Tail t) const { saturated().store(p, t); }
  MAAS_MEMBER void store(int8_t* p) const { saturated().store(p); }
  MAAS_MEMBER void store(int8_t* p, Tail t) const { saturated().store(p, t); }
  MAAS_MEMBER void store(uint8_t* p) const { saturated().store(p); }
  MAAS_MEMBER void store(uint8_t* p, Tail t) const { saturated().store(p, t); }
  MAAS_MEMBER void store(bool* p) const { nonzero().store(p); }
  MAAS_MEMBER void store(bool* p, Tail t) const { nonzero().store(p, t); }
  MAAS_MEMBER void store(int64_t* p) const {
    _mm512_storeu_si512(p, to_i64(low()));
    _mm512_storeu_si512(p + 8, to_i64(high()));
  }
  MAAS_MEMBER void store(int64_t* p, Tail t) const {
    _mm512_mask_storeu_epi64(p, static_cast<__mmask8>(t.m), to_i64(low()));
    _mm512_mask_storeu_epi64(p + 8, static_cast<__mmask8>(t.m >> 8), to_i64(high()));
  }
  MAAS_MEMBER void store(double* p) const {
    _mm512_storeu_pd(p, _mm512_cvtps_pd(low()));
    _mm512_storeu_pd(p + 8, _mm512_cvtps_pd(high()));
  }
  MAAS_MEMBER void store(double* p, Tail t) const {
    _mm512_mask_storeu_pd(p, static_cast<__mmask8>(t.m), _mm512_cvtps_pd(low()));
    _mm512_mask_storeu_pd(p + 8, static_cast<__mmask8>(t.m >> 8), _mm512_cvtps_pd(high()));
  }
  template <class T>
  MAAS_MEMBER void store(T* p, Full) const {
    store(p);
  }

  // Truncation; out of range saturates, NaN gives 0 (the rule of XLA, hence of Keras on JAX).
  MAAS_MEMBER I32 saturated() const {
    const __m512i raw = _mm512_cvttps_epi32(v);  // out of range and NaN give INT32_MIN
    const __mmask16 large = _mm512_cmp_ps_mask(v, _mm512_set1_ps(0x1p31f), _CMP_GE_OQ);
    const __m512i top = _mm512_mask_blend_epi32(large, raw, _mm512_set1_epi32(INT32_MAX));
    return _mm512_maskz_mov_epi32(_mm512_cmp_ps_mask(v, v, _CMP_ORD_Q), top);
  }
  MAAS_MEMBER Mask nonzero() const { return _mm512_cmp_ps_mask(v, _mm512_setzero_ps(), _CMP_NEQ_UQ); }

 private:
  MAAS_MEMBER static F32 filled(Tail t, F32 x, float fill) {
    return _mm512_mask_blend_ps(t.m, _mm512_set1_ps(fill), x.v);
  }
  template <class T>
  MAAS_MEMBER static F32 from_ints(const T* p, Tail t, float fill) {
    return filled(t, _mm512_cvtepi32_ps(I32::load(p, t, 0).v), fill);
  }
  MAAS_MEMBER static F32 widen(__m256i x) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(x), 16));
  }
  MAAS_MEMBER __m256i to_bf16() const {
    const __m512i x = _mm512_castps_si512(v);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(x, 16), _mm512_set1_epi32(1));
    const __m512i up = _mm512_add_epi32(x, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    const __m512i nan = _mm512_or_si512(x, _mm512_set1_epi32(0x400000));
    const __mmask16 is_nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(_mm512_mask_blend_epi32(is_nan, up, nan), 16));
  }
  MAAS_MEMBER __m256i to_f16() const { return _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  MAAS_MEMBER static __m512i to_i64(__m256 x) {
    const __m512i raw = _mm512_cvttps_epi64(x);
    const __mmask8 large = _mm256_cmp_ps_mask(x, _mm256_set1_ps(0x1p63f), _CMP_GE_OQ);
    const __m512i top = _mm512_mask_blend_epi64(large, raw, _mm512_set1_epi64(INT64_MAX));
    return _mm512_maskz_mov_epi64(_mm256_cmp_ps_mask(x, x, _CMP_ORD_Q), top);
  }
};

MAAS_INLINE F32 operator+(F32 a, F32 b) { return _mm512_add_ps(a.v, b.v); }
MAAS_INLINE F32 operator-(F32 a, F32 b) { return _mm512_sub_ps(a.v, b.v); }
MAAS_INLINE F32 operator*(F32 a, F32 b) { return _mm512_mul_ps(a.v, b.v); }
MAAS_INLINE F32 operator/(F32 a, F32 b) { return _mm512_div_ps(a.v, b.v); }
MAAS_INLINE F32 operator&(F32 a, F32 b) { return _mm512_and_ps(a.v, b.v); }
MAAS_INLINE F32 operator|(F32 a, F32 b) { return _mm512_or_ps(a.v, b.v); }
MAAS_INLINE F32 operator^(F32 a, F32 b) { return _mm512_xor_ps(a.v, b.v); }
MAAS_INLINE F32 operator-(F32 a) { return _mm512_xor_ps(a.v, _mm512_set1_ps(-0.f)); }
MAAS_INLINE F32 fma(F32 a, F32 b, F32 c) { return _mm512_fmadd_ps(a.v, b.v, c.v); }
MAAS_INLINE F32 fms(F32 a, F32 b, F32 c) { return _mm512_fmsub_ps(a.v, b.v, c.v); }
MAAS_INLINE F32 fnma(F32 a, F32 b, F32 c) { return _mm512_fnmadd_ps(a.v, b.v, c.v); }
MAAS_INLINE F32 sqrt(F32 a) { return _mm512_sqrt_ps(a.v); }
MAAS_INLINE F32 abs(F32 a) { return _mm512_andnot_ps(_mm512_set1_ps(-0.f), a.v); }
MAAS_INLINE F32 min(F32 a, F32 b) { return _mm512_min_ps(a.v, b.v); }  // b if a or b is NaN or both are zeros
MAAS_INLINE F32 max(F32 a, F32 b) { return _mm512_max_ps(a.v, b.v); }
MAAS_INLINE F32 floor(F32 a) { return _mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
MAAS_INLINE F32 ceil(F32 a) { return _mm512_roundscale_ps(a.v, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC); }
MAAS_INLINE F32 trunc(F32 a) { return _mm512_roundscale_ps(a.v, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC); }
MAAS_INLINE F32 round(F32 a) { return _mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
MAAS_INLINE Mask operator==(F32 a, F32 b) { return _mm512_cmp_ps_mask(a.v, b.v, _CMP_EQ_OQ); }
MAAS_INLINE Mask operator!=(F32 a, F32 b) { return _mm512_cmp_ps_mask(a.v, b.v, _CMP_NEQ_UQ); }
MAAS_INLINE Mask operator<(F32 a, F32 b) { return _mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ); }
MAAS_INLINE Mask operator<=(F32 a, F32 b) { return _mm512_cmp_ps_mask(a.v, b.v, _CMP_LE_OQ); }
MAAS_INLINE Mask operator>(F32 a, F32 b) { return _mm512_cmp_ps_mask(a.v, b.v, _CMP_GT_OQ); }
MAAS_INLINE Mask operator>=(F32 a, F32 b) { return _mm512_cmp_ps_mask(a.v, b.v, _CMP_GE_OQ); }
MAAS_INLINE Mask isnan(F32 a) { return _mm512_cmp_ps_mask(a.v, a.v, _CMP_UNORD_Q); }
MAAS_INLINE F32 select(Mask m, F32 a, F32 b) { return _mm512_mask_blend_ps(m.m, b.v, a.v); }
MAAS_INLINE I32 as_int(F32 a) { return _mm512_castps_si512(a.v); }
MAAS_INLINE F32 as_float(I32 a) { return _mm512_castsi512_ps(a.v); }
MAAS_INLINE F32 to_float(I32 a) { return _mm512_cvtepi32_ps(a.v); }
MAAS_INLINE I32 trunc_to_int(F32 a) { return _mm512_cvttps_epi32(a.v); }
MAAS_INLINE I32 round_to_int(F32 a) { return _mm512_cvtps_epi32(a.v); }
MAAS_INLINE float first(F32 a) { return _mm512_cvtss_f32(a.v); }

// a * 2^n for integral |n| <= 250 and 2^-60 <= |a| <= 2^60 (or NaN). One rounding, so it equals avx2's two multiplies.
MAAS_INLINE F32 ldexp(F32 a, F32 n) { return _mm512_scalef_ps(a.v, n.v); }

// acc + *a * b with the broadcast folded into the FMA: in asm, because GCC would spend a register on it.
MAAS_INLINE F32 broadcast_fma(F32 acc, const float* a, F32 b) {
  __asm__("vfmadd231ps %2%{1to16%}, %1, %0" : "+v"(acc.v) : "v"(b.v), "m"(*a));
  return acc;
}

// r[i] lane j <-> r[j] lane i.
MAAS_INLINE void transpose(F32 (&r)[16]) {
  __m512 t[16], u[16];
  MAAS_UNROLL for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_ps(r[i].v, r[i + 1].v);
    t[i + 1] = _mm512_unpackhi_ps(r[i].v, r[i + 1].v);
  }
  MAAS_UNROLL for (int i = 0; i < 16; i += 4) {
    MAAS_UNROLL for (int j = 0; j < 2; j++) {
      const __m512d a = _mm512_castps_pd(t[i + j]), b = _mm512_castps_pd(t[i + 2 + j]);
      u[i + 2 * j] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
      u[i + 2 * j + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
    }
  }
  // Now 128-bit block b of u[4g + c] is column 4b + c of rows 4g .. 4g + 3: transpose the 4x4 blocks.
  MAAS_UNROLL for (int c = 0; c < 4; c++) {
    const __m512 a = _mm512_shuffle_f32x4(u[c], u[4 + c], 0x88), b = _mm512_shuffle_f32x4(u[c], u[4 + c], 0xdd);
    const __m512 d = _mm512_shuffle_f32x4(u[8 + c], u[12 + c], 0x88),
                 e = _mm512_shuffle_f32x4(u[8 + c], u[12 + c], 0xdd);
    r[c] = _mm512_shuffle_f32x4(a, d, 0x88);
    r[8 + c] = _mm512_shuffle_f32x4(a, d, 0xdd);
    r[4 + c] = _mm512_shuffle_f32x4(b, e, 0x88);
    r[12 + c] = _mm512_shuffle_f32x4(b, e, 0xdd);
  }
}

}  // namespace
}  // namespace maas::simd::avx512
