#pragma once
// Online softmax over blocks of 64 keys. Scores, weights and sums of 48 rows stay in L1 and L2.
#include "ops/attention/attention_tile.h"

namespace maas {
namespace {

// Rows of one or several heads that share keys: row r is query first + r % queries of head head + r / queries.
struct SharedUnit {
  int64_t batch, kv, head, first, queries, rows;
  MAAS_MEMBER int64_t head_of(int64_t r) const { return head + r / queries; }
  MAAS_MEMBER int64_t query_of(int64_t r) const { return first + r % queries; }
};
MAAS_INLINE SharedUnit shared_unit(const AttentionShape& s, int64_t unit) {
  const int64_t first = unit % s.q_blocks() * kQueries, block = unit / s.q_blocks() % s.head_blocks(),
                kv = unit / s.q_blocks() / s.head_blocks();
  const int64_t queries = s.queries - first < kQueries ? s.queries - first : kQueries;
  const int64_t skip = block * s.unit_heads(), left = s.groups() - skip,
                heads = left < s.unit_heads() ? left : s.unit_heads();
  return {kv / s.kv_heads, kv % s.kv_heads, kv % s.kv_heads * s.groups() + skip, first, queries, heads * queries};
}

struct Forward {
  const AttentionArgs& a;
  const AttentionShape& s;
  int64_t width;  // value_dim rounded up to 16: row stride of the sums
  Kept kept;
  float *packed, *rows_of_q, *scores, *sums, *spans, *lanes, *span_lanes, *top;

  Forward(const AttentionArgs& args, void* scratch)
      : a(args), s(args.s), width((args.s.value_dim + 15) / 16 * 16), kept(args.dropout) {
    packed = static_cast<float*>(scratch);
    scores = packed + s.head_dim * kKeys;
    sums = scores + kQueries * kKeys;
    spans = sums + kQueries * width;
    lanes = spans + kQueries * width;
    span_lanes = lanes + kQueries * 16;
    rows_of_q = span_lanes + kQueries * 16;
    top = rows_of_q + kQueries * s.head_dim;
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
  void weigh(const SharedUnit& u, int64_t i, int64_t first, uint64_t seen) {
    const int64_t head = u.head_of(i), query = u.query_of(i);
    const Scores to(s, a.bias, u.batch, head, query, first);
    float* row = scores + i * kKeys;
    V n[4], f[4], highest(-simd::kInf);
    Mask sees[4];
    MAAS_UNROLL for (int v = 0; v < 4; v++) {
      V score = to.capped_score(V::load(row + 16 * v));
      sees[v] = lanes_of(seen, v);
      if (to.bias) {
        const V bias = to.bias_of(v);
        sees[v] = sees[v] & ~(bias == V(-simd::kInf));
        score = score + bias;
      }
      split(score, n[v], f[v]);
      n[v] = select(sees[v], n[v], V(-simd::kInf));
      highest = max_nan(highest, n[v]);
    }
    const float old = top[i], block = simd::max_lanes(highest), now = block > old || block != block ? block : old;
    if (now != old && old != -simd::kInf) rescale(i, old, now);
    top[i] = now;
    const uint64_t keep = kept.on ? kept.bits(flat_weight(s, u.batch, head, query, first)) : ~uint64_t{0};
    V lane = V::load(lanes + i * 16);
    MAAS_UNROLL for (int v = 0; v < 4; v++) {
      V p = select(sees[v], ldexp(f[v], max(V(-250.f), n[v] - V(now))), V(0.f));
      lane = lane + p;
      if (kept.on) p = select(lanes_of(keep, v), p * kept.by, V(0.f));
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

  // A row that sees nothing: the sum of all values that are there, less those that dropout takes.
  void sum_of_values(const SharedUnit& u, int64_t i, int64_t keys, float* sum) {
    for (int64_t j = 0; j < keys; ++j) {
      if (kept.on && !(kept.bits(flat_weight(s, u.batch, u.head_of(i), u.query_of(i), j)) & 1)) continue;
      const float* v = row_at(a.v, u.batch, u.kv, j);
      for (int64_t c = 0; c < s.value_dim; c += 16)
        (V::load(sum + c) + simd::load_some<V>(v + c, s.value_dim - c, 0.f) * kept.by).store(sum + c);
    }
  }

  void finish(const SharedUnit& u) {
    const float* mean = nullptr;
    const int64_t keys = s.length(u.batch);
    for (int64_t i = 0; i < u.rows; ++i) {
      const bool none = top[i] == -simd::kInf;
      const float *from = spans + i * width,
                  total = none ? static_cast<float>(keys) : simd::sum_lanes(V::load(span_lanes + i * 16));
      if (none && (!mean || kept.on)) {
        sum_of_values(u, i, keys, sums + i * width);
        mean = sums + i * width;
      }
      if (none) from = mean;
      float* y = row_at(a.y, u.batch, u.head_of(i), u.query_of(i));
      const V divisor(total == 0.f ? 1.f : total);
      for (int64_t c = 0; c < s.value_dim; c += 16)
        simd::store_some(V::load(from + c) / divisor, y + c, s.value_dim - c);
      if (!a.lse) continue;
      const V n(top[i]), lse = fma(n, V(simd::kLn2), fma(n, V(simd::kLn2Low), log(V(total))));
      static_cast<float*>(a.lse)[(u.batch * s.heads + u.head_of(i)) * s.queries + u.query_of(i)] =
          none ? -simd::kInf : first(lse);
    }
  }

  void unit(int64_t index) {
    const SharedUnit u = shared_unit(s, index);
    for (int64_t c = 0; c < 2 * kQueries * width; c += 16) V(0.f).store(sums + c);  // and spans
    for (int64_t c = 0; c < 2 * kQueries * 16; c += 16) V(0.f).store(lanes + c);    // and span_lanes
    for (int64_t i = 0; i < u.rows; ++i) top[i] = -simd::kInf;
    // The rows side by side: they may be of several heads, and lie far apart.
    for (int64_t i = 0; i < u.rows; ++i) {
      const float* q = row_at(a.q, u.batch, u.head_of(i), u.query_of(i));
      for (int64_t c = 0; c < s.head_dim; c += 16)
        simd::store_some(simd::load_some<V>(q + c, s.head_dim - c, 0.f), rows_of_q + i * s.head_dim + c,
                         s.head_dim - c);
    }
    const AttentionShape::Range range = key_range(s, u.batch, u.first, u.queries);
    for (int64_t j = range.first; j < range.last; j += kKeys) {
      if (j && j % AttentionShape::span == 0) close_span(u.rows);
      uint64_t seen[kQueries], any = 0;
      for (int64_t i = 0; i < u.rows; ++i)
        any |= seen[i] = seen_keys(s, a.mask, u.batch, u.head_of(i), u.query_of(i), j);
      if (!any) continue;
      const int64_t count = range.last - j < kKeys ? range.last - j : kKeys;
      pack_transposed(row_at(a.k, u.batch, u.kv, j), a.k.row, count, s.head_dim, packed);
      product({rows_of_q, s.head_dim, 1, packed, kKeys, scores, kKeys, s.head_dim, false}, u.rows, kKeys);
      for (int64_t i = 0; i < u.rows; ++i) weigh(u, i, j, seen[i]);
      product({scores, kKeys, 1, row_at(a.v, u.batch, u.kv, j), a.v.row, sums, width, count, true}, u.rows,
              s.value_dim);
    }
    close_span(u.rows);
    finish(u);
  }
};

void attention_units(const AttentionArgs& args, int64_t begin, int64_t end, const Exec& exec) {
  Forward forward(args, exec.scratch);
  for (int64_t u = begin; u < end; ++u) {
    args.s.check_length(shared_unit(args.s, u).batch, exec);
    forward.unit(u);
  }
}

}  // namespace
}  // namespace maas
