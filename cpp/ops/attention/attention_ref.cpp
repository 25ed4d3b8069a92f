#include <cmath>

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

bool sees(const AttentionShape& s, const AttentionMask& m, int64_t b, int64_t h, int64_t i, int64_t j) {
  if (s.causal && j > i) return false;
  return !m.data || m.data[b * m.batch + h * m.head + i * m.row + j * m.column];
}

template <class T>
void forward(const AttentionArgs& a, int64_t begin, int64_t end, const Exec& exec) {
  const AttentionShape& s = a.s;
  double* p = static_cast<double*>(exec.scratch);
  double* out = p + s.keys;
  for (int64_t u = begin; u < end; ++u) {
    const Unit at = unit_of(s, u);
    const int64_t b = at.batch, h = at.head, kv = h / (s.heads / s.kv_heads);
    for (int64_t i = at.first; i < at.last; ++i) {
      const T* q = row<T>(a.q, b, h, i);
      double top = -INFINITY, sum = 0;
      bool any = false;
      for (int64_t j = 0; j < s.keys; ++j) {
        if (!sees(s, a.mask, b, h, i, j)) continue;
        any = true;
        p[j] = s.scale * dot(q, row<T>(a.k, b, kv, j), s.head_dim);
        if (p[j] > top || p[j] != p[j]) top = p[j];
      }
      for (int64_t j = 0; j < s.keys; ++j) {
        p[j] = !any ? 1 : sees(s, a.mask, b, h, i, j) ? std::exp(p[j] - top) : 0;
        sum += p[j];
      }
      for (int64_t c = 0; c < s.value_dim; ++c) out[c] = 0;
      for (int64_t j = 0; j < s.keys; ++j)
        if (p[j] != 0)
          for (int64_t c = 0; c < s.value_dim; ++c) out[c] += p[j] * static_cast<double>(row<T>(a.v, b, kv, j)[c]);
      T* y = row<T>(a.y, b, h, i);
      for (int64_t c = 0; c < s.value_dim; ++c) y[c] = static_cast<T>(s.keys ? out[c] / sum : 0);
      if (a.lse)
        static_cast<T*>(a.lse)[(b * s.heads + h) * s.queries + i] =
            static_cast<T>(any ? top + std::log(sum) : -INFINITY);
    }
  }
}

template <class T>
struct Backward {
  const AttentionGradArgs& a;
  const AttentionShape& s = a.s;

  // p and ds of one pair.
  void pair(int64_t b, int64_t h, int64_t kv, int64_t i, int64_t j, double& p, double& ds) const {
    const int64_t at = (b * s.heads + h) * s.queries + i;
    const double lse = static_cast<double>(static_cast<const T*>(a.lse)[at]);
    const bool seen = sees(s, a.mask, b, h, i, j);
    p = ds = 0;
    if (lse == -INFINITY)
      p = 1 / static_cast<double>(s.keys);
    else if (seen)
      p = std::exp(s.scale * dot(row<T>(a.q, b, h, i), row<T>(a.k, b, kv, j), s.head_dim) - lse);
    if (!seen) return;
    const double dp = dot(row<T>(a.dy, b, h, i), row<T>(a.v, b, kv, j), s.value_dim);
    ds = p * (dp - static_cast<double>(static_cast<const T*>(a.delta)[at])) * s.scale;
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
    const int64_t d = s.head_dim, e = s.value_dim, groups = s.heads / s.kv_heads;
    for (int64_t u = begin; u < end; ++u) {
      const int64_t first = u % s.k_blocks() * s.k_block, b = u / s.k_blocks() / s.kv_heads,
                    kv = u / s.k_blocks() % s.kv_heads;
      for (int64_t j = first; j < first + s.k_block && j < s.keys; ++j) {
        double *dk = scratch, *dv = scratch + d;
        for (int64_t c = 0; c < d + e; ++c) scratch[c] = 0;
        for (int64_t h = kv * groups; h < (kv + 1) * groups; ++h)
          for (int64_t i = 0; i < s.queries; ++i) {
            double p, ds;
            pair(b, h, kv, i, j, p, ds);
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
      const int64_t kv = at.head / (s.heads / s.kv_heads);
      for (int64_t i = at.first; i < at.last; ++i) {
        for (int64_t c = 0; c < s.head_dim; ++c) dq[c] = 0;
        for (int64_t j = 0; j < s.keys; ++j) {
          double p, ds;
          pair(at.batch, at.head, kv, i, j, p, ds);
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
