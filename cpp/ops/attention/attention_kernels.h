#pragma once
// y[i] = sum_j p[i][j] v[j],  p[i] = softmax_j(scale q[i].k[j]) over the keys row i may see, for every batch and head.
// q: batch x heads x queries x head_dim, k: batch x kv_heads x keys x head_dim, v: ... x value_dim, y: ... x value_dim,
// all through strides, their last axis contiguous; query head h reads kv head h / (heads / kv_heads). A key is seen
// unless `mask` (bytes, strides 0 where broadcast) is 0 there or, if causal, it comes later than the query (j > i). A
// row that sees no key is the mean of all v, as softmax of equal scores gives; no keys at all: zeros. lse[b][h][i] =
// log sum_j exp(score), -inf for a row that sees nothing.
//
// Bits: a score is one fma chain over head_dim. e^s = 2^n f with n, f from the score alone; the running maximum is that
// of n, so scaling to a new one is exact. Key j adds to lane j mod 16 of the row's sum; y's sums are one fma chain per
// `span` keys, spans then added in order, keys counted from 0. So masked keys on the right change nothing. Forward: one
// unit = `queries` rows of one head. A block of keys that no row of the unit sees is not read.
#include <cstdint>

#include "core/exec.h"

namespace maas {

// Four axes of a tensor as (batch, head, position); strides in elements.
struct AttentionTensor {
  const void* data;
  int64_t batch, head, row;
};

struct AttentionShape {
  static constexpr int64_t q_block = 48, k_block = 64, span = 1024;
  int64_t batch, heads, kv_heads, queries, keys, head_dim, value_dim;
  double scale;
  bool causal;
  int64_t q_blocks() const { return (queries + q_block - 1) / q_block; }
  int64_t k_blocks() const { return (keys + k_block - 1) / k_block; }
};

// Bytes a worker needs: packed blocks, scores, sums. The reference keeps one row of doubles.
constexpr int64_t attention_scratch(const AttentionShape& s, bool reference) {
  const int64_t d = s.head_dim, e = (s.value_dim + 15) / 16 * 16, q = s.q_block, k = s.k_block;
  return reference ? 8 * (s.keys + s.value_dim) : 4 * (d * k + q * k + 2 * q * e + 2 * q * 16 + q);
}
constexpr int64_t attention_grad_scratch(const AttentionShape& s, bool reference) {
  const int64_t d = s.head_dim, e = s.value_dim, q = s.q_block, k = s.k_block;
  return reference ? 8 * (k * (s.head_dim + s.value_dim) + s.head_dim) : 4 * (k * (d + e) + 2 * q * k);
}

struct AttentionMask {
  const uint8_t* data;  // null: no mask
  int64_t batch, head, row, column;
};

struct AttentionArgs {
  AttentionShape s;
  AttentionTensor q, k, v, y;
  AttentionMask mask;
  void* lse;  // or null
  int64_t scratch;
};

// With ds[i][j] = p[i][j] (dy[i].v[j] - dy[i].y[i]) scale, 0 where j is not seen:
// dq[i] = sum_j ds[i][j] k[j], dk[j] = sum_i ds[i][j] q[i], dv[j] = sum_i p[i][j] dy[i]; k and v sum over their query
// heads. Phase 0: one unit = q_block rows of delta[b][h][i] = dy[i].y[i]. Phase 1: one unit = k_block rows of dk and dv
// of one kv head. Phase 2: one unit = q_block rows of dq. All results are written once, in a fixed order of sums.
struct AttentionGradArgs {
  AttentionShape s;
  AttentionTensor q, k, v, y, dy, dq, dk, dv;
  AttentionMask mask;
  const void* lse;
  void* delta;
  int64_t scratch;
};

}  // namespace maas
