#pragma once
// y[i] = sum_j d[i][j] p[i][j] v[j],  p[i] = softmax_j(s[i][j]) over the keys row i may see, for every batch and head,
// s[i][j] = cap(scale q[i].k[j]) + bias[i][j], cap(x) = soft_cap tanh(x / soft_cap). d is 1 or, with dropout, 0 or
// 1 / (1 - dropout): element ((b heads + h) queries + i) keys + j of the dropout op on p. Where q is in halves, lse,
// delta and dscores are float32.
// q: batch x heads x queries x head_dim, k: batch x kv_heads x keys x head_dim, v: ... x value_dim, y: ... x value_dim,
// all through strides, their last axis contiguous; query head h reads kv head h / (heads / kv_heads). Query i stands at
// position i, or with at_end at i + n - queries, n keys being there: lengths[b] of them or all. A key is seen unless
// j >= n, or `mask` (bytes, strides 0 where broadcast) is 0 there, or the bias is -inf, or it comes later (causal), or
// it is `window` or more positions away. A row that sees no key is the mean of the n values, as softmax of equal scores
// gives; no keys at all: zeros. lse[b][h][i] = log sum_j exp(s), -inf for a row that sees nothing. Keys from n on are
// not read.
//
// Bits: q.k is one fma chain over head_dim. e^s = 2^n f with n, f from the score alone; the running maximum is that
// of n, so scaling to a new one is exact. Key j adds to lane j mod 16 of the row's sum; y's sums are one fma chain per
// `span` keys, spans then added in order, keys counted from 0. So masked keys on the right change nothing. Forward: one
// unit = up to `q_block` rows: of one head, or of all rows of several heads that share keys. A block of keys that no
// row of the unit sees is not read.
#include <cstdint>

#include "core/exec.h"
#include "core/philox_key.h"

namespace maas {

// Four axes of a tensor as (batch, head, position); strides in elements.
struct AttentionTensor {
  const void* data;
  int64_t batch, head, row;
};

struct AttentionShape {
  static constexpr int64_t q_block = 48, k_block = 64, span = 1024;
  int64_t batch, heads, kv_heads, queries, keys, head_dim, value_dim;
  double scale, soft_cap;  // soft_cap 0: none
  int64_t window;          // 0: none
  bool causal, at_end;
  const int32_t* lengths;  // (batch) or null; out of [0, keys] is reported and counts as the nearer end
  int64_t q_blocks() const { return (queries + q_block - 1) / q_block; }
  int64_t k_blocks() const { return (keys + k_block - 1) / k_block; }
  int64_t groups() const { return kv_heads ? heads / kv_heads : 1; }
  // Heads in one forward unit: few queries leave room for several.
  int64_t unit_heads() const {
    if (queries == 0 || queries * 2 > q_block) return 1;
    const int64_t fit = q_block / queries;
    return fit < groups() ? fit : groups();
  }
  int64_t head_blocks() const { return (groups() + unit_heads() - 1) / unit_heads(); }
  int64_t forward_units() const { return batch * kv_heads * head_blocks() * q_blocks(); }
  int64_t length(int64_t b) const {
    if (!lengths) return keys;
    return lengths[b] < 0 ? 0 : lengths[b] < keys ? lengths[b] : keys;
  }
  void check_length(int64_t b, const Exec& exec) const {
    if (lengths && exec.status && (lengths[b] < 0 || lengths[b] > keys)) exec.status->report(b, lengths[b]);
  }
  // Keys [first, last) are those that row i of batch b may see by its position.
  struct Range {
    int64_t first, last;
  };
  Range range(int64_t b, int64_t i) const {
    const int64_t n = length(b), at = at_end ? i + n - queries : i;
    Range r{0, n};
    if (causal && at + 1 < r.last) r.last = at + 1;
    if (window && at + window < r.last) r.last = at + window;
    if (window && at - window + 1 > 0) r.first = at - window + 1;
    return r;
  }
};

// Bytes a worker needs: packed blocks, scores, sums. The reference keeps one row of doubles.
constexpr int64_t attention_scratch(const AttentionShape& s, bool reference) {
  const int64_t d = s.head_dim, e = (s.value_dim + 15) / 16 * 16, q = s.q_block, k = s.k_block;
  return reference ? 8 * (s.keys + s.value_dim) : 4 * (d * k + q * d + q * k + 2 * q * e + 2 * q * 16 + q + 16);
}
constexpr int64_t attention_grad_scratch(const AttentionShape& s, bool reference) {
  const int64_t d = s.head_dim, e = s.value_dim, q = s.q_block, k = s.k_block;
  return reference ? 8 * (k * (s.head_dim + s.value_dim) + s.head_dim) : 4 * (k * (d + e) + 2 * q * k);
}

// mask or bias; a stride is 0 where it is broadcast.
struct AttentionTable {
  const void* data;  // null: none
  int64_t batch, head, row, column;
};

struct AttentionDropout {
  const void* state;  // two integers, seed and step
  DType state_dtype;
  int64_t stream;
  uint32_t threshold;  // kept if a word's upper 24 bits reach it; 0: no dropout
  double keep;         // 1 - rate
};

struct AttentionArgs {
  AttentionShape s;
  AttentionTensor q, k, v, y;
  AttentionTable mask;  // bytes, column stride free
  AttentionTable bias;  // of the kernel's dtype, column stride 0 or 1
  AttentionDropout dropout;
  void* lse;  // or null
  int64_t scratch;
};

// With g[i][j] = p[i][j] (d[i][j] dy[i].v[j] - dy[i].y[i]), 0 where j is not seen, and ds = g scale cap'(scale q.k):
// dq[i] = sum_j ds[i][j] k[j], dk[j] = sum_i ds[i][j] q[i], dv[j] = sum_i d[i][j] p[i][j] dy[i]; k and v sum over their
// query heads; dscores = g. Phase 0: one unit = q_block rows of delta[b][h][i] = dy[i].y[i]. Phase 1: one unit =
// k_block rows of dk and dv of one kv head. Phase 2: one unit = q_block rows of dq. All results are written once, in a
// fixed order of sums.
struct AttentionGradArgs {
  AttentionShape s;
  AttentionTensor q, k, v, y, dy, dq, dk, dv;
  AttentionTable mask, bias;
  AttentionDropout dropout;
  const void* lse;
  void* delta;
  void* dscores;  // (batch, heads, queries, keys), or null
  int64_t scratch;
};

}  // namespace maas
