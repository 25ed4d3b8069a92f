#include "ops/attention/attention.h"

#include <algorithm>
#include <cmath>

#include "graph/op_model.h"
#include "ops/build.h"
#include "ops/norm/common.h"

#define MAAS_KERNELS "ops/attention/kernels.inc"
#define MAAS_KERNEL_ARGS AttentionArgs
#define MAAS_KERNEL_TABLE attention_kernels
#include "core/kernel_table.h"

#define MAAS_KERNELS "ops/attention/grad_kernels.inc"
#define MAAS_KERNEL_ARGS AttentionGradArgs
#define MAAS_KERNEL_TABLE attention_grad_kernels
#include "core/kernel_table.h"

namespace maas {
namespace {

// Where heads and positions are among the four axes.
struct Axes {
  explicit Axes(bool heads_first) : head(heads_first ? 1 : 2), row(heads_first ? 2 : 1) {}
  int head, row;
  const Dim& heads(const Spec& s) const { return s.shape[static_cast<size_t>(head)]; }
  const Dim& rows(const Spec& s) const { return s.shape[static_cast<size_t>(row)]; }
};

void check_operands(const char* op, const AttentionOptions& o, const Inputs& in, int first) {
  const AttentionOptions::Further f = o.further(first);
  check(in.size() == static_cast<size_t>(f.count), op, ": ", f.count, " operands are needed, received ", in.size());
  const Spec &q = in[0], &k = in[1], &v = in[2];
  const bool heads_first = o.heads_first;
  const auto given = [&](int i) { return i < 0 ? nullptr : &in[static_cast<size_t>(i)]; };
  const Spec *mask = given(f.mask), *bias = given(f.bias), *lengths = given(f.lengths), *state = given(f.state);
  check(o.window >= 0 && o.soft_cap >= 0, op, ": window and soft_cap must be at least 0, received ", o.window, " and ",
        o.soft_cap);
  check(o.dropout >= 0 && o.dropout < 1, op, ": dropout must be in [0, 1), received ", o.dropout);
  for (const Spec* s : {&q, &k, &v})
    check(s->rank() == 4, op, ": query, key and value must have four axes, received ", to_string(q.shape), ", ",
          to_string(k.shape), " and ", to_string(v.shape));
  for (const Spec* s : {&q, &k, &v})
    if (!is_floating(s->dtype) || s->dtype != q.dtype)
      fail(ErrorKind::type, op, ": query, key and value must have one floating dtype, received ", q.dtype, ", ",
           k.dtype, " and ", v.dtype);
  const Axes at(heads_first);
  check(agree(q.shape[0], k.shape[0], op, "query and key must have one batch") &&
            agree(q.shape[0], v.shape[0], op, "query and value must have one batch") &&
            agree(at.rows(k), at.rows(v), op, "key and value must have one length") && at.heads(k) == at.heads(v) &&
            q.shape[3] == k.shape[3],
        op, ": query ",
        heads_first ? "(B, H, T, D), key (B, H, S, D), value (B, H, S, E)"
                    : "(B, T, H, D), key (B, S, H, D), value (B, S, H, E)",
        " do not fit each other, received ", to_string(q.shape), ", ", to_string(k.shape), " and ", to_string(v.shape));
  const Dim &heads = at.heads(q), &shared = at.heads(k);
  check(heads.is_constant() && shared.is_constant() && q.shape[3].is_constant() && v.shape[3].is_constant(), op,
        ": heads and head sizes must be known, received ", to_string(q.shape), " and ", to_string(v.shape));
  check(shared.constant() > 0 ? heads.constant() % shared.constant() == 0 : heads.constant() == 0, op,
        ": the query's heads must be a multiple of the key's, received ", heads, " and ", shared);
  const Shape full{q.shape[0], heads, at.rows(q), at.rows(k)};
  for (const Spec* table : {mask, bias}) {
    if (!table) continue;
    const char* name = table == mask ? "mask" : "bias";
    const DType wanted = table == mask ? DType::b8 : q.dtype;
    if (table->dtype != wanted) fail(ErrorKind::type, op, ": ", name, " must be ", wanted, ", received ", table->dtype);
    bool fits = table->rank() == 4;
    for (size_t i = 0; fits && i < 4; ++i)
      fits = table->shape[i].is(1) ||
             agree(table->shape[i], full[i], op, text(name, " must broadcast to (B, H, T, S)").c_str());
    check(fits, op, ": ", name, " must broadcast to ", to_string(full), ", received ", to_string(table->shape));
  }
  if (lengths) {
    if (lengths->dtype != DType::i32) fail(ErrorKind::type, op, ": lengths must be int32, received ", lengths->dtype);
    check(agree(lengths->shape, Shape{q.shape[0]}, op, "lengths must have the batch of the query"), op,
          ": lengths must have shape ", to_string({q.shape[0]}), ", received ", to_string(lengths->shape));
  }
  if (state) {
    if (!is_integer(state->dtype)) fail(ErrorKind::type, op, ": the state must be integers, received ", state->dtype);
    check(product(state->shape).is(2), op, ": the state must hold seed and step, received shape ",
          to_string(state->shape));
  }
}

double effective(double scale, const Shape& q) {
  const double d = static_cast<double>(q[3].constant());
  return scale != 0 ? scale : d > 0 ? 1 / std::sqrt(d) : 1;
}

AttentionTensor tensor(const Axes& at, const BoundValue& x) {
  return {x.data, x.strides[0], x.strides[at.head], x.strides[at.row]};
}

AttentionTable table(const Bind& b, int input) {
  if (input < 0) return {};
  const BoundValue& m = b.in(input);
  auto stride = [&](int i) { return m.shape[i] == 1 ? 0 : m.strides[i]; };
  return {m.data, stride(0), stride(1), stride(2), stride(3)};
}

// Fills what forward and backward arguments share.
template <class Args>
void bind_shared(const AttentionOptions& o, const Bind& b, int first, Args& a) {
  const Axes at(o.heads_first);
  const BoundValue &q = b.in(0), &k = b.in(1), &v = b.in(2);
  const AttentionOptions::Further f = o.further(first);
  const double d = static_cast<double>(q.shape[3]);
  a.s = {q.shape[0],
         q.shape[at.head],
         k.shape[at.head],
         q.shape[at.row],
         k.shape[at.row],
         q.shape[3],
         v.shape[3],
         o.scale != 0 ? o.scale
         : d > 0      ? 1 / std::sqrt(d)
                      : 1,
         o.soft_cap,
         std::min(o.window, q.shape[at.row] + k.shape[at.row]),  // a wider one hides nothing either
         o.causal,
         o.at_end,
         f.lengths < 0 ? nullptr : b.template read<int32_t>(f.lengths)};
  a.q = tensor(at, q);
  a.k = tensor(at, k);
  a.v = tensor(at, v);
  a.mask = table(b, f.mask);
  a.bias = table(b, f.bias);
  a.dropout = {};
  if (f.state < 0) return;
  a.dropout = {b.read(f.state), b.in(f.state).dtype, o.stream, static_cast<uint32_t>(std::ceil(o.dropout * 0x1p24)),
               1 - o.dropout};
}

InputLayout layout_of(const AttentionOptions& o, int first, int input) {
  const AttentionOptions::Further f = o.further(first);
  if (input == f.mask) return InputLayout::strided;
  if (input == f.lengths || input == f.state || (first == 6 && input == 5)) return InputLayout::dense;
  return InputLayout::rows;
}

// Scores, probabilities and what they came from, in public ops, heads first and keys repeated for their query heads.
struct Composed {
  Node q, k, v, p, keep, slope, drop;  // keep: where scores flow; slope: of the soft cap; drop: factors of dropout
  int64_t groups;
};

Node repeat_heads(const Node& x, int64_t groups) {
  if (groups == 1) return x;
  const Shape& s = x.shape();
  const Node spread = broadcast_to(reshape(x, {s[0], s[1], Dim(1), s[2], s[3]}), {s[0], s[1], Dim(groups), s[2], s[3]});
  return reshape(spread, {s[0], s[1] * Dim(groups), s[2], s[3]});
}
Node add_heads(const Node& x, int64_t groups) {
  if (groups == 1) return x;
  const Shape& s = x.shape();
  return sum(reshape(x, {s[0], Dim(s[1].constant() / groups), Dim(groups), s[2], s[3]}), {2}, false);
}

Node positions(const Dim& n, bool from_end) {
  const Node up = op("arange", {}, {{"size", Shape{n}}});
  return from_end ? op("flip", {up}, {{"axis", std::vector<int64_t>{0}}}) : up;
}

Node both(const Node& a, const Node& b) { return a ? binary("logical_and", a, b) : b; }

Composed compose(const AttentionOptions& o, const Nodes& in, int further) {
  const AttentionOptions::Further f = o.further(further);
  auto first = [&](const Node& x) { return o.heads_first ? x : transpose(x, {0, 2, 1, 3}); };
  const auto given = [&](int i) { return i < 0 ? Node() : in[static_cast<size_t>(i)]; };
  Composed c;
  const Node k1 = first(in[1]), v1 = first(in[2]);
  c.q = first(in[0]);
  c.groups = k1.shape()[1].is(0) ? 1 : c.q.shape()[1].constant() / k1.shape()[1].constant();
  c.k = repeat_heads(k1, c.groups);
  c.v = repeat_heads(v1, c.groups);
  Node scores = matmul(c.q, c.k, false, true) * effective(o.scale, c.q.shape());
  if (o.soft_cap != 0) {
    const Node t = unary("tanh", scores / o.soft_cap);
    scores = t * o.soft_cap;
    c.slope = 1.0 - t * t;
  }
  if (o.biased) {
    scores = scores + given(f.bias);
    c.keep = binary("not_equal", given(f.bias), -INFINITY);
  }
  if (o.masked) c.keep = both(c.keep, given(f.mask));
  const Dim &t = c.q.shape()[2], &s = c.k.shape()[2];
  const Node lengths = o.with_lengths ? reshape(given(f.lengths), {c.q.shape()[0], Dim(1), Dim(1), Dim(1)}) : Node();
  const Node keys = reshape(positions(s, false), {Dim(1), s});
  if (o.causal || o.window) {
    // How far a key lies before its query.
    Node ahead;
    if (!o.at_end)
      ahead = reshape(positions(t, false), {t, Dim(1)}) - keys;
    else
      ahead = (lengths ? lengths - 1.0 - keys : reshape(positions(s, true), {Dim(1), s})) -
              reshape(positions(t, true), {t, Dim(1)});
    if (o.causal) c.keep = both(c.keep, binary("greater_equal", ahead, 0.0));
    if (o.window) c.keep = both(c.keep, binary("less", unary("absolute", ahead), static_cast<double>(o.window)));
  }
  // A finite number, so that a row that sees nothing gets equal scores. The same as Keras on JAX.
  if (c.keep)
    scores =
        where(c.keep, scores,
              scalar_node(scores.dtype(), scores.dtype() == DType::f16 ? -0.7 * 65504 : -0.7 * 3.4028234663852886e38));
  if (lengths) {
    const Node there = binary("less", keys, lengths), any = binary("greater", lengths, 0.0);
    scores =
        where(binary("logical_or", there, unary("logical_not", any)), scores, scalar_node(scores.dtype(), -INFINITY));
    c.keep = both(c.keep, there);
    c.p = where(any, op("softmax", {scores}, {{"axis", int64_t{-1}}}), scalar_node(scores.dtype(), 0));
  } else {
    c.p = op("softmax", {scores}, {{"axis", int64_t{-1}}});
  }
  if (o.dropout > 0)
    c.drop =
        op("dropout", {full(c.p.shape(), c.p.dtype(), 1), given(f.state)}, {{"rate", o.dropout}, {"stream", o.stream}});
  return c;
}

double pairs(const AttentionShape& s) {
  const double keys = static_cast<double>(s.keys), seen = s.window ? static_cast<double>(2 * s.window + 64) : keys;
  return static_cast<double>(s.batch * s.heads) * static_cast<double>(s.queries) * std::min(seen, keys) *
         (s.causal && !s.at_end ? 0.5 : 1);
}

// What some device has kernels for; where one has none for halves, lowering computes them in float32.
bool has_kernel_type(DType t) { return t == DType::f32 || t == DType::f64 || t == DType::bf16 || t == DType::f16; }

// CUDA rows hold a head's columns in shared memory.
bool accepts_heads(const KernelRow& row, const Specs& in) {
  constexpr int64_t kMost = 256;
  return row.dtype == in[0].dtype &&
         (row.isa != Isa::cuda || (in[0].shape[3].constant() <= kMost && in[2].shape[3].constant() <= kMost));
}

// Halves as float32, so that a composition rounds its results once.
Nodes widened(const Nodes& in) {
  Nodes out;
  for (const Node& x : in) out.push_back(is_floating(x.dtype()) ? cast(x, norm::statistics_type(x.dtype())) : x);
  return out;
}

}  // namespace

// ---- forward

MAAS_DEFINE_OP(attention, Attention)
const KernelTable& Attention::kernels() { return attention_kernels; }

Specs Attention::infer(const Inputs& in) const {
  check_operands("attention", *this, in, 3);
  const Axes at(heads_first);
  Shape y = in[0].shape;
  y[3] = in[2].shape[3];
  return {Spec{in[0].dtype, std::move(y), {}},
          Spec{norm::statistics_type(in[0].dtype), {in[0].shape[0], at.heads(in[0]), at.rows(in[0])}, {}}};
}

Nodes Attention::composition(const Nodes& in) const {
  const Composed c = compose(*this, widened(in), 3);
  const Node y = matmul(c.drop ? c.p * c.drop : c.p, c.v);
  return {cast(heads_first ? y : transpose(y, {0, 2, 1, 3}), in[0].dtype())};
}

Nodes Attention::lower(const Node& y) const {
  const DType type = y.dtype();
  if (has_kernel_type(type)) return {};
  Nodes inputs = y->inputs;
  for (Node& x : inputs)
    if (x.dtype() == type) x = cast(x, DType::f32);
  const Node z = apply(*this, std::move(inputs));
  return {cast(z, type), z.output(1)};
}

Nodes Attention::gradient(const Node& y, const Nodes& dys, const Needs& needs) const {
  if (dys.size() > 1 && dys[1])
    fail(ErrorKind::not_implemented, "attention: its hidden log-sum-exp has no gradient, received one");
  const DType type = y.dtype(), inner = has_kernel_type(type) ? type : norm::statistics_type(type);
  const Further f = further(3);
  Nodes inputs;
  for (int i = 0; i < 3; ++i) inputs.push_back(cast(y.input(i), inner));
  inputs.insert(inputs.end(), {cast(y, inner), cast(dys[0], inner), y.output(1)});
  for (int i = 3; i < f.count; ++i) inputs.push_back(i == f.bias ? cast(y.input(i), inner) : y.input(i));
  const Node g = apply(AttentionGrad{*this}, std::move(inputs));
  Nodes out{cast(g, type), cast(g.output(1), type), cast(g.output(2), type)};
  out.resize(static_cast<size_t>(f.count));
  if (f.bias >= 0 && needs[static_cast<size_t>(f.bias)])
    out[static_cast<size_t>(f.bias)] = cast(sum_to(g.output(3), y.input(f.bias).shape()), type);
  return out;
}

InputLayout Attention::input_layout(int input) const { return layout_of(*this, 3, input); }

bool Attention::accepts(const KernelRow& row, const Specs& in, const Specs&) const { return accepts_heads(row, in); }

void Attention::bind(const Bind& b, const KernelRow& row, AttentionArgs& a) const {
  bind_shared(*this, b, 3, a);
  a.y = tensor(Axes(heads_first), b.out());
  a.lse = b.write(1);
  a.scratch = attention_scratch(a.s, row.isa == Isa::none);
}

double Attention::work(const AttentionArgs& a) const {
  const AttentionShape& s = a.s;
  return pairs(s) * (2e-2 * static_cast<double>(s.head_dim + s.value_dim) + 1);
}

double Attention::flops(const AttentionArgs& a) const {
  return pairs(a.s) * 2 * static_cast<double>(a.s.head_dim + a.s.value_dim);
}

// ---- backward

MAAS_DEFINE_OP(attention_grad, AttentionGrad)
const KernelTable& AttentionGrad::kernels() { return attention_grad_kernels; }

Specs AttentionGrad::infer(const Inputs& in) const {
  check_operands("attention_grad", *this, in, 6);
  const Axes at(heads_first);
  Shape y = in[0].shape;
  y[3] = in[2].shape[3];
  check(agree(in[3].shape, y, "attention_grad", "y has one shape") &&
            agree(in[4].shape, y, "attention_grad", "dy has the shape of y"),
        "attention_grad: y and dy must have shape ", to_string(y), ", received ", to_string(in[3].shape), " and ",
        to_string(in[4].shape));
  const Shape rows{in[0].shape[0], at.heads(in[0]), at.rows(in[0])};
  check(in[5].shape == rows, "attention_grad: lse must have shape ", to_string(rows), ", received ",
        to_string(in[5].shape));
  const DType inner = norm::statistics_type(in[0].dtype);
  for (int i : {3, 4, 5})
    if (in[static_cast<size_t>(i)].dtype != (i == 5 ? inner : in[0].dtype))
      fail(ErrorKind::type, "attention_grad: y and dy must have the dtype of the query, and lse ", inner, ", received ",
           in[3].dtype, ", ", in[4].dtype, " and ", in[5].dtype);
  const Spec scores{inner, {in[0].shape[0], at.heads(in[0]), at.rows(in[0]), at.rows(in[1])}, {}};
  return {in[0], in[1], in[2], scores};
}

// From q, k and v alone: the gradient of this op then goes through them, not through y and lse.
Nodes AttentionGrad::composition(const Nodes& given) const {
  const DType type = given[0].dtype();
  const Nodes in = widened(given);
  const Composed c = compose(*this, in, 6);
  auto first = [&](const Node& x) { return heads_first ? x : transpose(x, {0, 2, 1, 3}); };
  const Node dy = first(in[4]), weights = c.drop ? c.p * c.drop : c.p;
  Node dp = matmul(dy, c.v, false, true);
  if (c.drop) dp = dp * c.drop;
  Node g = c.p * (dp - sum(c.p * dp, {-1}, true));
  if (c.keep) g = where(c.keep, g, scalar_node(g.dtype(), 0));
  Node ds = g * effective(scale, c.q.shape());
  if (c.slope) ds = ds * c.slope;
  return {cast(first(matmul(ds, c.k)), type), cast(first(add_heads(matmul(ds, c.q, true), c.groups)), type),
          cast(first(add_heads(matmul(weights, dy, true), c.groups)), type), g};
}

Nodes AttentionGrad::gradient(const Node& y, const Nodes& dys, const Needs&) const {
  Nodes out = norm::gradient_of_composition(*this, y, dys);
  out[3] = out[5] = Node();
  return out;
}

InputLayout AttentionGrad::input_layout(int input) const { return layout_of(*this, 6, input); }

bool AttentionGrad::accepts(const KernelRow& row, const Specs& in, const Specs&) const {
  return accepts_heads(row, in);
}

void AttentionGrad::bind(const Bind& b, const KernelRow& row, AttentionGradArgs& a) const {
  const Axes at(heads_first);
  bind_shared(*this, b, 6, a);
  a.y = tensor(at, b.in(3));
  a.dy = tensor(at, b.in(4));
  a.lse = b.read(5);
  a.dq = tensor(at, b.out(0));
  a.dk = tensor(at, b.out(1));
  a.dv = tensor(at, b.out(2));
  a.dscores = b.write(3);
  a.delta = b.workspace();
  a.scratch = attention_grad_scratch(a.s, row.isa == Isa::none);
}

int64_t AttentionGrad::units(const AttentionGradArgs& a, int64_t phase) const {
  const AttentionShape& s = a.s;
  return phase == 1 ? s.batch * s.kv_heads * s.k_blocks() : s.batch * s.heads * s.q_blocks();
}

double AttentionGrad::work(const AttentionGradArgs& a) const {
  const AttentionShape& s = a.s;
  return pairs(s) * (7e-2 * static_cast<double>(s.head_dim + s.value_dim) + 2);
}

// Scores again, dp, and the products for dq, dk and dv.
double AttentionGrad::flops(const AttentionGradArgs& a) const {
  return pairs(a.s) * 2 * static_cast<double>(3 * a.s.head_dim + 2 * a.s.value_dim);
}

std::vector<Dim> AttentionGrad::workspaces(const Specs& in, const Specs&) const {
  return {product(in[5].shape) * Dim(byte_size(in[5].dtype, 1))};
}

}  // namespace maas
