#pragma once
// Updates of one variable, all arrays dense and of one dtype and size; an output may be the input of the same name.
//   sgd:  momentum 0: w' = w - lr * g
//         else: m' = momentum * m - lr * g;  w' = w + m', or with nesterov w + momentum * m' - lr * g
//   adam: m' = m + (g - m) * (1 - beta_1);  v' = v + (g * g - v) * (1 - beta_2);
//         amsgrad: h' = max(h, v');  w' = w - m' * alpha / (sqrt(v' or h') + epsilon)
// with alpha = lr * sqrt(1 - beta_2^t) / (1 - beta_1^t) computed by the caller, as Keras 3 does. lr and alpha are
// scalars. Every element is on its own, so a form over a list of spans can share the kernels. One unit = 1024 elements.
#include <cstdint>

#include "core/exec.h"

namespace maas {

struct OptimizerArgs {
  static constexpr int64_t unit = 1024;
  const void *w, *g, *m, *v, *h, *rate;  // rate: lr or alpha
  void *w_out, *m_out, *v_out, *h_out;
  double momentum, beta_1, beta_2, epsilon;
  bool nesterov, amsgrad;
  int64_t size;
};

}  // namespace maas
