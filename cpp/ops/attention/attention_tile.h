#pragma once
// What the forward and the backward kernel share: small products on blocks in L1, packing, and which keys a row sees.
#include "ops/attention/attention_kernels.h"
#include "simd/isa.h"
#include "simd/philox.h"

namespace maas {
namespace {

using simd::Mask;
using simd::V;

constexpr int kTileRows = 6;  // 6 x 4 sums fill AVX-512's registers, 6 x 1 (two ymm each) AVX2's
constexpr int kTileVectors = V::kRegisters == 32 ? 4 : 1;
constexpr int64_t kKeys = AttentionShape::k_block, kQueries = AttentionShape::q_block;

// c (+)= a b for one tile; a: element (r, k) at a[r * rsa + k * csa]. One fma chain over k for every element.
struct Product {
  const float* a;
  int64_t rsa, csa;
  const float* b;
  int64_t ldb;
  float* c;
  int64_t ldc, k;
  bool add;
};

template <int R, int N, bool kMasked>
void tile(const Product& p, const float* a, const float* b, float* c, int64_t left) {
  const simd::Tail tail(kMasked ? left - 16 * (N - 1) : 16);
  simd::Block<V, R * N> acc;
  acc.fill(V(0.f));
  if (p.add) {
    MAAS_UNROLL for (int r = 0; r < R; r++) {
      MAAS_UNROLL for (int n = 0; n < N; n++) {
        const float* from = c + r * p.ldc + 16 * n;
        acc[r * N + n] = kMasked && n == N - 1 ? V::load(from, tail, 0.f) : V::load(from);
      }
    }
  }
  for (int64_t k = 0; k < p.k; ++k, a += p.csa, b += p.ldb) {
    V row[N];
    MAAS_UNROLL for (int n = 0; n < N; n++) row[n] =
        kMasked && n == N - 1 ? V::load(b + 16 * n, tail, 0.f) : V::load(b + 16 * n);
    MAAS_UNROLL for (int r = 0; r < R; r++) {
      const V x(a[r * p.rsa]);
      MAAS_UNROLL for (int n = 0; n < N; n++) acc[r * N + n] = fma(x, row[n], acc[r * N + n]);
    }
  }
  MAAS_UNROLL for (int r = 0; r < R; r++) {
    MAAS_UNROLL for (int n = 0; n < N; n++) {
      float* to = c + r * p.ldc + 16 * n;
      if (kMasked && n == N - 1)
        acc[r * N + n].store(to, tail);
      else
        acc[r * N + n].store(to);
    }
  }
}

template <int N, bool kMasked>
void tiles(const Product& p, int64_t rows, int64_t column, int64_t left) {
  for (int64_t r = 0; r < rows; r += kTileRows) {
    const float *a = p.a + r * p.rsa, *b = p.b + column;
    float* c = p.c + r * p.ldc + column;
    switch (rows - r) {
      case 1:
        tile<1, N, kMasked>(p, a, b, c, left);
        break;
      case 2:
        tile<2, N, kMasked>(p, a, b, c, left);
        break;
      case 3:
        tile<3, N, kMasked>(p, a, b, c, left);
        break;
      case 4:
        tile<4, N, kMasked>(p, a, b, c, left);
        break;
      case 5:
        tile<5, N, kMasked>(p, a, b, c, left);
        break;
      default:
        tile<6, N, kMasked>(p, a, b, c, left);
    }
  }
}

// rows x n results.
void product(const Product& p, int64_t rows, int64_t n) {
  for (int64_t column = 0; column < n; column += 16 * kTileVectors) {
    const int64_t left = n - column;
    if (left >= 16 * kTileVectors) {
      tiles<kTileVectors, false>(p, rows, column, left);
      continue;
    }
    if constexpr (kTileVectors == 4) {
      if (left > 48)
        tiles<4, true>(p, rows, column, left);
      else if (left > 32)
        tiles<3, true>(p, rows, column, left);
      else if (left > 16)
        tiles<2, true>(p, rows, column, left);
      else
        tiles<1, true>(p, rows, column, left);
    } else {
      tiles<1, true>(p, rows, column, left);
    }
  }
}

MAAS_INLINE float* row_at(const AttentionTensor& t, int64_t batch, int64_t head, int64_t i) {
  return static_cast<float*>(const_cast<void*>(t.data)) + batch * t.batch + head * t.head + i * t.row;
}

// y[c][j] = x[j][c] for `rows` rows of n columns; kWidth rows wide, missing ones 0.
template <int64_t kWidth>
void pack_transposed(const float* x, int64_t ld, int64_t rows, int64_t n, float* y) {
  for (int64_t j = 0; j < kWidth; j += 16)
    for (int64_t c = 0; c < n; c += 16) {
      V block[16];
      MAAS_UNROLL for (int i = 0; i < 16; i++) block[i] =
          j + i < rows ? simd::load_some<V>(x + (j + i) * ld + c, n - c, 0.f) : V(0.f);
      transpose(block);
      const int64_t count = n - c < 16 ? n - c : 16;
      if (count == 16)
        MAAS_UNROLL for (int i = 0; i < 16; i++) block[i].store(y + (c + i) * kWidth + j);
      else
        for (int64_t i = 0; i < count; ++i) block[i].store(y + (c + i) * kWidth + j);
    }
}

MAAS_INLINE uint64_t low_bits(int64_t count) {
  return count <= 0 ? 0 : count >= 64 ? ~uint64_t{0} : (uint64_t{1} << count) - 1;
}

// Bit k: row `i` sees key first + k, as far as position and mask tell.
MAAS_INLINE uint64_t seen_keys(const AttentionShape& s, const AttentionTable& m, int64_t batch, int64_t head, int64_t i,
                               int64_t first) {
  const AttentionShape::Range r = s.range(batch, i);
  const uint64_t all = low_bits(r.last - first) & ~low_bits(r.first - first);
  if (!all || !m.data) return all;
  const int64_t count = r.last - first < kKeys ? r.last - first : kKeys;
  const uint8_t* p =
      static_cast<const uint8_t*>(m.data) + batch * m.batch + head * m.head + i * m.row + first * m.column;
  if (m.column == 0) return *p ? all : 0;
  uint64_t bits = 0;
  if (m.column == 1) {
    for (int64_t k = 0; k < count; k += 16) {
      const V bytes = simd::load_some<V>(p + k, count - k, 0.f);
      bits |= static_cast<uint64_t>((bytes != V(0.f)).bits()) << k;
    }
  } else {
    for (int64_t k = 0; k < count; ++k) bits |= static_cast<uint64_t>(p[k * m.column] != 0) << k;
  }
  return bits & all;
}

MAAS_INLINE Mask lanes_of(uint64_t bits, int vector) {
  return Mask::from_bits(static_cast<uint32_t>(bits >> (16 * vector)) & 0xffffu);
}

// What stands between q.k and the score of one row and one block of keys.
struct Scores {
  V scale, cap;
  bool capped;
  const float* bias;  // of key `first`, or null
  bool wide;          // one bias a key, or one for all
  int64_t left;       // keys from `first` on

  MAAS_MEMBER Scores(const AttentionShape& s, const AttentionTable& b, int64_t batch, int64_t head, int64_t i,
                     int64_t first)
      : scale(static_cast<float>(s.scale)),
        cap(static_cast<float>(s.soft_cap)),
        capped(s.soft_cap != 0),
        bias(b.data ? static_cast<const float*>(b.data) + batch * b.batch + head * b.head + i * b.row +
                          (b.column ? first : 0)
                    : nullptr),
        wide(b.column != 0),
        left(s.keys - first) {}
  MAAS_MEMBER V capped_score(V product) const {
    const V x = product * scale;
    return capped ? cap * tanh(x / cap) : x;
  }
  MAAS_MEMBER V bias_of(int v) const {
    if (!bias) return V(0.f);
    if (!wide) return V(*bias);
    return left > 16 * v ? simd::load_some<V>(bias + 16 * v, left - 16 * v, 0.f) : V(0.f);
  }
};

// Which of 64 weights dropout keeps, from flat element e of the weights on.
struct Kept {
  bool on;
  PhiloxKey key{};
  __m256i below;
  V by;  // 1 / (1 - rate)

  explicit Kept(const AttentionDropout& d) : on(d.threshold != 0), below(_mm256_setzero_si256()), by(1.f) {
    if (!on) return;
    key = philox_key(d.state, d.state_dtype, d.stream);
    below = _mm256_set1_epi32(static_cast<int>(d.threshold) - 1);
    by = V(static_cast<float>(1 / d.keep));
  }
  uint64_t bits(int64_t e) const {
    unsigned __int128 found = 0;
    const uint64_t base = static_cast<uint64_t>(e) / 32;
    for (int g = 0; g < 3; ++g) {
      const simd::Words words = simd::philox_words(key.key, key.step, (base + static_cast<uint64_t>(g)) * 8);
      for (int j = 0; j < 4; ++j) {
        const __m256i kept = _mm256_cmpgt_epi32(_mm256_srli_epi32(words.w[j], 8), below);
        const auto eight = static_cast<unsigned>(_mm256_movemask_ps(_mm256_castsi256_ps(kept)));
        found |= static_cast<unsigned __int128>(eight) << (32 * g + 8 * j);
      }
    }
    return static_cast<uint64_t>(found >> (e % 32));
  }
};

MAAS_INLINE int64_t flat_weight(const AttentionShape& s, int64_t batch, int64_t head, int64_t i, int64_t j) {
  return ((batch * s.heads + head) * s.queries + i) * s.keys + j;
}

// Rows of one head.
struct QueryUnit {
  int64_t batch, head, first, rows;
};
MAAS_INLINE QueryUnit query_unit(const AttentionShape& s, int64_t unit) {
  const int64_t head = unit / s.q_blocks(), first = unit % s.q_blocks() * kQueries;
  return {head / s.heads, head % s.heads, first, s.queries - first < kQueries ? s.queries - first : kQueries};
}

// The keys that rows [first, first + rows) may see by their positions, widened to blocks on the left.
MAAS_INLINE AttentionShape::Range key_range(const AttentionShape& s, int64_t batch, int64_t first, int64_t rows) {
  const AttentionShape::Range a = s.range(batch, first), z = s.range(batch, first + rows - 1);
  return {a.first / kKeys * kKeys, z.last};
}

}  // namespace
}  // namespace maas
