#pragma once
// One step of an optimizer over a list of spans, each a variable with its gradient and slots: dense arrays of one dtype
// and size. An output may be the input of the same name. Scalars r0, r1, r2 hold for all spans; with `decay` one more
// scalar d comes first in effect: w = w - w * d before everything else. g2 = g * g, and by rule, slots in this order:
//   sgd       momentum 0: w -= r0 * g;  else m = momentum * m - r0 * g;  w += m, or with nesterov momentum * m - r0 * g
//   adam      m += (g - m)(1 - beta_1);  v += (g2 - v)(1 - beta_2);  [h = max(h, v)];  w -= m * r0 / (sqrt(v or h) + e)
//   rmsprop   v = beta_2 * v + (1 - beta_2) g2;  [a = beta_2 * a + (1 - beta_2) g];  s = r0 * g / sqrt(v [- a * a] + e)
//             [m = momentum * m + s;  s = m];  w -= s
//   adagrad   a += g2;  w -= r0 * g / sqrt(a + e)
//   adadelta  a = beta_2 * a + (1 - beta_2) g2;  s = -sqrt(b + e) * g / sqrt(a + e);
//             b = beta_2 * b + (1 - beta_2) s * s;  w += r0 * s
//   adamax    m += (g - m)(1 - beta_1);  u = max(beta_2 * u, |g|);  w -= r0 * m / (u + e)
//   nadam     m, v as adam;  w -= (r0 * m + r1 * g) / (sqrt(v * r2) + e)
//   lion      w -= r0 * sign(beta_1 * m + (1 - beta_1) g);  m = beta_2 * m + (1 - beta_2) g
//   ftrl      n = a + g2;  l += g + shrinkage * w - (n^p - a^p) / r0 * w;  w = (clip(l, -l1, l1) - l) / (n^p / r0 + l2
//   +
//             beta / r0);  a = n
// Bias corrections are part of the scalars. One unit = 1024 elements of one span.
#include <cstdint>

#include "core/exec.h"

namespace maas {

enum class OptimizerRule : int { sgd, adam, rmsprop, adagrad, adadelta, adamax, nadam, lion, ftrl };

struct OptimizerSpan {
  const void *w, *g, *slots[3];
  void *w_out, *slots_out[3];
  int64_t size, first_unit;
};

struct OptimizerArgs {
  static constexpr int64_t unit = 1024;
  static constexpr int max_spans = 64, max_scalars = 3;
  OptimizerRule rule;
  int spans;
  const void* scalars[max_scalars];
  const void* decay;  // null: none
  double momentum, beta_1, beta_2, epsilon, power, l1, l2, shrinkage, beta;
  bool nesterov, third;  // third: amsgrad or centered, one more slot
  int64_t units;
  OptimizerSpan span[max_spans];
};

}  // namespace maas
