#pragma once
// Weights are computed again from q, k and lse, block by block: no scores are kept between forward and backward.
#include "ops/attention/attention_tile.h"

namespace maas {
namespace {

struct Backward {
  const AttentionGradArgs& a;
  const AttentionShape& s;
  float *keys, *values;     // packed: head_dim x 64, value_dim x 64
  float *weights, *slopes;  // 48 x 64: p and ds
  Kept kept;

  Backward(const AttentionGradArgs& args, void* scratch) : a(args), s(args.s), kept(args.dropout) {
    keys = static_cast<float*>(scratch);
    values = keys + s.head_dim * kKeys;
    weights = values + s.value_dim * kKeys;
    slopes = weights + kQueries * kKeys;
  }

  const float* statistics(const void* p, int64_t batch, int64_t head, int64_t i) const {
    return static_cast<const float*>(p) + (batch * s.heads + head) * s.queries + i;
  }
  void clear(const AttentionTensor& t, int64_t batch, int64_t head, int64_t first, int64_t rows, int64_t n) const {
    for (int64_t i = 0; i < rows; ++i) {
      float* p = row_at(t, batch, head, first + i);
      for (int64_t c = 0; c < n; ++c) p[c] = 0.f;
    }
  }

  void deltas(int64_t unit) const {
    const QueryUnit u = query_unit(s, unit);
    for (int64_t i = 0; i < u.rows; ++i) {
      const float *y = row_at(a.y, u.batch, u.head, u.first + i), *dy = row_at(a.dy, u.batch, u.head, u.first + i);
      V sum(0.f);
      for (int64_t c = 0; c < s.value_dim; c += 16)
        sum =
            fma(simd::load_some<V>(y + c, s.value_dim - c, 0.f), simd::load_some<V>(dy + c, s.value_dim - c, 0.f), sum);
      const_cast<float*>(statistics(a.delta, u.batch, u.head, u.first + i))[0] = simd::sum_lanes(sum);
    }
  }

  // d p and ds of `rows` queries and the packed block of keys. False if nothing reaches this block.
  bool weigh(int64_t batch, int64_t head, int64_t first, int64_t rows, int64_t key, float* dscores) const {
    uint64_t seen[kQueries], any = 0;
    const float *lse = statistics(a.lse, batch, head, first), *delta = statistics(a.delta, batch, head, first);
    for (int64_t i = 0; i < rows; ++i) {
      any |= seen[i] = seen_keys(s, a.mask, batch, head, first + i, key);
      any |= lse[i] == -simd::kInf;
    }
    if (!any) return false;
    product({row_at(a.q, batch, head, first), a.q.row, 1, keys, kKeys, weights, kKeys, s.head_dim, false}, rows, kKeys);
    product({row_at(a.dy, batch, head, first), a.dy.row, 1, values, kKeys, slopes, kKeys, s.value_dim, false}, rows,
            kKeys);
    const int64_t there = s.length(batch);
    for (int64_t i = 0; i < rows; ++i) {
      const Scores to(s, a.bias, batch, head, first + i, key);
      float *p = weights + i * kKeys, *ds = slopes + i * kKeys;
      const bool none = lse[i] == -simd::kInf;  // saw nothing: equal weights, and no way back to the scores
      const uint64_t weighed = none ? low_bits(there - key) : seen[i], back = none ? 0 : seen[i];
      const uint64_t keep = kept.on ? kept.bits(flat_weight(s, batch, head, first + i, key)) : ~uint64_t{0};
      const V equal(1.f / static_cast<float>(there));
      MAAS_UNROLL for (int v = 0; v < 4; v++) {
        const V raw = V::load(p + 16 * v);
        V e, cap_slope = to.scale;
        Mask sees = lanes_of(weighed, v);
        if (none) {
          e = equal;
        } else if (!to.capped && !to.bias) {
          e = exp(fms(raw, to.scale, V(lse[i])));
        } else {
          const V bias = to.bias_of(v), score = to.capped_score(raw);
          if (to.bias) sees = sees & ~(bias == V(-simd::kInf));
          e = exp(score + bias - V(lse[i]));
          if (to.capped) cap_slope = fnma(score / to.cap, score / to.cap, V(1.f)) * to.scale;
        }
        V w = select(sees, e, V(0.f)), dp = V::load(ds + 16 * v), dropped = w;
        if (kept.on) {
          const Mask stays = lanes_of(keep, v);
          dp = select(stays, dp * kept.by, V(0.f));
          dropped = select(stays, w * kept.by, V(0.f));
        }
        const V g = select(lanes_of(back, v) & sees, w * (dp - V(delta[i])), V(0.f));
        dropped.store(p + 16 * v);
        if (dscores && there > key + 16 * v)
          simd::store_some(g, dscores + i * s.keys + key + 16 * v, there - key - 16 * v);
        select(lanes_of(back, v) & sees, g * cap_slope, V(0.f)).store(ds + 16 * v);
      }
    }
    return true;
  }

  void pack(int64_t batch, int64_t kv, int64_t first, int64_t count) const {
    pack_transposed<kKeys>(row_at(a.k, batch, kv, first), a.k.row, count, s.head_dim, keys);
    pack_transposed<kKeys>(row_at(a.v, batch, kv, first), a.v.row, count, s.value_dim, values);
  }

  void key_unit(int64_t unit) const {
    const int64_t first = unit % s.k_blocks() * kKeys, head = unit / s.k_blocks(), batch = head / s.kv_heads,
                  kv = head % s.kv_heads;
    const int64_t there = s.length(batch) - first, rows = s.keys - first < kKeys ? s.keys - first : kKeys,
                  count = there < rows ? there : rows, groups = s.groups();
    clear(a.dk, batch, kv, first, rows, s.head_dim);
    clear(a.dv, batch, kv, first, rows, s.value_dim);
    if (count <= 0) return;
    pack(batch, kv, first, count);
    for (int64_t h = kv * groups; h < (kv + 1) * groups; ++h)
      for (int64_t i = 0; i < s.queries; i += kQueries) {
        const int64_t n = s.queries - i < kQueries ? s.queries - i : kQueries;
        if (!weigh(batch, h, i, n, first, nullptr)) continue;
        product(
            {weights, 1, kKeys, row_at(a.dy, batch, h, i), a.dy.row, row_at(a.dv, batch, kv, first), a.dv.row, n, true},
            count, s.value_dim);
        product(
            {slopes, 1, kKeys, row_at(a.q, batch, h, i), a.q.row, row_at(a.dk, batch, kv, first), a.dk.row, n, true},
            count, s.head_dim);
      }
  }

  void query_unit_gradient(int64_t unit) const {
    const QueryUnit u = query_unit(s, unit);
    const int64_t kv = u.head / s.groups(), there = s.length(u.batch);
    float* dscores = nullptr;
    if (a.dscores) {
      dscores = static_cast<float*>(a.dscores) + flat_weight(s, u.batch, u.head, u.first, 0);
      for (int64_t c = 0; c < u.rows * s.keys; ++c) dscores[c] = 0.f;
    }
    clear(a.dq, u.batch, u.head, u.first, u.rows, s.head_dim);
    const AttentionShape::Range range = key_range(s, u.batch, u.first, u.rows);
    for (int64_t j = range.first; j < range.last; j += kKeys) {
      const int64_t count = there - j < kKeys ? there - j : kKeys;
      pack(u.batch, kv, j, count);
      if (!weigh(u.batch, u.head, u.first, u.rows, j, dscores)) continue;
      product({slopes, kKeys, 1, row_at(a.k, u.batch, kv, j), a.k.row, row_at(a.dq, u.batch, u.head, u.first), a.dq.row,
               count, true},
              u.rows, s.head_dim);
    }
  }
};

void attention_grad_units(const AttentionGradArgs& args, int64_t begin, int64_t end, const Exec& exec) {
  const Backward backward(args, exec.scratch);
  for (int64_t u = begin; u < end; ++u) {
    if (exec.phase == 0)
      backward.deltas(u);
    else if (exec.phase == 1)
      backward.key_unit(u);
    else
      backward.query_unit_gradient(u);
  }
}

}  // namespace
}  // namespace maas
