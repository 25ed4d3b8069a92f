#pragma once
// Online softmax over blocks of 64 keys. Scores, weights and sums of 48 rows stay in L1 and L2. Few rows, masks, biases
// and dropout keep keys in lanes; else queries.
#include "ops/attention/attention_wide.h"

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
  V scale;  // of scores in units of log2
  float *packed, *rows_of_q, *scores, *sums, *spans, *lanes, *span_lanes, *top;

  Forward(const AttentionArgs& args, void* scratch)
      : a(args),
        s(args.s),
        width((args.s.value_dim + 15) / 16 * 16),
        kept(args.dropout),
        scale(static_cast<float>(args.s.scale * 1.4426950408889634)) {
    packed = static_cast<float*>(scratch);
    scores = packed + s.head_dim * kKeys;
    sums = scores + kQueries * kKeys;
    spans = sums + kQueries * width;
    lanes = spans + kQueries * width;
    span_lanes = lanes + kQueries * 16;
    rows_of_q = span_lanes + kQueries * 16;
    top = rows_of_q + kQueries * s.head_dim;
  }

  // Everything summed so far for row i was in units of 2^old; now of 2^now.
  void rescale(int64_t i, float old, float now) {
    const V factor = ldexp(V(1.f), max(V(-250.f), V(old - now)));
    rescale_values(i, factor);
    (V::load(lanes + i * 16) * factor).store(lanes + i * 16);
    (V::load(span_lanes + i * 16) * factor).store(span_lanes + i * 16);
  }
  void rescale_values(int64_t i, V factor) {
    for (int64_t c = 0; c < width; c += 16) {
      (V::load(sums + i * width + c) * factor).store(sums + i * width + c);
      (V::load(spans + i * width + c) * factor).store(spans + i * width + c);
    }
  }

  // Scores of row i become weights.
  void weigh(const SharedUnit& u, int64_t i, int64_t first, uint64_t seen) {
    const int64_t head = u.head_of(i), query = u.query_of(i);
    const Scores to(s, a.bias, u.batch, head, query, first);
    float* row = scores + i * kKeys;
    V n[4], f[4], highest(-simd::kInf);
    Mask sees[4];
    MAAS_UNROLL for (int v = 0; v < 4; v++) {
      const V product = V::load(row + 16 * v);
      V score = product * scale;
      sees[v] = lanes_of(seen, v);
      if (to.bias || to.capped) {
        const V bias = to.bias_of(v);
        sees[v] = sees[v] & ~(bias == V(-simd::kInf));
        score = (to.capped_score(product) + bias) * V(simd::kLog2e);
      }
      split_weight(score, n[v], f[v]);
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

  // Row i: sums times 1 / total, and its log-sum-exp. A row that sees nothing gets the mean of the values.
  void finish_row(const SharedUnit& u, int64_t i, bool none, float total, const float*& mean) {
    const float* from = spans + i * width;
    if (none) {
      const int64_t keys = s.length(u.batch);
      total = static_cast<float>(keys);
      if (!mean || kept.on) {
        sum_of_values(u, i, keys, sums + i * width);
        mean = sums + i * width;
      }
      from = mean;
    }
    float* y = row_at(a.y, u.batch, u.head_of(i), u.query_of(i));
    const V by(1.f / (total == 0.f ? 1.f : total));
    for (int64_t c = 0; c < s.value_dim; c += 16) simd::store_some(V::load(from + c) * by, y + c, s.value_dim - c);
    if (!a.lse) return;
    const V n(top[i]), lse = fma(n, V(simd::kLn2), fma(n, V(simd::kLn2Low), log(V(total))));
    static_cast<float*>(a.lse)[(u.batch * s.heads + u.head_of(i)) * s.queries + u.query_of(i)] =
        none ? -simd::kInf : first(lse);
  }

  void finish(const SharedUnit& u) {
    const float* mean = nullptr;
    for (int64_t i = 0; i < u.rows; ++i)
      finish_row(u, i, top[i] == -simd::kInf, simd::sum_lanes(V::load(span_lanes + i * 16)), mean);
  }

  // Whether queries go to lanes: enough of them, and nothing that differs from score to score.
  bool wide(const SharedUnit& u) const {
    constexpr int64_t kFew = 8;
    return u.rows > kFew && !a.mask.data && !a.bias.data && s.soft_cap == 0 && !kept.on;
  }

  // The maxima grow to those of a block, and what was summed follows.
  void raise(int vectors, const V* block) {
    for (int n = 0; n < vectors; ++n) {
      const V old = V::load(top + 16 * n), now = max(round(max(V(-1e30f), block[n])), old);
      now.store(top + 16 * n);
      const Mask moved = (now != old) & (old != V(-simd::kInf));
      if (!any(moved)) continue;
      const V factor = select(moved, ldexp(V(1.f), max(V(-250.f), old - now)), V(1.f));
      alignas(64) float by[16];
      factor.store(by);
      for (uint32_t left = moved.bits(); left; left &= left - 1) {
        const int i = __builtin_ctz(left);
        rescale_values(16 * n + i, V(by[i]));
      }
      for (int64_t l = 0; l < 16; ++l) {
        float *lane = lanes + l * kQueries + 16 * n, *span_lane = span_lanes + l * kQueries + 16 * n;
        (V::load(lane) * factor).store(lane);
        (V::load(span_lane) * factor).store(span_lane);
      }
    }
  }

  void wide_unit(const SharedUnit& u) {
    const int vectors = static_cast<int>((u.rows + 15) / 16);
    float* q = packed;
    pack_transposed<kQueries>(rows_of_q, s.head_dim, u.rows, s.head_dim, q);
    const AttentionShape::Range range = key_range(s, u.batch, u.first, u.queries);
    // Queries that are not there see what the last one sees.
    alignas(64) int32_t first[kQueries], last[kQueries];
    for (int64_t i = 0; i < kQueries; ++i) {
      const AttentionShape::Range r = s.range(u.batch, u.query_of(i < u.rows ? i : u.rows - 1));
      first[i] = static_cast<int32_t>(r.first);
      last[i] = static_cast<int32_t>(r.last);
    }
    int64_t all_from = first[0], all_to = last[0];  // keys that every query sees
    for (int64_t i = 1; i < u.rows; ++i) {
      all_from = first[i] > all_from ? first[i] : all_from;
      all_to = last[i] < all_to ? last[i] : all_to;
    }
    Sight sight[kWideVectors];
    for (int n = 0; n < kWideVectors; ++n) sight[n] = {simd::I::load(first + 16 * n), simd::I::load(last + 16 * n)};
    for (int64_t j = range.first; j < range.last; j += kKeys) {
      if (j && j % AttentionShape::span == 0) close_span(kQueries);
      const int64_t count = range.last - j < kKeys ? range.last - j : kKeys;
      const bool hidden = j < all_from || j + count > all_to;
      V block[kWideVectors] = {V(-simd::kInf), V(-simd::kInf), V(-simd::kInf)}, now[kWideVectors];
      score_block(vectors, row_at(a.k, u.batch, u.kv, j), a.k.row, count, q, s.head_dim, scale, scores, block);
      if (hidden) hide(vectors, sight, j, count, scores, block);
      raise(vectors, block);
      for (int n = 0; n < vectors; ++n) now[n] = V::load(top + 16 * n);
      if (hidden)
        weigh_block<true>(vectors, sight, j, count, now, scores, lanes);
      else
        weigh_block<false>(vectors, sight, j, count, now, scores, lanes);
      product({scores, 1, kQueries, row_at(a.v, u.batch, u.kv, j), a.v.row, sums, width, count, true}, u.rows,
              s.value_dim);
    }
    close_span(kQueries);
    alignas(64) float total[kQueries];
    for (int n = 0; n < vectors; ++n) sum_of_lanes(span_lanes + 16 * n).store(total + 16 * n);
    const float* mean = nullptr;
    for (int64_t i = 0; i < u.rows; ++i) finish_row(u, i, first[i] >= last[i], total[i], mean);
  }

  void unit(int64_t index) {
    const SharedUnit u = shared_unit(s, index);
    for (int64_t c = 0; c < 2 * kQueries * width; c += 16) V(0.f).store(sums + c);  // and spans
    for (int64_t c = 0; c < 2 * kQueries * 16; c += 16) V(0.f).store(lanes + c);    // and span_lanes
    for (int64_t i = 0; i < kQueries; ++i) top[i] = -simd::kInf;
    // The rows side by side: they may be of several heads, and lie far apart.
    for (int64_t i = 0; i < u.rows; ++i) {
      const float* q = row_at(a.q, u.batch, u.head_of(i), u.query_of(i));
      for (int64_t c = 0; c < s.head_dim; c += 16)
        simd::store_some(simd::load_some<V>(q + c, s.head_dim - c, 0.f), rows_of_q + i * s.head_dim + c,
                         s.head_dim - c);
    }
    if (wide(u)) return wide_unit(u);
    const AttentionShape::Range range = key_range(s, u.batch, u.first, u.queries);
    for (int64_t j = range.first; j < range.last; j += kKeys) {
      if (j && j % AttentionShape::span == 0) close_span(u.rows);
      uint64_t seen[kQueries], any = 0;
      for (int64_t i = 0; i < u.rows; ++i)
        any |= seen[i] = seen_keys(s, a.mask, u.batch, u.head_of(i), u.query_of(i), j);
      if (!any) continue;
      const int64_t count = range.last - j < kKeys ? range.last - j : kKeys;
      pack_transposed<kKeys>(row_at(a.k, u.batch, u.kv, j), a.k.row, count, s.head_dim, packed);
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
