// Elementary functions over V, one source for every ISA, so the same bits. Straight-line code: special values are
// selected, never branched on (but for |x| > 1e5 in sin, cos, tan).
//
// Errors are stated in ulp against the exact function, under FlushDenormals, and tested over the whole float range.
// Denormal inputs count as 0 and results below 2^-126 are 0. Coefficients come from fit.py.
#pragma once
#include "simd/trig_reduce.h"
#include "simd/vec.h"

namespace maas::simd {

inline constexpr float kLn2 = 0x1.62e430p-1f, kLn2Low = -0x1.05c610p-29f;  // their sum is ln 2 to 50 bits
inline constexpr float kLog2e = 0x1.715476p+0f;
inline constexpr float kPi = 0x1.921fb6p+1f, kPiLow = -0x1.777a5cp-24f;

// ---- exponentials ------------------------------------------------------------------------------------------------

template <Vector V>
struct ExpParts {  // e^x = 2^n (1 + p), n integral, |p| <= 0.42
  V n, p;
};
// x is clamped to [low, 89.5]; the constant comes first in max and min, so that a NaN goes through.
template <Vector V>
MAAS_INLINE ExpParts<V> exp_parts(V x, float low) {
  const V c = min(V(89.5f), max(V(low), x));
  const V n = round(c * V(kLog2e));
  const V r = fnma(n, V(kLn2Low), fnma(n, V(kLn2), c));  // the first difference is exact
  const V q = poly(r, 0.5f, 0.16666517f, 0.041666202f, 0.008369261f, 0.0013950958f);
  return {n, fma(r * r, q, r)};
}
// e^x: 1.1 ulp.
template <Vector V>
MAAS_INLINE V exp(V x) {
  const ExpParts<V> e = exp_parts(x, -104.f);
  return ldexp(e.p + V(1.f), e.n);
}
// 2^x: 1 ulp, exact for integers.
template <Vector V>
MAAS_INLINE V exp2(V x) {
  const V c = min(V(129.f), max(V(-151.f), x));
  const V n = round(c), r = c - n;
  const V q = poly(r, 0.6931472f, 0.2402265f, 0.055503294f, 0.009618005f, 0.001339988f, 0.00015476193f);
  return ldexp(fma(r, q, V(1.f)), n);
}
// (e^x - 1) / 4: a quarter, so that nothing overflows before the end.
template <Vector V>
MAAS_INLINE V expm1_quarter(V x) {
  const ExpParts<V> e = exp_parts(x, -18.f);
  const V s = as_float(shl<23>(round_to_int(e.n) + typename V::I32(125)));  // 2^(n - 2)
  return fma(s, e.p, s - V(0.25f));
}
// e^x - 1: 2 ulp, also near 0.
template <Vector V>
MAAS_INLINE V expm1(V x) {
  return select(abs(x) < V(0x1p-25f), x, expm1_quarter(x) * V(4.f));
}
// (e^t - 1) / (e^t + 1), t = 2|x|: 3 ulp; 0 for |x| < 2^-124. The textbook form (1 - e)/(1 + e) would cancel near 0.
template <Vector V>
MAAS_INLINE V tanh(V x) {
  const V a = min(V(10.f), abs(x)), quarter = expm1_quarter(a + a), half = quarter + quarter;
  return copysign(half / (half + V(1.f)), x);
}
// 3 ulp; 0 for |x| < 2^-124.
template <Vector V>
MAAS_INLINE V sinh(V x) {
  const V quarter = expm1_quarter(abs(x)), h = quarter + quarter;
  return copysign(h + select(h < V(0x1p30f), h / (h + h + V(1.f)), V(0.5f)), x);
}
// 2 ulp.
template <Vector V>
MAAS_INLINE V cosh(V x) {
  const ExpParts<V> e = exp_parts(abs(x), 0.f);
  const V half = ldexp(e.p + V(1.f), e.n - V(1.f));  // e^|x| / 2
  return half + V(0.25f) / half;
}

// ---- logarithms --------------------------------------------------------------------------------------------------

template <Vector V>
struct LogParts {  // x = 2^k (1 + f), sqrt(1/2) <= 1 + f < sqrt(2)
  V k, f;
  typename V::I32 exponent;
};
template <Vector V>
MAAS_INLINE LogParts<V> log_parts(V x) {
  using I = typename V::I32;
  const I bits = as_int(x), k = shr<23>(bits - I(0x3f3504f3));
  return {to_float(k), as_float(bits - shl<23>(k)) - V(1.f), k};
}
// log(1 + f) - f.
template <Vector V>
MAAS_INLINE V log_tail(V f) {
  const V q = poly(f, 0.33333316f, -0.25000772f, 0.20002279f, -0.16625711f, 0.14181694f, -0.13119039f, 0.1287603f,
                   -0.07877645f);
  const V f2 = f * f;
  return fma(f2 * f, q, V(-0.5f) * f2);
}
// Logarithms at the ends of the range: inf and NaN stay, 0 and denormals give -inf, below that NaN.
template <Vector V>
MAAS_INLINE V log_special(V x, V y) {
  y = select(x < V(kInf), y, x + x);
  y = select(x < V(kMinNormal), V(-kInf), y);
  return select(x <= V(-kMinNormal), V(kNan), y);
}
// 1 ulp.
template <Vector V>
MAAS_INLINE V log(V x) {
  const LogParts<V> l = log_parts(x);
  const V low = fma(l.k, V(kLn2Low), log_tail(l.f));
  return log_special(x, fma(l.k, V(kLn2), l.f + low));
}
// 2 ulp, exact for powers of two.
template <Vector V>
MAAS_INLINE V log2(V x) {
  const LogParts<V> l = log_parts(x);
  const V tail = log_tail(l.f);
  const V low = fma(tail, V(kLog2e), l.f * V(0x1.4ae0c0p-26f));  // log2(e) = kLog2e + 0x1.4ae0cp-26
  return log_special(x, fma(l.f, V(kLog2e), low) + l.k);
}
// log(1 + x) for x > -1 and below 2^127.
template <Vector V>
MAAS_INLINE V log1p_core(V x) {
  using I = typename V::I32;
  const LogParts<V> l = log_parts(x + V(1.f));
  const V s = as_float(shl<23>(I(127) - l.exponent));  // 2^-k
  const V exact = fma(x, s, s - V(1.f));               // (1 + x) / 2^k - 1, rounded once
  const V f = select(x < V(0x1p60f), exact, l.f);
  return fma(l.k, V(kLn2), f + fma(l.k, V(kLn2Low), log_tail(f)));
}
// log(1 + x): 2 ulp, also near 0.
template <Vector V>
MAAS_INLINE V log1p(V x) {
  V y = log1p_core(x);
  y = select(x < V(kInf), y, x + x);
  y = select(abs(x) < V(0x1p-26f), x, y);
  y = select(x == V(-1.f), V(-kInf), y);
  return select(x < V(-1.f), V(kNan), y);
}
// 3 ulp.
template <Vector V>
MAAS_INLINE V asinh(V x) {
  const V a = abs(x), a2 = a * a;
  const auto large = a > V(0x1p24f);
  const V arg = select(large, a, a + a2 / (V(1.f) + sqrt(a2 + V(1.f))));
  return copysign(log1p(arg) + select(large, V(kLn2), V(0.f)), x);
}
// 3 ulp; NaN below 1.
template <Vector V>
MAAS_INLINE V acosh(V x) {
  const V t = x - V(1.f);
  const auto large = x > V(0x1p24f);
  const V arg = select(large, x, t + sqrt(t * (t + V(2.f))));
  return select(x < V(1.f), V(kNan), log1p(arg) + select(large, V(kLn2), V(0.f)));
}
// 3 ulp.
template <Vector V>
MAAS_INLINE V atanh(V x) {
  const V a = abs(x);
  return copysign(V(0.5f) * log1p((a + a) / (V(1.f) - a)), x);
}

// ---- power -------------------------------------------------------------------------------------------------------

// x^y with every special case of C's pow: 2 ulp. log2|x| is kept in two floats, because y log2|x| needs 8 bits more
// than one holds.
template <Vector V>
MAAS_INLINE V pow(V x, V y) {
  const V ax = abs(x);
  const LogParts<V> l = log_parts(ax);
  // log2(1 + f) = C atanh(s), s = f / (2 + f), C = 2 log2(e); s and C in two parts.
  const V d = l.f + V(2.f), d_low = l.f - (d - V(2.f));
  const V s = l.f / d, s_low = fnma(s, d_low, fnma(s, d, l.f)) / d;
  const V z = s * s;
  const V c(0x1.715476p+1f), c_low(0x1.4ae0c0p-25f);
  const V h = s * c;
  const V tail = z * poly(z, 0.33333388f, 0.1998876f, 0.14936155f);
  const V low = fma(h, tail, fma(s_low, c, fma(s, c_low, fms(s, c, h))));
  const V sum = l.k + h;
  const V rest = (l.k - sum + h) + low;
  V hi = sum + rest;
  const V lo = sum - hi + rest;
  hi = select(ax < V(kMinNormal), V(-kInf), select(ax == V(kInf), V(kInf), hi));
  const V p = y * hi;
  const auto in_range = abs(p) < V(200.f);
  const V p_low = select(in_range, fma(y, lo, fms(y, hi, p)), V(0.f));
  const V clamped = min(V(200.f), max(V(-200.f), p));
  const V n = round(clamped), r = clamped - n + p_low;
  const V q = poly(r, 0.6931472f, 0.2402265f, 0.055503294f, 0.009618005f, 0.001339988f, 0.00015476193f);
  V out = ldexp(fma(r, q, V(1.f)), n);
  const auto integer = trunc(y) == y;
  const V half = y * V(0.5f);
  const auto odd = integer & (trunc(half) != half);
  const V sign = x & V(-0.f);
  out = select(odd, out | sign, out);
  out = select((x < V(0.f)) & (x > V(-kInf)) & ~integer, V(kNan), out);
  out = select(isnan(x) | isnan(y), V(kNan), out);
  out = select((x == V(-1.f)) & (abs(y) == V(kInf)), V(1.f), out);
  return select((y == V(0.f)) | (abs(y) < V(kMinNormal)) | (x == V(1.f)), V(1.f), out);
}

// ---- circular functions ------------------------------------------------------------------------------------------

template <Vector V>
struct SinCos {
  V s, c;
};
template <Vector V>
MAAS_INLINE SinCos<V> sincos_quarter(V r) {  // |r| <= pi/4
  const V z = r * r;
  const V s = fma(r * z, poly(z, -0.16666655f, 0.008332155f, -0.00019514076f), r);
  const V c = fma(z * z, poly(z, 0.041666646f, -0.0013887337f, 2.4434838e-05f), fma(z, V(-0.5f), V(1.f)));
  return {s, c};
}
template <Vector V>
MAAS_INLINE V odd_quadrant(typename V::I32 q, V odd, V even) {
  using I = typename V::I32;
  return select((q & I(1)) == I(1), odd, even);
}
// 2 ulp over the whole range; NaN for inf.
template <Vector V>
MAAS_INLINE V sin(V x) {
  using I = typename V::I32;
  const Reduced<V> t = reduce_half_pi(x);
  const SinCos<V> k = sincos_quarter(t.r);
  const V y = odd_quadrant(t.q, k.c, k.s) ^ as_float(shl<30>(t.q & I(2)));
  return select(abs(x) < V(0x1p-13f), x, y);
}
// 2 ulp over the whole range; NaN for inf.
template <Vector V>
MAAS_INLINE V cos(V x) {
  using I = typename V::I32;
  const Reduced<V> t = reduce_half_pi(x);
  const SinCos<V> k = sincos_quarter(t.r);
  return odd_quadrant(t.q, k.s, k.c) ^ as_float(shl<30>((t.q + I(1)) & I(2)));
}
// 4 ulp over the whole range; NaN for inf.
template <Vector V>
MAAS_INLINE V tan(V x) {
  const Reduced<V> t = reduce_half_pi(x);
  const SinCos<V> k = sincos_quarter(t.r);
  const V y = odd_quadrant(t.q, k.c, k.s) / odd_quadrant(t.q, k.s, k.c);
  return select(abs(x) < V(0x1p-13f), x, y ^ as_float(shl<31>(t.q)));
}
// r + r^3 A(r^2), |r| <= tan(pi/8).
template <Vector V>
MAAS_INLINE V atan_eighth(V r) {
  const V z = r * r;
  return fma(r * z, poly(z, -0.33333316f, 0.1999849f, -0.1424383f, 0.105958655f, -0.060830906f), r);
}
// 3 ulp.
template <Vector V>
MAAS_INLINE V atan(V x) {
  const V a = abs(x);
  const auto middle = a > V(0.41421356f), outer = a > V(2.4142136f);  // tan(pi/8), tan(3 pi/8)
  const V num = select(outer, V(-1.f), select(middle, a - V(1.f), a));
  const V den = select(outer, a, select(middle, a + V(1.f), V(1.f)));
  const V base = select(outer, V(kPi / 2), select(middle, V(kPi / 4), V(0.f)));
  const V base_low = select(outer, V(kPiLow / 2), select(middle, V(kPiLow / 4), V(0.f)));
  return copysign(base + (atan_eighth(num / den) + base_low), x);
}
// The angle of (x, y), every special case of C's atan2: 3 ulp.
template <Vector V>
MAAS_INLINE V atan2(V y, V x) {
  const V size = max(abs(x), abs(y));  // scaled, so that neither small + large overflows nor small - large is flushed
  const V scale = select(size > V(0x1p126f), V(0.25f), select(size < V(0x1p-60f), V(0x1p64f), V(1.f)));
  const V ay = abs(y) * scale, ax = abs(x) * scale;
  const auto steep = ay > ax;
  V small = select(steep, ax, ay), large = select(steep, ay, ax);
  const auto both_inf = small == V(kInf);
  small = select(both_inf, V(1.f), small);
  large = select(both_inf, V(1.f), select(large == V(0.f), V(1.f), large));
  const auto middle = small > large * V(0.41421356f);
  const V q = select(middle, small - large, small) / select(middle, small + large, large);
  V base = select(middle, V(kPi / 4), V(0.f)), base_low = select(middle, V(kPiLow / 4), V(0.f));
  V r = atan_eighth(q);
  // Reflect at pi/4 when steep and at pi/2 when x < 0, on base and remainder alike.
  r = select(steep, -r, r);
  base = select(steep, V(kPi / 2) - base, base);
  base_low = select(steep, V(kPiLow / 2) - base_low, base_low);
  const auto left = (as_int(x) < typename V::I32(0)) & ~isnan(x);
  r = select(left, -r, r);
  base_low = select(left, V(kPiLow) - base_low, base_low);
  base = select(left, V(kPi) - base, base);
  const V out = copysign(base + (r + base_low), y);
  return select(isnan(x) | isnan(y), V(kNan), out);
}
template <Vector V>
MAAS_INLINE V asin_tail(V z) {  // (asin r - r) / r, z = r^2 <= 1/4
  return z * poly(z, 0.1666666f, 0.07500511f, 0.04451572f, 0.031817615f, 0.014402597f, 0.037565216f);
}
// 3 ulp; NaN outside [-1, 1].
template <Vector V>
MAAS_INLINE V asin(V x) {
  const V a = abs(x);
  const auto large = a > V(0.5f);
  const V z = select(large, fnma(a, V(0.5f), V(0.5f)), a * a), r = select(large, sqrt(z), a);
  const V y = fma(r, asin_tail(z), r);
  return copysign(select(large, V(kPi / 2) - (y + y - V(kPiLow / 2)), y), x);
}
// 2 ulp; NaN outside [-1, 1].
template <Vector V>
MAAS_INLINE V acos(V x) {
  const V a = abs(x);
  const auto large = a > V(0.5f), negative = x < V(0.f);
  const V z = select(large, fnma(a, V(0.5f), V(0.5f)), a * a), r = select(large, sqrt(z), a);
  const V y = fma(r, asin_tail(z), r);
  const V outer = select(negative, V(kPi) - (y + y - V(kPiLow)), y + y);
  return select(large, outer, V(kPi / 2) - ((y ^ (x & V(-0.f))) - V(kPiLow / 2)));
}

// ---- error function and activations ------------------------------------------------------------------------------

// erfc(z) for z >= 0, with z^2 given in two floats: t Q(t) e^(-z^2), t = 1 / (1 + z/2).
template <Vector V>
MAAS_INLINE V erfc_core(V z, V square, V square_low) {
  const V t = V(2.f) / (z + V(2.f));
  const V q = t * poly(t, 0.282088f, 0.28226393f, 0.24506393f, 0.18624811f, 0.05254545f, 0.040902387f, -0.030638505f,
                       -0.28050354f, 0.37536252f, -0.18870808f, 0.035375774f);
  const V n = round(square * V(-kLog2e));
  const V r = fnma(n, V(kLn2Low), fnma(n, V(kLn2), -square)) - square_low;
  const V e = poly(r, 0.5f, 0.16666517f, 0.041666202f, 0.008369261f, 0.0013950958f);
  return ldexp(fma(q, fma(r * r, e, r), q), n);
}
// 3 ulp.
template <Vector V>
MAAS_INLINE V erf(V x) {
  const V a = min(V(4.f), abs(x)), z = a * a;
  const V near =
      a * poly(z, 1.1283792f, -0.37612632f, 0.11283674f, -0.026858186f, 0.005197992f, -0.00081080827f, 8.223988e-05f);
  const V far = V(1.f) - erfc_core(a, z, fms(a, a, z));
  return copysign(select(a < V(0.94f), near, far), x);
}
// 1 / (1 + e^-x): 3 ulp over the whole range.
template <Vector V>
MAAS_INLINE V sigmoid(V x) {
  return V(1.f) / (V(1.f) + exp(-x));
}
// log(1 + e^x): 3 ulp.
template <Vector V>
MAAS_INLINE V softplus(V x) {
  const V a = min(abs(x), V(200.f));  // 200 for NaN, so that only the first term is one
  return max(V(0.f), x) + log1p_core(exp(-a));
}
// x sigmoid(x): 3 ulp; -0 below -88.7, where |y| < 3e-37.
template <Vector V>
MAAS_INLINE V silu(V x) {
  return select(x < V(-104.f), V(-0.f), x / (V(1.f) + exp(-x)));
}
// x Phi(x) with Phi = (1 + erf(x / sqrt 2)) / 2: 6 ulp, also where 1 + erf would cancel (x < 0); -0 below -12.9, where
// |y| < 3e-37. Phi(-a) = e^(-a^2 / 2) P(a) / Q(a), the square in two floats.
template <Vector V>
MAAS_INLINE V gelu_erf(V x) {
  // 14 for NaN: of two NaN factors the compiler would choose which one wins.
  const V a = min(abs(x), V(14.f)), half = a * V(-0.5f), s = half * a, s_low = fms(half, a, s);
  const V p = poly(a, 0.5f, 0.43725097f, 0.18246184f, 0.040372547f, 0.0040776064f);
  const V q = poly(a, 1.f, 1.6723869f, 1.1992909f, 0.46742913f, 0.10120578f, 0.010220914f);
  const V n = round(s * V(kLog2e)), r = fnma(n, V(kLn2Low), fnma(n, V(kLn2), s)) + s_low;
  const V e = fma(r * r, poly(r, 0.5f, 0.16666517f, 0.041666202f, 0.008369261f, 0.0013950958f), r);
  const V tail = ldexp(fma(p, e, p) / q, n);
  return max(V(-14.f), x) * select(x < V(0.f), tail, V(1.f) - tail);
}
// 0.5 x (1 + tanh(u)) = x sigmoid(2u), u = sqrt(2/pi) (x + 0.044715 x^3): 4 + 5|u| ulp for x < 0, else 4 ulp; -0
// below -9.9, where |y| < 3e-37.
template <Vector V>
MAAS_INLINE V gelu_tanh(V x) {
  const V minus_2u = x * fma(x * x, V(-0.0713548163f), V(-1.5957691216f));
  return select(x < V(-12.f), V(-0.f), x / (V(1.f) + exp(minus_2u)));
}
// x, or alpha (e^x - 1) below 0: 3 ulp.
template <Vector V>
MAAS_INLINE V elu(V x, V alpha) {
  return select(x > V(0.f), x, alpha * expm1(x));
}
// scale elu(x, alpha) with the constants of Klambauer et al., 2017, arXiv:1706.02515: 3 ulp.
template <Vector V>
MAAS_INLINE V selu(V x) {
  return select(x > V(0.f), V(1.05070098f) * x, V(1.75809934f) * expm1(x));
}

}  // namespace maas::simd
