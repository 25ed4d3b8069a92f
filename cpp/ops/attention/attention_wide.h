#pragma once
// Steps of the forward kernel with queries in lanes: scores lie as t[key][48 queries], so keys are read where they are,
// maxima and sums need no steps across lanes, and P is read by the product with V in its columns. All in units of
// log2: t = score log2(e). The bits are those of the kernel with keys in lanes.
#include "ops/attention/attention_tile.h"

namespace maas {
namespace {

constexpr int kWideVectors = kQueries / 16;
constexpr int kScoreRows = V::kRegisters == 32 ? 8 : 6;  // with 3 (AVX2: 1) vectors of queries

// 2^t = 2^n f; both depend on t alone. An infinite t gives NaN (inf - inf), as softmax does; -inf counts as -1e30.
MAAS_INLINE void split_weight(V t, V& n, V& f) {
  const V c = max(V(-1e30f), t);
  n = round(c);
  const V r = c - n;
  f = fma(r, simd::poly(r, 0.6931472f, 0.2402265f, 0.055503294f, 0.009618005f, 0.001339988f, 0.00015476193f), V(1.f));
}

// Scores of R keys and N vectors of queries, and the running maximum, which a NaN leaves as it is.
template <int R, int N>
void score_tile(const float* k, int64_t ld, const float* q, int64_t d, V scale, float* t, V* top) {
  simd::Block<V, R * N> acc;
  acc.fill(V(0.f));
  const float* x[R];
  MAAS_UNROLL for (int r = 0; r < R; r++) x[r] = k + r * ld;
  for (int64_t c = 0; c < d; ++c, q += kQueries) {
    V row[N];
    MAAS_UNROLL for (int n = 0; n < N; n++) row[n] = V::load(q + 16 * n);
    MAAS_UNROLL for (int r = 0; r < R; r++) {
      const V one(x[r][c]);
      MAAS_UNROLL for (int n = 0; n < N; n++) acc[r * N + n] = fma(one, row[n], acc[r * N + n]);
    }
  }
  MAAS_UNROLL for (int n = 0; n < N; n++) {
    V best = top[n];
    MAAS_UNROLL for (int r = 0; r < R; r++) {
      const V score = acc[r * N + n] * scale;
      score.store(t + r * kQueries + 16 * n);
      best = max(score, best);
    }
    top[n] = best;
  }
}

template <int N>
void score_tiles(const float* k, int64_t ld, int64_t keys, const float* q, int64_t d, V scale, float* t, V* top) {
  int64_t j = 0;
  for (; j + kScoreRows <= keys; j += kScoreRows)
    score_tile<kScoreRows, N>(k + j * ld, ld, q, d, scale, t + j * kQueries, top);
  for (; j < keys; ++j) score_tile<1, N>(k + j * ld, ld, q, d, scale, t + j * kQueries, top);
}

void score_block(int vectors, const float* k, int64_t ld, int64_t keys, const float* q, int64_t d, V scale, float* t,
                 V* top) {
  if constexpr (V::kRegisters == 32) {
    if (vectors == 3) return score_tiles<3>(k, ld, keys, q, d, scale, t, top);
    if (vectors == 2) return score_tiles<2>(k, ld, keys, q, d, scale, t, top);
  }
  for (int n = 0; n < vectors; ++n) score_tiles<1>(k, ld, keys, q + 16 * n, d, scale, t + 16 * n, top + n);
}

// Which of 16 queries see a key: those for which first <= key < last.
struct Sight {
  simd::I first, last;
  MAAS_MEMBER Mask of(int64_t key) const {
    const simd::I j(static_cast<int32_t>(key));
    return (first <= j) & (j < last);
  }
};

// Scores that a query does not see become -inf; the maximum anew.
void hide(int vectors, const Sight* sight, int64_t first, int64_t keys, float* t, V* top) {
  for (int n = 0; n < vectors; ++n) {
    V best(-simd::kInf);
    for (int64_t j = 0; j < keys; ++j) {
      float* at = t + j * kQueries + 16 * n;
      const V score = select(sight[n].of(first + j), V::load(at), V(-simd::kInf));
      score.store(at);
      best = max(score, best);
    }
    top[n] = best;
  }
}

// Scores become weights in units of 2^top; key j adds to lane j mod 16 of its query's sum.
template <bool kHidden>
void weigh_block(int vectors, const Sight* sight, int64_t first, int64_t keys, const V* top, float* t, float* lanes) {
  for (int n = 0; n < vectors; ++n) {
    const V base = top[n];
    for (int64_t l = 0; l < 16 && l < keys; ++l) {
      V lane = V::load(lanes + l * kQueries + 16 * n);
      for (int64_t j = l; j < keys; j += 16) {
        float* at = t + j * kQueries + 16 * n;
        V e, f;
        split_weight(V::load(at), e, f);
        V p = ldexp(f, max(V(-250.f), e - base));
        if constexpr (kHidden) p = select(sight[n].of(first + j), p, V(0.f));
        p.store(at);
        lane = lane + p;
      }
      lane.store(lanes + l * kQueries + 16 * n);
    }
  }
}

// Sums of 16 queries over their 16 lanes, by the tree of sum_lanes.
MAAS_INLINE V sum_of_lanes(const float* lanes) {
  V v[16];
  MAAS_UNROLL for (int l = 0; l < 16; l++) v[l] = V::load(lanes + l * kQueries);
  MAAS_UNROLL for (int l = 0; l < 8; l++) v[l] = v[l] + v[l + 8];
  MAAS_UNROLL for (int l = 0; l < 4; l++) v[l] = v[l] + v[l + 4];
  MAAS_UNROLL for (int l = 0; l < 2; l++) v[l] = v[l] + v[l + 2];
  return v[0] + v[1];
}

}  // namespace
}  // namespace maas
