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

void check_operands(const char* op, bool heads_first, const Spec& q, const Spec& k, const Spec& v, const Spec* mask) {
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
  if (!mask) return;
  if (mask->dtype != DType::b8) fail(ErrorKind::type, op, ": mask must be bool, received ", mask->dtype);
  const Shape full{q.shape[0], heads, at.rows(q), at.rows(k)};
  bool fits = mask->rank() == 4;
  for (size_t i = 0; fits && i < 4; ++i)
    fits = mask->shape[i].is(1) || agree(mask->shape[i], full[i], op, "mask must broadcast to (B, H, T, S)");
  check(fits, op, ": mask must broadcast to ", to_string(full), ", received ", to_string(mask->shape));
}

double effective(double scale, const Shape& q) {
  const double d = static_cast<double>(q[3].constant());
  return scale != 0 ? scale : d > 0 ? 1 / std::sqrt(d) : 1;
}

AttentionTensor tensor(const Axes& at, const BoundValue& x) {
  return {x.data, x.strides[0], x.strides[at.head], x.strides[at.row]};
}

AttentionShape sizes(const Axes& at, double scale, bool causal, const BoundValue& q, const BoundValue& k,
                     const BoundValue& v) {
  const double d = static_cast<double>(q.shape[3]);
  return {q.shape[0],      q.shape[at.head], k.shape[at.head], q.shape[at.row],
          k.shape[at.row], q.shape[3],       v.shape[3],       scale != 0 ? scale : d > 0 ? 1 / std::sqrt(d) : 1,
          causal};
}

AttentionMask bind_mask(const BoundValue& m) {
  auto stride = [&](int i) { return m.shape[i] == 1 ? 0 : m.strides[i]; };
  return {reinterpret_cast<const uint8_t*>(m.data), stride(0), stride(1), stride(2), stride(3)};
}

// Scores, probabilities and what they came from, in public ops, heads first and keys repeated for their query heads.
struct Composed {
  Node q, k, v, p, keep;
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

Composed compose(double scale, bool causal, bool heads_first, const Node& q, const Node& k, const Node& v,
                 const Node& mask) {
  auto first = [&](const Node& x) { return heads_first ? x : transpose(x, {0, 2, 1, 3}); };
  Composed c;
  const Node k1 = first(k), v1 = first(v);
  c.q = first(q);
  c.groups = k1.shape()[1].is(0) ? 1 : c.q.shape()[1].constant() / k1.shape()[1].constant();
  c.k = repeat_heads(k1, c.groups);
  c.v = repeat_heads(v1, c.groups);
  Node scores = matmul(c.q, c.k, false, true) * effective(scale, c.q.shape());
  c.keep = mask;
  if (causal) {
    auto positions = [](const Dim& n) { return op("arange", {}, {{"size", Shape{n}}}); };
    const Dim &t = c.q.shape()[2], &s = c.k.shape()[2];
    const Node seen = binary("greater_equal", reshape(positions(t), {t, Dim(1)}), reshape(positions(s), {Dim(1), s}));
    c.keep = c.keep ? binary("logical_and", c.keep, seen) : seen;
  }
  // A finite number, so that a row that sees nothing gets equal scores. The same as Keras on JAX.
  if (c.keep)
    scores =
        where(c.keep, scores,
              scalar_node(scores.dtype(), scores.dtype() == DType::f16 ? -0.7 * 65504 : -0.7 * 3.4028234663852886e38));
  c.p = op("softmax", {scores}, {{"axis", int64_t{-1}}});
  return c;
}

double pairs(const AttentionShape& s) {
  return static_cast<double>(s.batch * s.heads) * static_cast<double>(s.queries) * static_cast<double>(s.keys) *
         (s.causal ? 0.5 : 1);
}

// Kernels are for float32 and float64; the rest is computed in float32.
bool has_kernel_type(DType t) { return t == DType::f32 || t == DType::f64; }

}  // namespace

// ---- forward

MAAS_DEFINE_OP(attention, Attention)
const KernelTable& Attention::kernels() { return attention_kernels; }

Specs Attention::infer(const Inputs& in) const {
  check(in.size() == (masked ? 4 : 3), "attention: query, key, value", masked ? " and mask" : "",
        " are needed, received ", in.size(), " operands");
  check_operands("attention", heads_first, in[0], in[1], in[2], masked ? &in[3] : nullptr);
  const Axes at(heads_first);
  Shape y = in[0].shape;
  y[3] = in[2].shape[3];
  return {Spec{in[0].dtype, std::move(y), {}},
          Spec{norm::statistics_type(in[0].dtype), {in[0].shape[0], at.heads(in[0]), at.rows(in[0])}, {}}};
}

Nodes Attention::composition(const Nodes& in) const {
  const Composed c = compose(scale, causal, heads_first, in[0], in[1], in[2], masked ? in[3] : Node());
  const Node y = matmul(c.p, c.v);
  return {heads_first ? y : transpose(y, {0, 2, 1, 3})};
}

Nodes Attention::lower(const Node& y) const {
  const DType type = y.dtype();
  if (has_kernel_type(type)) return {};
  Nodes inputs = y->inputs;
  for (int i = 0; i < 3; ++i) inputs[static_cast<size_t>(i)] = cast(inputs[static_cast<size_t>(i)], DType::f32);
  const Node z = apply(*this, std::move(inputs));
  return {cast(z, type), z.output(1)};
}

Nodes Attention::gradient(const Node& y, const Nodes& dys, const Needs&) const {
  if (dys.size() > 1 && dys[1])
    fail(ErrorKind::not_implemented, "attention: its hidden log-sum-exp has no gradient, received one");
  const DType type = y.dtype(), inner = norm::statistics_type(type);
  Nodes inputs;
  for (int i = 0; i < 3; ++i) inputs.push_back(cast(y.input(i), inner));
  inputs.insert(inputs.end(), {cast(y, inner), cast(dys[0], inner), y.output(1)});
  if (masked) inputs.push_back(y.input(3));
  const Node g = apply(AttentionGrad{scale, causal, heads_first, masked}, std::move(inputs));
  Nodes out{cast(g, type), cast(g.output(1), type), cast(g.output(2), type)};
  if (masked) out.push_back(Node());
  return out;
}

bool Attention::accepts(const KernelRow& row, const Specs& in, const Specs&) const { return row.dtype == in[0].dtype; }

void Attention::bind(const Bind& b, const KernelRow& row, AttentionArgs& a) const {
  const Axes at(heads_first);
  a.s = sizes(at, scale, causal, b.in(0), b.in(1), b.in(2));
  a.q = tensor(at, b.in(0));
  a.k = tensor(at, b.in(1));
  a.v = tensor(at, b.in(2));
  a.y = tensor(at, b.out());
  a.mask = masked ? bind_mask(b.in(3)) : AttentionMask{};
  a.lse = b.write(1);
  a.scratch = attention_scratch(a.s, row.isa == Isa::none);
}

double Attention::work(const AttentionArgs& a) const {
  const AttentionShape& s = a.s;
  return pairs(s) * (2e-2 * static_cast<double>(s.head_dim + s.value_dim) + 1);
}

// ---- backward

MAAS_DEFINE_OP(attention_grad, AttentionGrad)
const KernelTable& AttentionGrad::kernels() { return attention_grad_kernels; }

Specs AttentionGrad::infer(const Inputs& in) const {
  check(in.size() == (masked ? 7 : 6), "attention_grad: ", masked ? 7 : 6, " operands are needed, received ",
        in.size());
  check_operands("attention_grad", heads_first, in[0], in[1], in[2], masked ? &in[6] : nullptr);
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
  for (int i : {3, 4, 5})
    if (in[static_cast<size_t>(i)].dtype != in[0].dtype)
      fail(ErrorKind::type, "attention_grad: operands must have one dtype, received ", in[0].dtype, " and ",
           in[static_cast<size_t>(i)].dtype);
  return {in[0], in[1], in[2]};
}

// From q, k and v alone: the gradient of this op then goes through them, not through y and lse.
Nodes AttentionGrad::composition(const Nodes& in) const {
  const Composed c = compose(scale, causal, heads_first, in[0], in[1], in[2], masked ? in[6] : Node());
  auto first = [&](const Node& x) { return heads_first ? x : transpose(x, {0, 2, 1, 3}); };
  const Node dy = first(in[4]), dp = matmul(dy, c.v, false, true);
  Node ds = c.p * (dp - sum(c.p * dp, {-1}, true)) * effective(scale, c.q.shape());
  if (c.keep) ds = where(c.keep, ds, scalar_node(ds.dtype(), 0));
  return {first(matmul(ds, c.k)), first(add_heads(matmul(ds, c.q, true), c.groups)),
          first(add_heads(matmul(c.p, dy, true), c.groups))};
}

Nodes AttentionGrad::gradient(const Node& y, const Nodes& dys, const Needs&) const {
  Nodes out = norm::gradient_of_composition(*this, y, dys);
  out[3] = out[5] = Node();
  return out;
}

InputLayout AttentionGrad::input_layout(int input) const {
  return input == 6 ? InputLayout::strided : input == 5 ? InputLayout::dense : InputLayout::rows;
}

bool AttentionGrad::accepts(const KernelRow& row, const Specs& in, const Specs&) const {
  return row.dtype == in[0].dtype;
}

void AttentionGrad::bind(const Bind& b, const KernelRow& row, AttentionGradArgs& a) const {
  const Axes at(heads_first);
  a.s = sizes(at, scale, causal, b.in(0), b.in(1), b.in(2));
  AttentionTensor* in[] = {&a.q, &a.k, &a.v, &a.y, &a.dy};
  for (int i = 0; i < 5; ++i) *in[i] = tensor(at, b.in(i));
  a.lse = b.read(5);
  a.mask = masked ? bind_mask(b.in(6)) : AttentionMask{};
  a.dq = tensor(at, b.out(0));
  a.dk = tensor(at, b.out(1));
  a.dv = tensor(at, b.out(2));
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

std::vector<Dim> AttentionGrad::workspaces(const Specs& in, const Specs&) const {
  return {product(in[5].shape) * Dim(byte_size(in[5].dtype, 1))};
}

}  // namespace maas
