#include "ops/optimizer/optimizer.h"

#include "graph/op_model.h"
#include "ops/build.h"

#define MAAS_KERNELS "ops/optimizer/sgd_kernels.inc"
#define MAAS_KERNEL_ARGS OptimizerArgs
#define MAAS_KERNEL_TABLE sgd_kernels
#include "core/kernel_table.h"

#define MAAS_KERNELS "ops/optimizer/adam_kernels.inc"
#define MAAS_KERNEL_ARGS OptimizerArgs
#define MAAS_KERNEL_TABLE adam_kernels
#include "core/kernel_table.h"

namespace maas {

MAAS_DEFINE_OP(sgd, Sgd)
MAAS_DEFINE_OP(adam, Adam)
const KernelTable& Sgd::kernels() { return sgd_kernels; }
const KernelTable& Adam::kernels() { return adam_kernels; }

namespace {

// Every operand but the scalar at 2 has w's shape; all have its dtype.
Specs update_specs(const char* name, const Inputs& in, size_t operands, size_t outputs) {
  check(in.size() == operands, name, ": ", operands, " operands are needed, received ", in.size());
  if (!is_floating(in[0].dtype)) fail(ErrorKind::type, name, ": w must be floating, received ", in[0].dtype);
  for (size_t i = 1; i < in.size(); ++i) {
    if (in[i].dtype != in[0].dtype)
      fail(ErrorKind::type, name, ": operand ", i, " must have w's dtype ", in[0].dtype, ", received ", in[i].dtype);
    if (i == 2)
      check(product(in[i].shape).is(1), name, ": the step size must be one number, received shape ",
            to_string(in[i].shape));
    else
      check(in[i].shape == in[0].shape, name, ": operand ", i, " must have w's shape ", to_string(in[0].shape),
            ", received ", to_string(in[i].shape));
  }
  return Specs(outputs, Spec{in[0].dtype, in[0].shape, {}});
}

void bind_update(const Bind& b, OptimizerArgs& a) {
  a = {};
  a.w = b.read(0);
  a.g = b.read(1);
  a.rate = b.read(2);
  a.w_out = b.write(0);
  a.size = b.in(0).size();
}

}  // namespace

Specs Sgd::infer(const Inputs& in) const {
  return update_specs("sgd", in, momentum != 0 ? 4 : 3, momentum != 0 ? 2 : 1);
}

Nodes Sgd::composition(const Nodes& in) const {
  const Node step = in[1] * in[2];
  if (momentum == 0) return {in[0] - step};
  const Node next = in[3] * momentum - step;
  return {in[0] + (nesterov ? next * momentum - step : next), next};
}

void Sgd::bind(const Bind& b, OptimizerArgs& a) const {
  bind_update(b, a);
  a.momentum = momentum;
  a.nesterov = nesterov;
  if (momentum == 0) return;
  a.m = b.read(3);
  a.m_out = b.write(1);
}

Specs Adam::infer(const Inputs& in) const { return update_specs("adam", in, amsgrad ? 6 : 5, amsgrad ? 4 : 3); }

Nodes Adam::composition(const Nodes& in) const {
  const Node m = in[3] + (in[1] - in[3]) * (1 - beta_1), v = in[4] + (in[1] * in[1] - in[4]) * (1 - beta_2);
  const Node h = amsgrad ? binary("maximum", in[5], v) : v;
  Nodes out = {in[0] - m * in[2] / (unary("sqrt", h) + epsilon), m, v};
  if (amsgrad) out.push_back(h);
  return out;
}

void Adam::bind(const Bind& b, OptimizerArgs& a) const {
  bind_update(b, a);
  a.beta_1 = beta_1;
  a.beta_2 = beta_2;
  a.epsilon = epsilon;
  a.amsgrad = amsgrad;
  a.m = b.read(3);
  a.m_out = b.write(1);
  a.v = b.read(4);
  a.v_out = b.write(2);
  if (!amsgrad) return;
  a.h = b.read(5);
  a.h_out = b.write(3);
}

}  // namespace maas
