// lstm and simple_rnn: checks, gradient in public ops and recurrence_gradient, and what they lower to.
#include "graph/op_model.h"
#include "ops/build.h"
#include "ops/recurrent/recurrent.h"

namespace maas {
namespace {

// Inputs by name; an absent one is an empty Node.
struct Operands {
  Node x, h0, c0, kernel, recurrent_kernel, bias, mask;
  int kernel_at;
};

Operands operands(bool lstm, bool use_bias, bool use_mask, const Nodes& in) {
  Operands o;
  size_t next = 0;
  o.x = in[next++];
  o.h0 = in[next++];
  if (lstm) o.c0 = in[next++];
  o.kernel_at = static_cast<int>(next);
  o.kernel = in[next++];
  o.recurrent_kernel = in[next++];
  if (use_bias) o.bias = in[next++];
  if (use_mask) o.mask = in[next++];
  return o;
}

Specs infer_layer(const char* name, bool lstm, bool use_bias, bool use_mask, const Inputs& in) {
  const size_t count = 4 + (lstm ? 1 : 0) + (use_bias ? 1 : 0) + (use_mask ? 1 : 0);
  check(in.size() == count, name, ": ", count, " operands are needed, received ", in.size());
  const size_t kernel_at = lstm ? 3 : 2;
  const Spec &x = in[0], &kernel = in[kernel_at], &recurrent = in[kernel_at + 1];
  if (x.dtype != DType::f32 && x.dtype != DType::f64)
    fail(ErrorKind::type, name, ": x must be float32 or float64, received ", x.dtype);
  for (size_t i = 1; i < count - (use_mask ? 1 : 0); ++i)
    if (in[i].dtype != x.dtype)
      fail(ErrorKind::type, name, ": all operands must have the dtype of x, ", x.dtype, ", received ", in[i].dtype);
  check(x.rank() == 3, name, ": x must have the axes (batch, time, features), received ", to_string(x.shape));
  check(recurrent.rank() == 2 && recurrent.shape[0].is_constant() &&
            recurrent.shape[1].is(recurrent.shape[0].constant() * (lstm ? 4 : 1)),
        name, ": recurrent_kernel must have shape (units, ", lstm ? "4 * units" : "units", "), received ",
        to_string(recurrent.shape));
  const Shape state{x.shape[0], recurrent.shape[0]}, wide{x.shape[2], recurrent.shape[1]};
  check(kernel.shape == wide, name, ": kernel must have shape ", to_string(wide), " for x of shape ",
        to_string(x.shape), ", received ", to_string(kernel.shape));
  for (size_t i = 1; i < kernel_at; ++i)
    check(agree(in[i].shape, state, name, "states must have the batch of x"), name, ": ", i == 1 ? "h0" : "c0",
          " must have shape ", to_string(state), " for x of shape ", to_string(x.shape), ", received ",
          to_string(in[i].shape));
  if (use_bias)
    check(in[kernel_at + 2].shape == Shape{wide[1]}, name, ": bias must have shape ", to_string({wide[1]}),
          ", received ", to_string(in[kernel_at + 2].shape));
  if (use_mask) {
    const Spec& mask = in.back();
    if (mask.dtype != DType::b8) fail(ErrorKind::type, name, ": mask must be bool, received ", mask.dtype);
    check(agree(mask.shape, {x.shape[0], x.shape[1]}, name, "mask must have the first two sizes of x"), name,
          ": mask must have shape ", to_string({x.shape[0], x.shape[1]}), ", received ", to_string(mask.shape));
  }
  const Spec h{x.dtype, state, {}}, y{x.dtype, {x.shape[0], x.shape[1], state[1]}, {}},
      gates{x.dtype, {x.shape[0], x.shape[1], wide[1]}, {}};
  if (lstm) return {h, h, y, y, gates, y};
  return {h, y, y, gates};
}

Nodes lower_layer(const Recurrence& r, bool use_bias, const Node& y) {
  const bool lstm = r.cell == "lstm";
  const Operands o = operands(lstm, use_bias, r.use_mask, y->inputs);
  Node xz = matmul(o.x, o.kernel);  // of all steps at once
  if (o.bias) xz = xz + o.bias;
  Nodes in{xz, apply(RecurrentPack{r.cell, false}, {o.recurrent_kernel}), o.h0};
  if (lstm) in.push_back(o.c0);
  if (o.mask) in.push_back(o.mask);
  const Node result = apply(r, std::move(in));
  Nodes outputs;
  for (size_t i = 0; i < result->outputs.size(); ++i) outputs.push_back(result.output(static_cast<int>(i)));
  return outputs;
}

Nodes layer_gradient(const Recurrence& r, bool use_bias, const Node& y, const Nodes& dys, const Needs& needs) {
  const bool lstm = r.cell == "lstm";
  const Operands o = operands(lstm, use_bias, r.use_mask, y->inputs);
  const int states = lstm ? 2 : 1;
  const Node &dh = dys[0], &dy = dys[static_cast<size_t>(states)];
  const Node dc = lstm ? dys[1] : Node();
  Nodes in{y.output(states + 2), apply(RecurrentPack{r.cell, true}, {o.recurrent_kernel})};
  if (lstm) in.push_back(y.output(states + 3));
  if (o.mask) in.push_back(o.mask);
  for (const Node& d : {dy, dh, dc})
    if (d) in.push_back(d);
  const Node dxz = apply(RecurrenceGradient{r.cell, r.activation, r.reverse, r.use_mask, bool(dy), bool(dh), bool(dc)},
                         std::move(in));
  // One row a step: the weights see one long batch.
  auto rows = [](const Node& n) { return reshape(n, {n.shape()[0] * n.shape()[1], n.shape()[2]}); };
  Nodes dx(needs.size());
  const auto at = static_cast<size_t>(o.kernel_at);
  if (needs[0]) dx[0] = matmul(dxz, o.kernel, false, true);
  for (int i = 0; i < states; ++i) dx[static_cast<size_t>(1 + i)] = dxz.output(1 + i);
  if (needs[at]) dx[at] = matmul(rows(o.x), rows(dxz), true, false);
  if (needs[at + 1]) dx[at + 1] = matmul(rows(y.output(states + 1)), rows(dxz), true, false);
  if (use_bias && needs[at + 2]) dx[at + 2] = sum(rows(dxz), {0}, false);
  return dx;
}

Recurrence recurrence_of(const Lstm& l) { return {"lstm", "tanh", l.reverse, l.return_sequences, l.use_mask}; }
Recurrence recurrence_of(const SimpleRnn& l) {
  return {"simple_rnn", l.activation, l.reverse, l.return_sequences, l.use_mask};
}

}  // namespace

MAAS_DEFINE_OP(lstm, Lstm)
Specs Lstm::infer(const Inputs& in) const { return infer_layer("lstm", true, use_bias, use_mask, in); }
Nodes Lstm::lower(const Node& y) const { return lower_layer(recurrence_of(*this), use_bias, y); }
Nodes Lstm::gradient(const Node& y, const Nodes& dys, const Needs& needs) const {
  return layer_gradient(recurrence_of(*this), use_bias, y, dys, needs);
}

MAAS_DEFINE_OP(simple_rnn, SimpleRnn)
Specs SimpleRnn::infer(const Inputs& in) const {
  check(activation == "tanh" || activation == "relu" || activation == "sigmoid" || activation == "linear",
        "simple_rnn: activation must be 'tanh', 'relu', 'sigmoid' or 'linear', received '", activation, "'");
  return infer_layer("simple_rnn", false, use_bias, use_mask, in);
}
Nodes SimpleRnn::lower(const Node& y) const { return lower_layer(recurrence_of(*this), use_bias, y); }
Nodes SimpleRnn::gradient(const Node& y, const Nodes& dys, const Needs& needs) const {
  return layer_gradient(recurrence_of(*this), use_bias, y, dys, needs);
}

}  // namespace maas
