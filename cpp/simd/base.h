// What both instruction sets share: inlining macros, storage types, tags and constants. See README.md for the
// interface.
#pragma once
// GCC 12's own _mm512_undefined_* warn when inlined (GCC bug 105593).
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop

#include <cstddef>
#include <cstdint>
#include <cstring>

// Forced inlining keeps vectors in registers and leaves no symbol behind in an ISA object.
#define MAAS_INLINE static inline __attribute__((always_inline))
#define MAAS_MEMBER inline __attribute__((always_inline))
// Before a loop of fixed length over accumulators: without full unrolling they would live on the stack.
#define MAAS_UNROLL _Pragma("GCC unroll 64")

namespace maas::simd {

// Storage types: bits only. V::load and V::store convert, to nearest even; a NaN stays a NaN.
struct bf16 {
  uint16_t bits;
};
struct f16 {
  uint16_t bits;
};

inline constexpr int kLanes = 16;  // of every vector, on every ISA
inline constexpr float kInf = __builtin_inff();
inline constexpr float kNan = __builtin_nanf("");
inline constexpr float kMinNormal = 0x1p-126f;

struct Adl {};   // base of every vector type, so that unqualified math functions (exp, ...) are found here
struct Full {};  // stands for a Tail that has all 16 lanes

template <class V>
concept Vector = requires { typename V::Mask; };

}  // namespace maas::simd
