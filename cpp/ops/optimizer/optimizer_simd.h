#pragma once
// See optimizer_kernels.h. Memory-bound: each array is read and written once. A rule changes 16 elements of w and its
// slots; update_span moves them.
#include "ops/optimizer/optimizer_kernels.h"
#include "simd/isa.h"

namespace maas {
namespace {

MAAS_INLINE float to_f32(double x) { return static_cast<float>(x); }

template <class V, int kSlots, class Rule>
MAAS_INLINE void update_span(const OptimizerArgs& a, int64_t begin, int64_t end, Rule rule) {
  const V decay(a.decay ? *static_cast<const float*>(a.decay) : 0.f);
  for (int k = 0; k < a.spans; ++k) {
    const OptimizerSpan& p = a.span[k];
    const int64_t first = (begin - p.first_unit) * OptimizerArgs::unit,
                  end_of = (end - p.first_unit) * OptimizerArgs::unit;
    const int64_t last = end_of < p.size ? end_of : p.size;
    const float *w = static_cast<const float*>(p.w), *g = static_cast<const float*>(p.g);
    for (int64_t i = first > 0 ? first : 0; i < last; i += simd::kLanes) {
      const int64_t left = last - i;
      V wi = simd::load_some<V>(w + i, left, 0.f), s[kSlots + 1];
      for (int j = 0; j < kSlots; ++j) s[j] = simd::load_some<V>(static_cast<const float*>(p.slots[j]) + i, left, 0.f);
      if (a.decay) wi = wi - wi * decay;
      rule(simd::load_some<V>(g + i, left, 0.f), wi, s);
      if (p.w_out) simd::store_some(wi, static_cast<float*>(p.w_out) + i, left);
      for (int j = 0; j < kSlots; ++j)
        if (p.slots_out[j]) simd::store_some(s[j], static_cast<float*>(p.slots_out[j]) + i, left);
    }
  }
}

template <class V>
static void update_sgd(const OptimizerArgs& a, int64_t begin, int64_t end, V rate) {
  if (a.momentum == 0) {
    update_span<V, 0>(a, begin, end, [&](V g, V& w, V*) __attribute__((always_inline)) { w = w - rate * g; });
    return;
  }
  const V momentum(to_f32(a.momentum));
  update_span<V, 1>(a, begin, end, [&](V g, V& w, V* s) __attribute__((always_inline)) {
    const V move = rate * g;
    s[0] = momentum * s[0] - move;
    w = w + (a.nesterov ? momentum * s[0] - move : s[0]);
  });
}

template <class V>
static void update_adam(const OptimizerArgs& a, int64_t begin, int64_t end, V rate) {
  const V new_m(to_f32(1 - a.beta_1)), new_v(to_f32(1 - a.beta_2)), epsilon(to_f32(a.epsilon));
  auto means = [&](V g, V* s) __attribute__((always_inline)) {
    s[0] = s[0] + (g - s[0]) * new_m;
    s[1] = s[1] + (g * g - s[1]) * new_v;
  };
  if (a.third)
    update_span<V, 3>(a, begin, end, [&](V g, V& w, V* s) __attribute__((always_inline)) {
      means(g, s);
      s[2] = max_nan(s[2], s[1]);
      w = w - s[0] * rate / (sqrt(s[2]) + epsilon);
    });
  else
    update_span<V, 2>(a, begin, end, [&](V g, V& w, V* s) __attribute__((always_inline)) {
      means(g, s);
      w = w - s[0] * rate / (sqrt(s[1]) + epsilon);
    });
}

template <class V, bool kMomentum, bool kCentered>
static void update_rmsprop(const OptimizerArgs& a, int64_t begin, int64_t end, V rate) {
  const V old(to_f32(a.beta_2)), fresh(to_f32(1 - a.beta_2)), epsilon(to_f32(a.epsilon)), momentum(to_f32(a.momentum));
  update_span<V, 1 + kMomentum + kCentered>(a, begin, end, [&](V g, V& w, V* s) __attribute__((always_inline)) {
    s[0] = old * s[0] + fresh * (g * g);
    V square = s[0];
    if constexpr (kCentered) {
      V& mean = s[1 + kMomentum];
      mean = old * mean + fresh * g;
      square = square - mean * mean;
    }
    V move = rate * g / sqrt(square + epsilon);
    if constexpr (kMomentum) move = s[1] = momentum * s[1] + move;
    w = w - move;
  });
}

template <class V>
static void update_adadelta(const OptimizerArgs& a, int64_t begin, int64_t end, V rate) {
  const V old(to_f32(a.beta_2)), fresh(to_f32(1 - a.beta_2)), epsilon(to_f32(a.epsilon));
  update_span<V, 2>(a, begin, end, [&](V g, V& w, V* s) __attribute__((always_inline)) {
    s[0] = old * s[0] + fresh * (g * g);
    const V move = -(sqrt(s[1] + epsilon) * g / sqrt(s[0] + epsilon));
    s[1] = old * s[1] + fresh * (move * move);
    w = w + rate * move;
  });
}

template <class V>
static void update_nadam(const OptimizerArgs& a, int64_t begin, int64_t end, V rate) {
  const V new_m(to_f32(1 - a.beta_1)), new_v(to_f32(1 - a.beta_2)), epsilon(to_f32(a.epsilon));
  const V ahead(*static_cast<const float*>(a.scalars[1])), scale(*static_cast<const float*>(a.scalars[2]));
  update_span<V, 2>(a, begin, end, [&](V g, V& w, V* s) __attribute__((always_inline)) {
    s[0] = s[0] + (g - s[0]) * new_m;
    s[1] = s[1] + (g * g - s[1]) * new_v;
    w = w - (rate * s[0] + ahead * g) / (sqrt(s[1] * scale) + epsilon);
  });
}

template <class V>
static void update_lion(const OptimizerArgs& a, int64_t begin, int64_t end, V rate) {
  const V b1(to_f32(a.beta_1)), c1(to_f32(1 - a.beta_1)), b2(to_f32(a.beta_2)), c2(to_f32(1 - a.beta_2));
  update_span<V, 1>(a, begin, end, [&](V g, V& w, V* s) __attribute__((always_inline)) {
    const V x = b1 * s[0] + c1 * g;
    w = w - rate * select(x > V(0.f), V(1.f), select(x < V(0.f), V(-1.f), x));
    s[0] = b2 * s[0] + c2 * g;
  });
}

template <class V, bool kRoot>  // kRoot: the usual power 1/2
static void update_ftrl(const OptimizerArgs& a, int64_t begin, int64_t end, V rate) {
  const V p(to_f32(a.power)), l1(to_f32(a.l1)), l2(to_f32(a.l2)), shrinkage(to_f32(a.shrinkage)), beta(to_f32(a.beta));
  auto power = [&](V x) __attribute__((always_inline)) {
    if constexpr (kRoot)
      return sqrt(x);
    else
      return pow(x, p);
  };
  update_span<V, 2>(a, begin, end, [&](V g, V& w, V* s) __attribute__((always_inline)) {
    const V next = s[0] + g * g, root = power(next);
    s[1] = s[1] + (g + shrinkage * w - (root - power(s[0])) / rate * w);
    const V clipped = min_nan(max_nan(s[1], -l1), l1);
    w = (clipped - s[1]) / (root / rate + (l2 + beta / rate));
    s[0] = next;
  });
}

template <class V>
static void update_spans(const OptimizerArgs& a, int64_t begin, int64_t end) {
  const V rate(*static_cast<const float*>(a.scalars[0])), epsilon(to_f32(a.epsilon));
  switch (a.rule) {
    case OptimizerRule::sgd:
      return update_sgd<V>(a, begin, end, rate);
    case OptimizerRule::adam:
      return update_adam<V>(a, begin, end, rate);
    case OptimizerRule::rmsprop:
      if (a.momentum != 0)
        return a.third ? update_rmsprop<V, true, true>(a, begin, end, rate)
                       : update_rmsprop<V, true, false>(a, begin, end, rate);
      return a.third ? update_rmsprop<V, false, true>(a, begin, end, rate)
                     : update_rmsprop<V, false, false>(a, begin, end, rate);
    case OptimizerRule::adagrad:
      return update_span<V, 1>(a, begin, end, [&](V g, V& w, V* s) __attribute__((always_inline)) {
        s[0] = s[0] + g * g;
        w = w - rate * g / sqrt(s[0] + epsilon);
      });
    case OptimizerRule::adadelta:
      return update_adadelta<V>(a, begin, end, rate);
    case OptimizerRule::adamax: {
      const V new_m(to_f32(1 - a.beta_1)), old(to_f32(a.beta_2));
      return update_span<V, 2>(a, begin, end, [&](V g, V& w, V* s) __attribute__((always_inline)) {
        s[0] = s[0] + (g - s[0]) * new_m;
        s[1] = max_nan(old * s[1], abs(g));
        w = w - rate * s[0] / (s[1] + epsilon);
      });
    }
    case OptimizerRule::nadam:
      return update_nadam<V>(a, begin, end, rate);
    case OptimizerRule::lion:
      return update_lion<V>(a, begin, end, rate);
    case OptimizerRule::ftrl:
      return a.power == 0.5 ? update_ftrl<V, true>(a, begin, end, rate) : update_ftrl<V, false>(a, begin, end, rate);
  }
}

}  // namespace
}  // namespace maas
