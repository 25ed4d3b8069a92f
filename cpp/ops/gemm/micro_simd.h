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
  int64_t ldc, columns;        // of c in this tile, 1 .. 16 C
  bool first;                  // start from 0, else from c
  const float* bias;           // added at the end if not null
  const float* add = nullptr;  // then this, which lies as c does
  bool relu;                   // then no more than top
  float top;
  // Panel rows to ask for ahead of use, 0 for none. A load that misses L1 costs slots of the FMA ports, since what
  // waits for it is tried in vain.
  static constexpr int kAhead = 0;
  // Whether a tile asks for the next panel, so that it is in L2 when its turn comes: a line at `far` and one at
  // far + far_more for every term, then far_step floats on.
  static constexpr bool kFar = false;
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
  const float* far = nullptr;
  int64_t far_step = 0, far_more = 0;
  if constexpr (T::kFar) {
    far = t.far;
    far_step = t.far_step;
    far_more = t.far_more;
  }
  if (t.add) {  // is here when the terms are through
    MAAS_UNROLL for (int i = 0; i < R; ++i) MAAS_UNROLL for (int j = 0; j < C; ++j)
        __builtin_prefetch(t.add + i * t.ldc + j * kLanes);
  }
  t.each_run([&](const float* a, int64_t step, const float* b, int64_t length) __attribute__((always_inline)) {
    // A pointer for every three rows: offsets of every row would not fit the scalar registers.
    constexpr int kGroups = (R + 2) / 3;
    const float* rows[kGroups];
    MAAS_UNROLL for (int i = 0; i < kGroups; ++i) rows[i] = a + 3 * i * rsa;
    // Small tiles are through with a row of the panel sooner.
    const float* ahead = b + T::kAhead * (R * C > 16 ? 1 : 4) * ldb;
    for (int64_t k = 0; k < length; ++k, b += ldb, ahead += ldb) {
      Block<V, C> row;
      row.load(b);
      if constexpr (T::kAhead > 0 && R * C * 32 >= 8 * V::kRegisters) {
        MAAS_UNROLL for (int j = 0; j < C; ++j) __builtin_prefetch(ahead + j * kLanes);
      }
      if constexpr (T::kFar) {
        __builtin_prefetch(far, 0, 2);
        __builtin_prefetch(far + far_more, 0, 2);
        far += far_step;
      }
      if constexpr (requires { t.fetch(k); }) t.fetch(k);
      MAAS_UNROLL for (int i = 0; i < R; ++i) {
        // One broadcast serves C products: as a memory operand of every fma the loads would be the limit.
        const V x(rows[i / 3][i % 3 * rsa]);
        MAAS_UNROLL for (int j = 0; j < C; ++j) acc[i * C + j] = fma(x, row[j], acc[i * C + j]);
      }
      MAAS_UNROLL for (int i = 0; i < kGroups; ++i) rows[i] += step;
    }
  });
  if (t.bias) {
    MAAS_UNROLL for (int j = 0; j < C; ++j) {
      const V bias = j == C - 1 ? V::load(t.bias + j * kLanes, tail, 0.f) : V::load(t.bias + j * kLanes);
      MAAS_UNROLL for (int i = 0; i < R; ++i) acc[i * C + j] = acc[i * C + j] + bias;
    }
  }
  if (t.add) {
    MAAS_UNROLL for (int i = 0; i < R; ++i) MAAS_UNROLL for (int j = 0; j < C; ++j) {
      const float* add = t.add + i * t.ldc + j * kLanes;
      acc[i * C + j] = acc[i * C + j] + (j == C - 1 ? V::load(add, tail, 0.f) : V::load(add));
    }
  }
  if (t.relu) {  // keeps NaN; -0 becomes 0
    const V top(t.top);
    MAAS_UNROLL for (int i = 0; i < R * C; ++i) acc[i] = min(top, max(V(0.f), acc[i]) + V(0.f));
  }
  float* c = t.c;
  const int64_t ldc = t.ldc;
  MAAS_UNROLL for (int i = 0; i < R; ++i, c += ldc) MAAS_UNROLL for (int j = 0; j < C; ++j) {
    if (j == C - 1)
      acc[i * C + j].store(c + j * kLanes, tail);
    else
      acc[i * C + j].store(c + j * kLanes);
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
