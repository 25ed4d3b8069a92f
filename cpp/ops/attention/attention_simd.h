#pragma once
// Online softmax over blocks of 64 keys. Scores, weights and sums of 48 rows stay in L1 and L2.
#include "ops/attention/attention_tile.h"

namespace maas {
namespace {

struct Forward {
  const AttentionArgs& a;
  const AttentionShape& s;
  int64_t width;  // value_dim rounded up to 16: row stride of the sums
  float *packed, *scores, *sums, *spans, *lanes, *span_lanes, *top;

  Forward(const AttentionArgs& args, void* scratch) : a(args), s(args.s), width((args.s.value_dim + 15) / 16 * 16) {
    packed = static_cast<float*>(scratch);
    scores = packed + s.head_dim * kKeys;
    sums = scores + kQueries * kKeys;
    spans = sums + kQueries * width;
    lanes = spans + kQueries * width;
    span_lanes = lanes + kQueries * 16;
    top = span_lanes + kQueries * 16;
  }

  // e^score = 2^n f; both depend on the score alone.
  MAAS_INLINE void split(V score, V& n, V& f) {
    const V c = min(V(1e38f), max(V(-1e38f), score));
    n = round(c * V(simd::kLog2e));
    V r = fnma(n, V(simd::kLn2Low), fnma(n, V(simd::kLn2), c));
    r = min(V(0.5f), max(V(-0.5f), r));  // above 2^23 a score is no longer exact enough to have a fraction
    const V q = simd::poly(r, 0.5f, 0.16666517f, 0.041666202f, 0.008369261f, 0.0013950958f);
    // An infinite score has no softmax (inf - inf) and makes its row NaN. NaN passes by itself.
    const Mask infinite = score == V(simd::kInf);
    f = select(infinite, V(simd::kNan), fma(r * r, q, r) + V(1.f));
    n = select(infinite, V(simd::kNan), n);
  }

  // Everything summed so far for row i was in units of 2^old; now of 2^now.
  void rescale(int64_t i, float old, float now) {
    const V factor = ldexp(V(1.f), max(V(-250.f), V(old - now)));
    for (int64_t c = 0; c < width; c += 16) {
      (V::load(sums + i * width + c) * factor).store(sums + i * width + c);
      (V::load(spans + i * width + c) * factor).store(spans + i * width + c);
    }
    (V::load(lanes + i * 16) * factor).store(lanes + i * 16);
    (V::load(span_lanes + i * 16) * factor).store(span_lanes + i * 16);
  }

  // Scores of row i become weights.
  void weigh(int64_t i, uint64_t seen) {
    float* row = scores + i * kKeys;
    V n[4], f[4], highest(-simd::kInf);
    MAAS_UNROLL for (int v = 0; v < 4; v++) {
      split(V::load(row + 16 * v) * V(static_cast<float>(s.scale)), n[v], f[v]);
      n[v] = select(lanes_of(seen, v), n[v], V(-simd::kInf));
      highest = max_nan(highest, n[v]);
    }
    const float old = top[i], block = simd::max_lanes(highest), now = block > old || block != block ? block : old;
    if (now != old && old != -simd::kInf) rescale(i, old, now);
    top[i] = now;
    V lane = V::load(lanes + i * 16);
    MAAS_UNROLL for (int v = 0; v < 4; v++) {
      const V p = select(lanes_of(seen, v), ldexp(f[v], max(V(-250.f), n[v] - V(now))), V(0.f));
      lane = lane + p;
      p.store(row + 16 * v);
    }
    lane.store(lanes + i * 16);
  }

  void close_span(int64_t rows) {
    for (int64_t c = 0; c < rows * width; c += 16) {
      (V::load(spans + c) + V::load(sums + c)).store(spans + c);
      V(0.f).store(sums + c);
    }
    for (int64_t c = 0; c < rows * 16; c += 16) {
      (V::load(span_lanes + c) + V::load(lanes + c)).store(span_lanes + c);
      V(0.f).store(lanes + c);
    }
  }

  // Rows that see nothing: the mean of all values, summed once a unit into the `sums` of the first such row.
  void mean_of_values(int64_t batch, int64_t kv, float* mean) {
    for (int64_t j = 0; j < s.keys; ++j) {
      const float* v = row_at(a.v, batch, kv, j);
      for (int64_t c = 0; c < s.value_dim; c += 16)
        (V::load(mean + c) + simd::load_some<V>(v + c, s.value_dim - c, 0.f)).store(mean + c);
    }
  }

  void finish(const QueryUnit& u, int64_t kv) {
    const float* mean = nullptr;
    for (int64_t i = 0; i < u.rows; ++i) {
      const bool none = top[i] == -simd::kInf;
      const float *from = spans + i * width,
                  total = none ? static_cast<float>(s.keys) : simd::sum_lanes(V::load(span_lanes + i * 16));
      if (none && !mean) {
        mean_of_values(u.batch, kv, sums + i * width);
        mean = sums + i * width;
      }
      if (none) from = mean;
      float* y = row_at(a.y, u.batch, u.head, u.first + i);
      const V divisor(total == 0.f ? 1.f : total);
      for (int64_t c = 0; c < s.value_dim; c += 16)
        simd::store_some(V::load(from + c) / divisor, y + c, s.value_dim - c);
      if (!a.lse) continue;
      const V n(top[i]), lse = fma(n, V(simd::kLn2), fma(n, V(simd::kLn2Low), log(V(total))));
      static_cast<float*>(a.lse)[(u.batch * s.heads + u.head) * s.queries + u.first + i] =
          none ? -simd::kInf : first(lse);
    }
  }

  void unit(int64_t index) {
    const QueryUnit u = query_unit(s, index);
    const int64_t kv = u.head / (s.heads / s.kv_heads);
    for (int64_t c = 0; c < 2 * kQueries * width; c += 16) V(0.f).store(sums + c);  // and spans
    for (int64_t c = 0; c < 2 * kQueries * 16; c += 16) V(0.f).store(lanes + c);    // and span_lanes
    for (int64_t i = 0; i < u.rows; ++i) top[i] = -simd::kInf;
    int64_t stop = s.keys;
    if (s.causal && u.first + u.rows < stop) stop = u.first + u.rows;
    for (int64_t j = 0; j < stop; j += kKeys) {
      if (j && j % AttentionShape::span == 0) close_span(u.rows);
      uint64_t seen[kQueries], any = 0;
      for (int64_t i = 0; i < u.rows; ++i) any |= seen[i] = seen_keys(s, a.mask, u.batch, u.head, u.first + i, j);
      if (!any) continue;
      const int64_t count = stop - j < kKeys ? stop - j : kKeys;
      pack_transposed(row_at(a.k, u.batch, kv, j), a.k.row, count, s.head_dim, packed);
      product({row_at(a.q, u.batch, u.head, u.first), a.q.row, 1, packed, kKeys, scores, kKeys, s.head_dim, false},
              u.rows, kKeys);
      for (int64_t i = 0; i < u.rows; ++i) weigh(i, seen[i]);
      product({scores, kKeys, 1, row_at(a.v, u.batch, kv, j), a.v.row, sums, width, count, true}, u.rows, s.value_dim);
    }
    close_span(u.rows);
    finish(u, kv);
  }
};

void attention_units(const AttentionArgs& args, int64_t begin, int64_t end, const Exec& exec) {
  Forward forward(args, exec.scratch);
  for (int64_t u = begin; u < end; ++u) forward.unit(u);
}

}  // namespace
}  // namespace maas
