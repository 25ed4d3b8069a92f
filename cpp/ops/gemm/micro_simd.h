#pragma once
// The register kernel of gemm and conv: R rows x C vectors of c live in registers while all terms of a block pass. a is
// read in place and broadcast, b comes from packed panels. A tile type adds to MicroTile how its terms lie:
//   each_run(fn): fn(a, step, b, length) for every run of terms, a `step` apart in a and a panel row apart in b.
//   fetch(k), if it has one: asks for memory that is needed soon, at term k of a run.
#include "ops/gemm/pack_simd.h"
#include "simd/isa.h"

namespace maas {
namespace {

using simd::Block;

struct MicroTile {
  int64_t rsa, ldb;  // from one row to the next, of a and of the panel
  float* c;
  int64_t ldc, columns;  // of c in this tile, 1 .. 16 C
  bool first;            // start from 0, else from c
  const float* bias;     // added at the end if not null
  bool relu;
};

// One fma chain over the terms per element, whatever R and C: the bits are those of any other tile.
template <int R, int C, class T>
void micro(const T& t) {
  Block<V, R * C> acc;
  const Tail tail(t.columns - (C - 1) * kLanes);
  if (t.first) {
    acc.fill(V(0.f));
  } else {
    MAAS_UNROLL for (int i = 0; i < R; ++i) MAAS_UNROLL for (int j = 0; j < C; ++j) {
      const float* c = t.c + i * t.ldc + j * kLanes;
      acc[i * C + j] = j == C - 1 ? V::load(c, tail, 0.f) : V::load(c);
    }
  }
  const int64_t rsa = t.rsa, ldb = t.ldb;
  t.each_run([&](const float* a, int64_t step, const float* b, int64_t length) __attribute__((always_inline)) {
    for (int64_t k = 0; k < length; ++k, a += step, b += ldb) {
      Block<V, C> row;
      row.load(b);
      if constexpr (requires { t.fetch(k); }) t.fetch(k);
      MAAS_UNROLL for (int i = 0; i < R; ++i) {
        // One broadcast serves C products: as a memory operand of every fma the loads would be the limit.
        const V x(a[i * rsa]);
        MAAS_UNROLL for (int j = 0; j < C; ++j) acc[i * C + j] = fma(x, row[j], acc[i * C + j]);
      }
    }
  });
  const float* const biases = t.bias;
  float* const to = t.c;
  const int64_t ldc = t.ldc;
  const bool relu = t.relu;
  MAAS_UNROLL for (int j = 0; j < C; ++j) {
    const bool last = j == C - 1;
    if (biases) {
      const V bias = last ? V::load(biases + j * kLanes, tail, 0.f) : V::load(biases + j * kLanes);
      MAAS_UNROLL for (int i = 0; i < R; ++i) acc[i * C + j] = acc[i * C + j] + bias;
    }
    MAAS_UNROLL for (int i = 0; i < R; ++i) {
      V v = acc[i * C + j];
      if (relu) v = max(V(0.f), v) + V(0.f);  // keeps NaN; -0 becomes 0
      float* c = to + i * ldc + j * kLanes;
      if (last)
        v.store(c, tail);
      else
        v.store(c);
    }
  }
}

template <class T>
using Micro = void (*)(const T&);

// Row counts that keep all sums in registers: 14, 13, 8 and 6 rows for 1 to 4 vectors (AVX-512); 6 rows of 1 (AVX2).
#define MAAS_ROWS6(C) \
  nullptr, micro<1, C, T>, micro<2, C, T>, micro<3, C, T>, micro<4, C, T>, micro<5, C, T>, micro<6, C, T>
#if defined(__AVX512F__)
#define MAAS_ROWS8(C) MAAS_ROWS6(C), micro<7, C, T>, micro<8, C, T>
#define MAAS_ROWS12(C) MAAS_ROWS8(C), micro<9, C, T>, micro<10, C, T>, micro<11, C, T>, micro<12, C, T>
template <class T>
const Micro<T> kMicro[5][15] = {{},
                                {MAAS_ROWS12(1), micro<13, 1, T>, micro<14, 1, T>},
                                {MAAS_ROWS12(2), micro<13, 2, T>},
                                {MAAS_ROWS8(3)},
                                {MAAS_ROWS6(4)}};
#undef MAAS_ROWS8
#undef MAAS_ROWS12
#else
template <class T>
const Micro<T> kMicro[2][7] = {{}, {MAAS_ROWS6(1)}};
#endif
#undef MAAS_ROWS6

}  // namespace
}  // namespace maas
