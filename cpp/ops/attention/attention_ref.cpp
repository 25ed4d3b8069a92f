#include <algorithm>
#include <cmath>

#include "core/random.h"
#include "ops/attention/attention_kernels.h"

namespace maas {
namespace {

struct Unit {
  int64_t batch, head, first, last;
};
Unit unit_of(const AttentionShape& s, int64_t unit) {
  const int64_t block = unit % s.q_blocks(), head = unit / s.q_blocks();
  const int64_t first = block * s.q_block, last = first + s.q_block;
  return {head / s.heads, head % s.heads, first, last < s.queries ? last : s.queries};
}

template <class T>
T* row(const AttentionTensor& t, int64_t batch, int64_t head, int64_t i) {
  return static_cast<T*>(const_cast<void*>(t.data)) + batch * t.batch + head * t.head + i * t.row;
}

template <class T>
double dot(const T* a, const T* b, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return sum;
}

// What both directions ask about a pair of query and key.
template <class T>
struct Pairs {
  const AttentionShape& s;
  const AttentionTable &mask, &bias;
  const AttentionDropout& dropout;
  PhiloxKey key{};

  Pairs(const AttentionShape& shape, const AttentionTable& m, const AttentionTable& b, const AttentionDropout& d)
      : s(shape), mask(m), bias(b), dropout(d) {
    if (d.threshold) key = philox_key(d.state, d.state_dtype, d.stream);
  }
  double bias_of(int64_t b, int64_t h, int64_t i, int64_t j) const {
    if (!bias.data) return 0;
    return static_cast<double>(
        static_cast<const T*>(bias.data)[b * bias.batch + h * bias.head + i * bias.row + j * bias.column]);
  }
  bool sees(int64_t b, int64_t h, int64_t i, int64_t j) const {
    const AttentionShape::Range r = s.range(b, i);
    if (j < r.first || j >= r.last || bias_of(b, h, i, j) == -INFINITY) return false;
    return !mask.data ||
           static_cast<const uint8_t*>(mask.data)[b * mask.batch + h * mask.head + i * mask.row + j * mask.column];
  }
  // Of q.k, before the bias.
  double capped(double product) const {
    const double x = product * s.scale;
    return s.soft_cap != 0 ? s.soft_cap * std::tanh(x / s.soft_cap) : x;
  }
  double slope(double product) const {
    const double t = s.soft_cap != 0 ? std::tanh(product * s.scale / s.soft_cap) : 0;
    return s.scale * (1 - t * t);
  }
  // The factor of dropout.
  double kept(int64_t b, int64_t h, int64_t i, int64_t j) const {
    if (!dropout.threshold) return 1;
    const auto e = static_cast<uint64_t>(((b * s.heads + h) * s.queries + i) * s.keys + j);
    const PhiloxBlock words =
        philox4x32({static_cast<uint32_t>(e / 4), static_cast<uint32_t>(e / 4 >> 32), key.step[0], key.step[1]},
                   {key.key[0], key.key[1]});
    return words[e % 4] >> 8 >= dropout.threshold ? 1 / dropout.keep : 0;
  }
};

template <class T>
void forward(const AttentionArgs& a, int64_t begin, int64_t end, const Exec& exec) {
  const AttentionShape& s = a.s;
  double* p = static_cast<double*>(exec.scratch);
  double* out = p + s.keys;
  const Pairs<T> pairs(s, a.mask, a.bias, a.dropout);
  const auto one = [&](int64_t b, int64_t h, int64_t i) {
    const int64_t kv = h / s.groups(), keys = s.length(b);
    const T* q = row<T>(a.q, b, h, i);
    double top = -INFINITY, sum = 0;
    bool any = false;
    for (int64_t j = 0; j < keys; ++j) {
      if (!pairs.sees(b, h, i, j)) continue;
      any = true;
      p[j] = pairs.capped(dot(q, row<T>(a.k, b, kv, j), s.head_dim)) + pairs.bias_of(b, h, i, j);
      if (p[j] > top || p[j] != p[j]) top = p[j];
    }
    for (int64_t j = 0; j < keys; ++j) {
      p[j] = !any ? 1 : pairs.sees(b, h, i, j) ? std::exp(p[j] - top) : 0;
      sum += p[j];
    }
    for (int64_t c = 0; c < s.value_dim; ++c) out[c] = 0;
    for (int64_t j = 0; j < keys; ++j) {
      const double w = p[j] == 0 ? 0 : p[j] * pairs.kept(b, h, i, j);
      for (int64_t c = 0; c < s.value_dim && w != 0; ++c) out[c] += w * static_cast<double>(row<T>(a.v, b, kv, j)[c]);
    }
    T* y = row<T>(a.y, b, h, i);
    for (int64_t c = 0; c < s.value_dim; ++c) y[c] = static_cast<T>(keys ? out[c] / sum : 0);
    if (a.lse)
      static_cast<T*>(a.lse)[(b * s.heads + h) * s.queries + i] = static_cast<T>(any ? top + std::log(sum) : -INFINITY);
  };
  for (int64_t u = begin; u < end; ++u) {
    const int64_t first = u % s.q_blocks() * s.q_block, last = std::min(first + s.q_block, s.queries),
                  part = u / s.q_blocks() % s.head_blocks(), kv = u / s.q_blocks() / s.head_blocks();
    s.check_length(kv / s.kv_heads, exec);
    const int64_t from = part * s.unit_heads(), to = std::min(from + s.unit_heads(), s.groups());
    for (int64_t g = from; g < to; ++g)
      for (int64_t i = first; i < last; ++i) one(kv / s.kv_heads, kv % s.kv_heads * s.groups() + g, i);
  }
}

template <class T>
struct Backward {
  const AttentionGradArgs& a;
  const AttentionShape& s = a.s;

  Pairs<T> pairs{a.s, a.mask, a.bias, a.dropout};

  // Weight after dropout, g and ds of one pair.
  void pair(int64_t b, int64_t h, int64_t kv, int64_t i, int64_t j, double& p, double& g, double& ds) const {
    const int64_t at = (b * s.heads + h) * s.queries + i;
    const double lse = static_cast<double>(static_cast<const T*>(a.lse)[at]);
    p = g = ds = 0;
    if (j >= s.length(b)) return;
    const double kept = pairs.kept(b, h, i, j);
    if (lse == -INFINITY) {
      p = kept / static_cast<double>(s.length(b));
      return;
    }
    if (!pairs.sees(b, h, i, j)) return;
    const double product = dot(row<T>(a.q, b, h, i), row<T>(a.k, b, kv, j), s.head_dim);
    const double w = std::exp(pairs.capped(product) + pairs.bias_of(b, h, i, j) - lse);
    const double dp = dot(row<T>(a.dy, b, h, i), row<T>(a.v, b, kv, j), s.value_dim) * kept;
    p = w * kept;
    g = w * (dp - static_cast<double>(static_cast<const T*>(a.delta)[at]));
    ds = g * pairs.slope(product);
  }

  void deltas(int64_t begin, int64_t end) const {
    for (int64_t u = begin; u < end; ++u) {
      const Unit at = unit_of(s, u);
      for (int64_t i = at.first; i < at.last; ++i)
        static_cast<T*>(a.delta)[(at.batch * s.heads + at.head) * s.queries + i] =
            static_cast<T>(dot(row<T>(a.dy, at.batch, at.head, i), row<T>(a.y, at.batch, at.head, i), s.value_dim));
    }
  }

  void keys(int64_t begin, int64_t end, double* scratch) const {
    const int64_t d = s.head_dim, e = s.value_dim, groups = s.groups();
    for (int64_t u = begin; u < end; ++u) {
      const int64_t first = u % s.k_blocks() * s.k_block, b = u / s.k_blocks() / s.kv_heads,
                    kv = u / s.k_blocks() % s.kv_heads;
      for (int64_t j = first; j < first + s.k_block && j < s.keys; ++j) {
        double *dk = scratch, *dv = scratch + d;
        for (int64_t c = 0; c < d + e; ++c) scratch[c] = 0;
        for (int64_t h = kv * groups; h < (kv + 1) * groups; ++h)
          for (int64_t i = 0; i < s.queries; ++i) {
            double p, g, ds;
            pair(b, h, kv, i, j, p, g, ds);
            for (int64_t c = 0; c < d && ds != 0; ++c) dk[c] += ds * static_cast<double>(row<T>(a.q, b, h, i)[c]);
            for (int64_t c = 0; c < e && p != 0; ++c) dv[c] += p * static_cast<double>(row<T>(a.dy, b, h, i)[c]);
          }
        for (int64_t c = 0; c < d; ++c) row<T>(a.dk, b, kv, j)[c] = static_cast<T>(dk[c]);
        for (int64_t c = 0; c < e; ++c) row<T>(a.dv, b, kv, j)[c] = static_cast<T>(dv[c]);
      }
    }
  }

  void queries(int64_t begin, int64_t end, double* dq) const {
    for (int64_t u = begin; u < end; ++u) {
      const Unit at = unit_of(s, u);
      const int64_t kv = at.head / s.groups();
      for (int64_t i = at.first; i < at.last; ++i) {
        for (int64_t c = 0; c < s.head_dim; ++c) dq[c] = 0;
        for (int64_t j = 0; j < s.keys; ++j) {
          double p, g, ds;
          pair(at.batch, at.head, kv, i, j, p, g, ds);
          if (a.dscores)
            static_cast<T*>(a.dscores)[((at.batch * s.heads + at.head) * s.queries + i) * s.keys + j] =
                static_cast<T>(g);
          for (int64_t c = 0; c < s.head_dim && ds != 0; ++c)
            dq[c] += ds * static_cast<double>(row<T>(a.k, at.batch, kv, j)[c]);
        }
        for (int64_t c = 0; c < s.head_dim; ++c) row<T>(a.dq, at.batch, at.head, i)[c] = static_cast<T>(dq[c]);
      }
    }
  }
};

template <class T>
void backward(const AttentionGradArgs& args, int64_t begin, int64_t end, const Exec& exec) {
  const Backward<T> run{args};
  double* scratch = static_cast<double*>(exec.scratch);
  if (exec.phase == 0)
    run.deltas(begin, end);
  else if (exec.phase == 1)
    run.keys(begin, end, scratch);
  else
    run.queries(begin, end, scratch);
}

}  // namespace

void attention_f32_ref(const AttentionArgs& a, int64_t begin, int64_t end, const Exec& e) {
  forward<float>(a, begin, end, e);
}
void attention_f64_ref(const AttentionArgs& a, int64_t begin, int64_t end, const Exec& e) {
  forward<double>(a, begin, end, e);
}
void attention_grad_f32_ref(const AttentionGradArgs& a, int64_t begin, int64_t end, const Exec& e) {
  backward<float>(a, begin, end, e);
}
void attention_grad_f64_ref(const AttentionGradArgs& a, int64_t begin, int64_t end, const Exec& e) {
  backward<double>(a, begin, end, e);
}

}  // namespace maas
