// lstm, gru and simple_rnn: checks, gradient in public ops and recurrence_gradient, and what they lower to.
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

Specs infer_layer(const char* name, const Recurrence& r, bool use_bias, const Inputs& in) {
  const bool lstm = r.cell == "lstm";
  const int64_t gates = lstm ? 4 : r.cell == "simple_rnn" ? 1 : 3;
  const size_t count = 4 + (lstm ? 1 : 0) + (use_bias ? 1 : 0) + (r.use_mask ? 1 : 0);
  check(in.size() == count, name, ": ", count, " operands are needed, received ", in.size());
  for (const std::string& given : {r.activation, r.gate})
    check(known_activation(given), name,
          ": activations must be 'linear', 'tanh', 'sigmoid', 'relu', 'relu6', 'hard_sigmoid', 'softsign' or 'elu', "
          "received '",
          given, "'");
  const size_t kernel_at = lstm ? 3 : 2;
  const Spec &x = in[0], &kernel = in[kernel_at], &recurrent = in[kernel_at + 1];
  if (!is_floating(x.dtype) || bit_size(x.dtype) < 16)
    fail(ErrorKind::type, name, ": x must be float32, float64, bfloat16 or float16, received ", x.dtype);
  for (size_t i = 1; i < count - (r.use_mask ? 1 : 0); ++i)
    if (in[i].dtype != x.dtype)
      fail(ErrorKind::type, name, ": all operands must have the dtype of x, ", x.dtype, ", received ", in[i].dtype);
  check(x.rank() == 3, name, ": x must have the axes (batch, time, features), received ", to_string(x.shape));
  check(recurrent.rank() == 2 && recurrent.shape[0].is_constant() &&
            recurrent.shape[1].is(recurrent.shape[0].constant() * gates),
        name, ": recurrent_kernel must have shape (units, ", gates == 1 ? "" : std::to_string(gates) + " * ",
        "units), received ", to_string(recurrent.shape));
  const Shape state{x.shape[0], recurrent.shape[0]}, wide{x.shape[2], recurrent.shape[1]};
  check(kernel.shape == wide, name, ": kernel must have shape ", to_string(wide), " for x of shape ",
        to_string(x.shape), ", received ", to_string(kernel.shape));
  for (size_t i = 1; i < kernel_at; ++i)
    check(agree(in[i].shape, state, name, "states must have the batch of x"), name, ": ", i == 1 ? "h0" : "c0",
          " must have shape ", to_string(state), " for x of shape ", to_string(x.shape), ", received ",
          to_string(in[i].shape));
  if (use_bias) {
    const Shape bias = r.cell == "gru" ? Shape{Dim(2), wide[1]} : Shape{wide[1]};
    check(in[kernel_at + 2].shape == bias, name, ": bias must have shape ", to_string(bias), ", received ",
          to_string(in[kernel_at + 2].shape));
  }
  if (r.use_mask) {
    const Spec& mask = in.back();
    if (mask.dtype != DType::b8) fail(ErrorKind::type, name, ": mask must be bool, received ", mask.dtype);
    check(agree(mask.shape, {x.shape[0], x.shape[1]}, name, "mask must have the first two sizes of x"), name,
          ": mask must have shape ", to_string({x.shape[0], x.shape[1]}), ", received ", to_string(mask.shape));
  }
  const Dim kept = r.cell == "gru" ? recurrent.shape[0] * Dim(4) : wide[1];
  const Spec h{x.dtype, state, {}}, y{x.dtype, {x.shape[0], x.shape[1], state[1]}, {}},
      residual{x.dtype, {x.shape[0], x.shape[1], kept}, {}};
  if (lstm) return {h, h, y, y, residual, y};
  return {h, y, y, residual};
}

// One row of a bias (2, n).
Node bias_row(const Node& bias, int64_t row) {
  return reshape(slice_axis(bias, 0, Dim(row), Dim(row + 1)), {bias.shape()[1]});
}

Nodes lower_layer(Recurrence r, bool use_bias, const Node& y) {
  const bool lstm = r.cell == "lstm", two_biases = r.cell == "gru" && use_bias;
  const Operands o = operands(lstm, use_bias, r.use_mask, y->inputs);
  Node xz = matmul(o.x, o.kernel);  // of all steps at once
  if (o.bias) xz = xz + (two_biases ? bias_row(o.bias, 0) : o.bias);
  Nodes in{xz, apply(RecurrentPack{r.cell, false}, {o.recurrent_kernel}), o.h0};
  if (lstm) in.push_back(o.c0);
  if (two_biases) in.push_back(bias_row(o.bias, 1));
  if (o.mask) in.push_back(o.mask);
  r.use_bias = two_biases;
  const Node result = apply(r, std::move(in));
  Nodes outputs;
  for (size_t i = 0; i < result->outputs.size(); ++i) outputs.push_back(result.output(static_cast<int>(i)));
  return outputs;
}

Nodes layer_gradient(const Recurrence& r, bool use_bias, const Node& y, const Nodes& dys, const Needs& needs) {
  const bool lstm = r.cell == "lstm", gru = r.cell == "gru", before = r.cell == "gru_before";
  const Operands o = operands(lstm, use_bias, r.use_mask, y->inputs);
  const int states = lstm ? 2 : 1;
  const Node &dh = dys[0], &dy = dys[static_cast<size_t>(states)];
  const Node dc = lstm ? dys[1] : Node(), h_prev = y.output(states + 1), gates = y.output(states + 2);
  Nodes in{gates, apply(RecurrentPack{r.cell, true}, {o.recurrent_kernel})};
  if (lstm) in.push_back(y.output(states + 3));
  if (gru || before) in.push_back(h_prev);
  if (o.mask) in.push_back(o.mask);
  for (const Node& d : {dy, dh, dc})
    if (d) in.push_back(d);
  const Node dxz =
      apply(RecurrenceGradient{r.cell, r.activation, r.gate, r.reverse, r.use_mask, bool(dy), bool(dh), bool(dc)},
            std::move(in));
  // One row a step: the weights see one long batch.
  auto rows = [](const Node& n) { return reshape(n, {n.shape()[0] * n.shape()[1], n.shape()[2]}); };
  Nodes dx(needs.size());
  const auto at = static_cast<size_t>(o.kernel_at);
  const Node dhz = gru ? dxz.output(2) : dxz;
  if (needs[0]) dx[0] = matmul(dxz, o.kernel, false, true);
  for (int i = 0; i < states; ++i) dx[static_cast<size_t>(1 + i)] = dxz.output(1 + i);
  if (needs[at]) dx[at] = matmul(rows(o.x), rows(dxz), true, false);
  if (needs[at + 1] && !before) dx[at + 1] = matmul(rows(h_prev), rows(dhz), true, false);
  if (needs[at + 1] && before) {
    const Dim H = h_prev.shape()[2];
    const Node reset = slice_axis(gates, 2, H, H * Dim(2)) * h_prev;
    dx[at + 1] = concatenate({matmul(rows(h_prev), rows(slice_axis(dxz, 2, Dim(0), H * Dim(2))), true, false),
                              matmul(rows(reset), rows(slice_axis(dxz, 2, H * Dim(2), H * Dim(3))), true, false)},
                             1);
  }
  if (use_bias && needs[at + 2]) {
    dx[at + 2] = sum(rows(dxz), {0}, gru);
    if (gru) dx[at + 2] = concatenate({dx[at + 2], sum(rows(dhz), {0}, true)}, 0);
  }
  return dx;
}

Recurrence recurrence_of(const Lstm& l) {
  return {"lstm", l.activation, l.recurrent_activation, l.reverse, l.return_sequences, l.use_mask};
}
Recurrence recurrence_of(const SimpleRnn& l) {
  return {"simple_rnn", l.activation, "sigmoid", l.reverse, l.return_sequences, l.use_mask};
}
Recurrence recurrence_of(const Gru& l) {
  return {l.reset_after ? "gru" : "gru_before",
          l.activation,
          l.recurrent_activation,
          l.reverse,
          l.return_sequences,
          l.use_mask};
}

}  // namespace

MAAS_DEFINE_OP(lstm, Lstm)
Specs Lstm::infer(const Inputs& in) const { return infer_layer("lstm", recurrence_of(*this), use_bias, in); }
Nodes Lstm::lower(const Node& y) const { return lower_layer(recurrence_of(*this), use_bias, y); }
Nodes Lstm::gradient(const Node& y, const Nodes& dys, const Needs& needs) const {
  return layer_gradient(recurrence_of(*this), use_bias, y, dys, needs);
}

MAAS_DEFINE_OP(gru, Gru)
Specs Gru::infer(const Inputs& in) const { return infer_layer("gru", recurrence_of(*this), use_bias, in); }
Nodes Gru::lower(const Node& y) const { return lower_layer(recurrence_of(*this), use_bias, y); }
Nodes Gru::gradient(const Node& y, const Nodes& dys, const Needs& needs) const {
  return layer_gradient(recurrence_of(*this), use_bias, y, dys, needs);
}

MAAS_DEFINE_OP(simple_rnn, SimpleRnn)
Specs SimpleRnn::infer(const Inputs& in) const { return infer_layer("simple_rnn", recurrence_of(*this), use_bias, in); }
Nodes SimpleRnn::lower(const Node& y) const { return lower_layer(recurrence_of(*this), use_bias, y); }
Nodes SimpleRnn::gradient(const Node& y, const Nodes& dys, const Needs& needs) const {
  return layer_gradient(recurrence_of(*this), use_bias, y, dys, needs);
}

}  // namespace maas
