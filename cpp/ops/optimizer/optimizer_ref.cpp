#include <cmath>

#include "ops/optimizer/optimizer_kernels.h"

namespace maas {
namespace {

double largest(double a, double b) { return a > b || a != a ? a : b; }
double sign(double x) { return x > 0 ? 1 : x < 0 ? -1 : x; }

// One element: w and its slots s, changed in place.
void step(const OptimizerArgs& a, const double* r, double g, double& w, double* s) {
  switch (a.rule) {
    case OptimizerRule::sgd: {
      const double move = r[0] * g;
      if (a.momentum == 0) {
        w -= move;
        return;
      }
      s[0] = a.momentum * s[0] - move;
      w += a.nesterov ? a.momentum * s[0] - move : s[0];
      return;
    }
    case OptimizerRule::adam:
      s[0] += (g - s[0]) * (1 - a.beta_1);
      s[1] += (g * g - s[1]) * (1 - a.beta_2);
      if (a.third) s[2] = largest(s[2], s[1]);
      w -= s[0] * r[0] / (std::sqrt(s[a.third ? 2 : 1]) + a.epsilon);
      return;
    case OptimizerRule::rmsprop: {
      s[0] = a.beta_2 * s[0] + (1 - a.beta_2) * g * g;
      double square = s[0];
      if (a.third) {
        double& mean = s[a.momentum == 0 ? 1 : 2];
        mean = a.beta_2 * mean + (1 - a.beta_2) * g;
        square -= mean * mean;
      }
      double move = r[0] * g / std::sqrt(square + a.epsilon);
      if (a.momentum != 0) move = s[1] = a.momentum * s[1] + move;
      w -= move;
      return;
    }
    case OptimizerRule::adagrad:
      s[0] += g * g;
      w -= r[0] * g / std::sqrt(s[0] + a.epsilon);
      return;
    case OptimizerRule::adadelta: {
      s[0] = a.beta_2 * s[0] + (1 - a.beta_2) * g * g;
      const double move = -std::sqrt(s[1] + a.epsilon) * g / std::sqrt(s[0] + a.epsilon);
      s[1] = a.beta_2 * s[1] + (1 - a.beta_2) * move * move;
      w += r[0] * move;
      return;
    }
    case OptimizerRule::adamax:
      s[0] += (g - s[0]) * (1 - a.beta_1);
      s[1] = largest(a.beta_2 * s[1], std::fabs(g));
      w -= r[0] * s[0] / (s[1] + a.epsilon);
      return;
    case OptimizerRule::nadam:
      s[0] += (g - s[0]) * (1 - a.beta_1);
      s[1] += (g * g - s[1]) * (1 - a.beta_2);
      w -= (r[0] * s[0] + r[1] * g) / (std::sqrt(s[1] * r[2]) + a.epsilon);
      return;
    case OptimizerRule::lion:
      w -= r[0] * sign(a.beta_1 * s[0] + (1 - a.beta_1) * g);
      s[0] = a.beta_2 * s[0] + (1 - a.beta_2) * g;
      return;
    case OptimizerRule::ftrl: {
      const double next = s[0] + g * g, root = std::pow(next, a.power);
      s[1] += g + a.shrinkage * w - (root - std::pow(s[0], a.power)) / r[0] * w;
      const double clipped = s[1] < -a.l1 ? -a.l1 : s[1] > a.l1 ? a.l1 : s[1];
      w = (clipped - s[1]) / (root / r[0] + a.l2 + a.beta / r[0]);
      s[0] = next;
      return;
    }
  }
}

template <class T>
double read(const void* p, int64_t i) {
  return static_cast<double>(static_cast<const T*>(p)[i]);
}

template <class T>
void update(const OptimizerArgs& a, int64_t begin, int64_t end) {
  constexpr int64_t unit = OptimizerArgs::unit;
  double r[OptimizerArgs::max_scalars] = {};
  for (int i = 0; i < OptimizerArgs::max_scalars; ++i)
    if (a.scalars[i]) r[i] = read<T>(a.scalars[i], 0);
  const double decay = a.decay ? read<T>(a.decay, 0) : 0;
  for (int k = 0; k < a.spans; ++k) {
    const OptimizerSpan& p = a.span[k];
    const int64_t first = (begin - p.first_unit) * unit, last = (end - p.first_unit) * unit;
    for (int64_t i = first > 0 ? first : 0; i < last && i < p.size; ++i) {
      double w = read<T>(p.w, i), s[3] = {};
      for (int j = 0; j < 3 && p.slots[j]; ++j) s[j] = read<T>(p.slots[j], i);
      if (a.decay) w -= w * decay;
      step(a, r, read<T>(p.g, i), w, s);
      if (p.w_out) static_cast<T*>(p.w_out)[i] = static_cast<T>(w);
      for (int j = 0; j < 3 && p.slots[j]; ++j)
        if (p.slots_out[j]) static_cast<T*>(p.slots_out[j])[i] = static_cast<T>(s[j]);
    }
  }
}

}  // namespace

void update_f32_ref(const OptimizerArgs& a, int64_t begin, int64_t end, const Exec&) { update<float>(a, begin, end); }
void update_f64_ref(const OptimizerArgs& a, int64_t begin, int64_t end, const Exec&) { update<double>(a, begin, end); }

}  // namespace maas
