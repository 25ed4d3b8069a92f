#include "ops/optimizer/optimizer.h"

#include "graph/op_model.h"
#include "ops/build.h"

#define MAAS_KERNELS "ops/optimizer/kernels.inc"
#define MAAS_KERNEL_ARGS OptimizerArgs
#define MAAS_KERNEL_TABLE update_kernels
#include "core/kernel_table.h"

namespace maas {

MAAS_DEFINE_OP(sgd, Sgd)
MAAS_DEFINE_OP(adam, Adam)
MAAS_DEFINE_OP(rmsprop, RmsProp)
MAAS_DEFINE_OP(adagrad, Adagrad)
MAAS_DEFINE_OP(adadelta, Adadelta)
MAAS_DEFINE_OP(adamax, Adamax)
MAAS_DEFINE_OP(nadam, Nadam)
MAAS_DEFINE_OP(lion, Lion)
MAAS_DEFINE_OP(ftrl, Ftrl)

template <class T>
const KernelTable& OptimizerUpdate<T>::kernels() {
  return update_kernels;
}

// ---- shapes and binding, the same for every rule

template <class T>
Specs OptimizerUpdate<T>::infer(const Inputs& in) const {
  const int variables = self().variables, lead = this->lead(), width = 2 + self().slots();
  check(variables >= 1 && variables <= OptimizerArgs::max_spans, T::name, ": variables must be in [1, ",
        OptimizerArgs::max_spans, "], received ", variables);
  const size_t count = static_cast<size_t>(lead + variables * width);
  check(in.size() == count, T::name, ": ", count, " operands are needed, received ", in.size());
  const DType dtype = in[0].dtype;
  if (!is_floating(dtype)) fail(ErrorKind::type, T::name, ": operands must be floating, received ", dtype);
  Specs out;
  for (int i = 0; i < static_cast<int>(count); ++i) {
    const Spec& x = in[static_cast<size_t>(i)];
    if (x.dtype != dtype)
      fail(ErrorKind::type, T::name, ": operand ", i, " must have the first one's dtype ", dtype, ", received ",
           x.dtype);
    if (i < lead) {
      check(product(x.shape).is(1), T::name, ": operand ", i, " must be one number, received shape ",
            to_string(x.shape));
      continue;
    }
    const int j = (i - lead) % width;
    const Shape& w = in[static_cast<size_t>(i - j)].shape;
    check(x.shape == w, T::name, ": operand ", i, " must have its variable's shape ", to_string(w), ", received ",
          to_string(x.shape));
    if (j != 1) out.push_back(Spec{dtype, w, {}});
  }
  return out;
}

template <class T>
void OptimizerUpdate<T>::bind(const Bind& b, OptimizerArgs& a) const {
  a = {};
  a.rule = T::rule;
  self().fill(a);
  a.spans = self().variables;
  for (int i = 0; i < T::scalars; ++i) a.scalars[i] = b.read(i);
  if (self().decay) a.decay = b.read(T::scalars);
  const int slots = self().slots();
  for (int k = 0; k < a.spans; ++k) {
    const int in = lead() + k * (2 + slots), out = k * (1 + slots);
    OptimizerSpan& p = a.span[k];
    p.w = b.read(in);
    p.g = b.read(in + 1);
    p.w_out = b.write(out);
    for (int j = 0; j < slots; ++j) {
      p.slots[j] = b.read(in + 2 + j);
      p.slots_out[j] = b.write(out + 1 + j);
    }
    p.size = b.in(in).size();
    p.first_unit = a.units;
    a.units += (p.size + OptimizerArgs::unit - 1) / OptimizerArgs::unit;
  }
}

template <class T>
Nodes OptimizerUpdate<T>::composition(const Nodes& in) const {
  const Nodes r(in.begin(), in.begin() + T::scalars);
  const size_t slots = static_cast<size_t>(self().slots());
  Nodes out;
  for (size_t at = static_cast<size_t>(lead()); at < in.size(); at += 2 + slots) {
    Node w = self().decay ? in[at] - in[at] * in[T::scalars] : in[at];
    Nodes s(in.begin() + static_cast<std::ptrdiff_t>(at + 2), in.begin() + static_cast<std::ptrdiff_t>(at + 2 + slots));
    self().step(r, w, in[at + 1], s);
    out.push_back(w);
    out.insert(out.end(), s.begin(), s.end());
  }
  return out;
}

// ---- the rules

namespace {

Node root(const Node& x) { return unary("sqrt", x); }
Node decayed(const Node& old, const Node& x, double rate) { return old * rate + x * (1 - rate); }
Node moved(const Node& old, const Node& x, double rate) { return old + (x - old) * (1 - rate); }

}  // namespace

void Sgd::fill(OptimizerArgs& a) const {
  a.momentum = momentum;
  a.nesterov = nesterov;
}
void Sgd::step(const Nodes& r, Node& w, const Node& g, Nodes& s) const {
  const Node move = g * r[0];
  if (momentum != 0) s[0] = s[0] * momentum - move;
  w = momentum == 0 ? w - move : w + (nesterov ? s[0] * momentum - move : s[0]);
}

void Adam::fill(OptimizerArgs& a) const {
  a.beta_1 = beta_1;
  a.beta_2 = beta_2;
  a.epsilon = epsilon;
  a.third = amsgrad;
}
void Adam::step(const Nodes& r, Node& w, const Node& g, Nodes& s) const {
  s[0] = moved(s[0], g, beta_1);
  s[1] = moved(s[1], g * g, beta_2);
  if (amsgrad) s[2] = binary("maximum", s[2], s[1]);
  w = w - s[0] * r[0] / (root(s.back()) + epsilon);
}

void RmsProp::fill(OptimizerArgs& a) const {
  a.beta_2 = rho;
  a.momentum = momentum;
  a.epsilon = epsilon;
  a.third = centered;
}
void RmsProp::step(const Nodes& r, Node& w, const Node& g, Nodes& s) const {
  s[0] = decayed(s[0], g * g, rho);
  Node square = s[0];
  if (centered) {
    s.back() = decayed(s.back(), g, rho);
    square = square - s.back() * s.back();
  }
  Node move = g * r[0] / root(square + epsilon);
  if (momentum != 0) move = s[1] = s[1] * momentum + move;
  w = w - move;
}

void Adagrad::fill(OptimizerArgs& a) const { a.epsilon = epsilon; }
void Adagrad::step(const Nodes& r, Node& w, const Node& g, Nodes& s) const {
  s[0] = s[0] + g * g;
  w = w - g * r[0] / root(s[0] + epsilon);
}

void Adadelta::fill(OptimizerArgs& a) const {
  a.beta_2 = rho;
  a.epsilon = epsilon;
}
void Adadelta::step(const Nodes& r, Node& w, const Node& g, Nodes& s) const {
  s[0] = decayed(s[0], g * g, rho);
  const Node move = -(root(s[1] + epsilon) * g / root(s[0] + epsilon));
  s[1] = decayed(s[1], move * move, rho);
  w = w + move * r[0];
}

void Adamax::fill(OptimizerArgs& a) const {
  a.beta_1 = beta_1;
  a.beta_2 = beta_2;
  a.epsilon = epsilon;
}
void Adamax::step(const Nodes& r, Node& w, const Node& g, Nodes& s) const {
  s[0] = moved(s[0], g, beta_1);
  s[1] = binary("maximum", s[1] * beta_2, unary("absolute", g));
  w = w - s[0] * r[0] / (s[1] + epsilon);
}

void Nadam::fill(OptimizerArgs& a) const {
  a.beta_1 = beta_1;
  a.beta_2 = beta_2;
  a.epsilon = epsilon;
}
void Nadam::step(const Nodes& r, Node& w, const Node& g, Nodes& s) const {
  s[0] = moved(s[0], g, beta_1);
  s[1] = moved(s[1], g * g, beta_2);
  w = w - (s[0] * r[0] + g * r[1]) / (root(s[1] * r[2]) + epsilon);
}

void Lion::fill(OptimizerArgs& a) const {
  a.beta_1 = beta_1;
  a.beta_2 = beta_2;
}
void Lion::step(const Nodes& r, Node& w, const Node& g, Nodes& s) const {
  w = w - unary("sign", decayed(s[0], g, beta_1)) * r[0];
  s[0] = decayed(s[0], g, beta_2);
}

void Ftrl::fill(OptimizerArgs& a) const {
  a.power = power;
  a.l1 = l1;
  a.l2 = l2;
  a.shrinkage = shrinkage;
  a.beta = beta;
}
void Ftrl::step(const Nodes& r, Node& w, const Node& g, Nodes& s) const {
  const Node next = s[0] + g * g;
  const Node high = binary("power", next, power), low = binary("power", s[0], power);
  s[1] = s[1] + (g + w * shrinkage - (high - low) / r[0] * w);
  const Node clipped = binary("minimum", binary("maximum", s[1], -l1), l1);
  w = (clipped - s[1]) / (high / r[0] + (l2 + beta / r[0]));
  s[0] = next;
}

}  // namespace maas
