#pragma once
#include "graph/op.h"
#include "ops/optimizer/optimizer_kernels.h"

namespace maas {

// What every rule shares. Inputs: the rule's scalars, the decay if `decay`, then w, g, slots of each of `variables`;
// outputs: w', slots' of each. T has: rule, name, scalars, slots(), fill(args), step(r, w, g, slots).
template <class T>
struct OptimizerUpdate {
  using Args = OptimizerArgs;
  static const KernelTable& kernels();
  Specs infer(const Inputs& in) const;
  Nodes composition(const Nodes& inputs) const;
  int visible_outputs() const { return self().variables * (1 + self().slots()); }
  int in_place(int output) const {
    const int width = 1 + self().slots(), j = output % width;
    return lead() + output / width * (width + 1) + (j == 0 ? 0 : j + 1);
  }
  void bind(const Bind& b, OptimizerArgs& a) const;
  int64_t units(const OptimizerArgs& a) const { return a.units; }
  double work(const OptimizerArgs& a) const {
    double size = 0;
    for (int i = 0; i < a.spans; ++i) size += static_cast<double>(a.span[i].size);
    return size * (0.3 + 0.2 * self().slots()) * (T::rule == OptimizerRule::ftrl ? 4 : 1);
  }

 private:
  const T& self() const { return static_cast<const T&>(*this); }
  int lead() const { return T::scalars + self().decay; }
};

// w' and the new slots of one variable, in plain ops. `r` holds the scalars.
#define MAAS_OPTIMIZER_RULE(id, count)                     \
  static constexpr OptimizerRule rule = OptimizerRule::id; \
  static constexpr const char* name = #id;                 \
  static constexpr int scalars = count;                    \
  int variables = 1;                                       \
  bool decay = false;                                      \
  void fill(OptimizerArgs& a) const;                       \
  void step(const Nodes& r, Node& w, const Node& g, Nodes& s) const;

struct Sgd : OptimizerUpdate<Sgd> {
  MAAS_OPTIMIZER_RULE(sgd, 1)
  double momentum = 0;
  bool nesterov = false;
  MAAS_PARAMS(variables, decay, momentum, nesterov)
  int slots() const { return momentum != 0; }
};

// Scalar: lr * sqrt(1 - beta_2^t) / (1 - beta_1^t). Slots m, v[, h], h the largest v so far.
struct Adam : OptimizerUpdate<Adam> {
  MAAS_OPTIMIZER_RULE(adam, 1)
  double beta_1 = 0.9, beta_2 = 0.999, epsilon = 1e-7;
  bool amsgrad = false;
  MAAS_PARAMS(variables, decay, beta_1, beta_2, epsilon, amsgrad)
  int slots() const { return amsgrad ? 3 : 2; }
};

// Slots v[, m][, a].
struct RmsProp : OptimizerUpdate<RmsProp> {
  MAAS_OPTIMIZER_RULE(rmsprop, 1)
  double rho = 0.9, momentum = 0, epsilon = 1e-7;
  bool centered = false;
  MAAS_PARAMS(variables, decay, rho, momentum, epsilon, centered)
  int slots() const { return 1 + (momentum != 0) + centered; }
};

struct Adagrad : OptimizerUpdate<Adagrad> {
  MAAS_OPTIMIZER_RULE(adagrad, 1)
  double epsilon = 1e-7;
  MAAS_PARAMS(variables, decay, epsilon)
  int slots() const { return 1; }
};

struct Adadelta : OptimizerUpdate<Adadelta> {
  MAAS_OPTIMIZER_RULE(adadelta, 1)
  double rho = 0.95, epsilon = 1e-7;
  MAAS_PARAMS(variables, decay, rho, epsilon)
  int slots() const { return 2; }
};

// Scalar: lr / (1 - beta_1^t).
struct Adamax : OptimizerUpdate<Adamax> {
  MAAS_OPTIMIZER_RULE(adamax, 1)
  double beta_1 = 0.9, beta_2 = 0.999, epsilon = 1e-7;
  MAAS_PARAMS(variables, decay, beta_1, beta_2, epsilon)
  int slots() const { return 2; }
};

// Scalars: what m and g are multiplied by, and 1 / (1 - beta_2^t).
struct Nadam : OptimizerUpdate<Nadam> {
  MAAS_OPTIMIZER_RULE(nadam, 3)
  double beta_1 = 0.9, beta_2 = 0.999, epsilon = 1e-7;
  MAAS_PARAMS(variables, decay, beta_1, beta_2, epsilon)
  int slots() const { return 2; }
};

struct Lion : OptimizerUpdate<Lion> {
  MAAS_OPTIMIZER_RULE(lion, 1)
  double beta_1 = 0.9, beta_2 = 0.99;
  MAAS_PARAMS(variables, decay, beta_1, beta_2)
  int slots() const { return 1; }
};

// Slots a, l. power is minus Keras's learning_rate_power; l2 and shrinkage are twice its strengths.
struct Ftrl : OptimizerUpdate<Ftrl> {
  MAAS_OPTIMIZER_RULE(ftrl, 1)
  double power = 0.5, l1 = 0, l2 = 0, shrinkage = 0, beta = 0;
  MAAS_PARAMS(variables, decay, power, l1, l2, shrinkage, beta)
  int slots() const { return 2; }
};

}  // namespace maas
