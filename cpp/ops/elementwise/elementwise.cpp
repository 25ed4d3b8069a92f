#include "ops/elementwise/elementwise.h"

#include <unordered_map>

#include "graph/op_model.h"
#include "ops/build.h"
#include "ops/elementwise/function_numbers.h"

namespace maas {
namespace {

const FnInfo kFns[] = {
#define MAAS_FN(name, arity, kind, ...) FnInfo{#name, arity, FnKind::kind},
#include "ops/elementwise/functions.inc"
#undef MAAS_FN
};

// ---- pieces of gradients

// Where several operands reach the extreme value each takes an equal share, as NumPy-minded frameworks do.
Node share_maximum(const Node& mine, const Node& other, const Node& y) {
  const Node hit = cast(binary("equal", mine, y), y.dtype());
  return hit / (hit + cast(binary("equal", other, y), y.dtype()));
}

Node inside(const Node& a, double low, double high) {
  return binary("logical_and", binary("greater", a, low), binary("less", a, high));
}

// 0 * b at a = 0, so that x ** 2 has the gradient 0 there and not NaN.
Node power_gradient_a(const Node& a, const Node& b, const Node& dy) {
  const Node safe = binary("equal", b, 0.0);
  return dy * where(safe, zeros_like(safe.shape() == dy.shape() ? dy : full(safe.shape(), dy.dtype(), 0)),
                    b * binary("power", a, where(safe, full(b.shape(), b.dtype(), 1), b - 1.0)));
}

Node power_gradient_b(const Node& a, const Node& b, const Node& y, const Node& dy) {
  (void)b;
  const Node positive = binary("greater", a, 0.0);
  return dy * y * where(positive, unary("log", where(positive, a, full(a.shape(), a.dtype(), 1))), zeros_like(a));
}

Node silu_gradient(const Node& a, const Node& dy) {
  const Node s = unary("sigmoid", a);
  return dy * (s + a * s * (1.0 - s));
}

Node gelu_erf_gradient(const Node& a, const Node& dy) {
  const Node cdf = (unary("erf", a * 0.70710678118654752) + 1.0) * 0.5;
  return dy * (cdf + a * unary("exp", a * a * -0.5) * 0.39894228040143268);
}

Node gelu_tanh_gradient(const Node& a, const Node& dy) {
  const double c = 0.79788456080286536;
  const Node a2 = a * a, t = unary("tanh", (a + a2 * a * 0.044715) * c);
  return dy * ((t + 1.0) * 0.5 + a * (1.0 - t * t) * (a2 * (3 * 0.044715) + 1.0) * (0.5 * c));
}

#define MAAS_NO_GRAD Node()
Nodes fn_gradient(int fn, const Nodes& in, const Node& y, const Node& dy) {
  const Node a = in[0], b = in.size() > 1 ? in[1] : Node(), c = in.size() > 2 ? in[2] : Node();
  switch (fn) {
#define MAAS_FN(name, arity, kind, vector, scalar, ...) \
  case fn_##name:                                       \
    return {__VA_ARGS__};
#include "ops/elementwise/functions.inc"
#undef MAAS_FN
  }
  return {};
}
#undef MAAS_NO_GRAD

bool takes(FnKind kind, DType t) {
  if (kind == FnKind::real) return is_floating(t);
  if (kind == FnKind::number) return t != DType::b8;
  if (kind == FnKind::logic) return t == DType::b8;
  return true;
}

}  // namespace

const FnInfo& fn_info(int fn) { return kFns[fn]; }
int fn_count() { return static_cast<int>(std::size(kFns)); }
int find_fn(const std::string& name) {
  for (int i = 0; i < fn_count(); ++i)
    if (name == kFns[i].name) return i;
  return -1;
}

DType fn_result(int fn, const Specs& in) {
  const FnKind kind = kFns[fn].kind;
  if (kind == FnKind::tests || kind == FnKind::logic || fn == fn_to_bool) return DType::b8;
  return kind == FnKind::choose ? in[1].dtype : in[0].dtype;
}

void check_chain(const Chain& chain, size_t inputs, bool may_be_empty) {
  bool ok = (may_be_empty && chain.empty()) ||
            (!chain.empty() && inputs >= 1 && static_cast<size_t>(chain.inputs) == inputs &&
             inputs <= ChainArgs::max_inputs && chain.steps.size() <= ChainArgs::max_steps);
  int known = chain.inputs;
  for (const ChainStep& s : chain.steps) {
    ok = ok && s.fn >= 0 && s.fn < fn_count();
    for (int k = 0; ok && k < 3; ++k) ok = k < kFns[s.fn].arity ? s.arg[k] >= 0 && s.arg[k] < known : s.arg[k] == -1;
    ++known;
  }
  if (!ok)
    fail(ErrorKind::value, "a chain of ", inputs, " operands must be made of known functions, received '",
         to_text(chain), "'");
}

// ---- one function

const OpInfo& Elementwise::info() const { return *elementwise_op_infos_at(fn); }

Specs Elementwise::infer(const Inputs& in) const {
  const FnInfo& f = kFns[fn];
  check(static_cast<int>(in.size()) == f.arity, f.name, ": ", f.arity, " operands are needed, received ", in.size());
  const size_t first = f.kind == FnKind::choose ? 1 : 0;
  if (first && in[0].dtype != DType::b8)
    fail(ErrorKind::type, f.name, ": the condition must be bool, received ", in[0].dtype);
  Shape shape = in[0].shape;
  for (size_t i = 1; i < in.size(); ++i) shape = broadcast(f.name, shape, in[i].shape);
  for (size_t i = first; i < in.size(); ++i) {
    if (in[i].dtype != in[first].dtype)
      fail(ErrorKind::type, f.name, ": operands must have one dtype, received ", in[first].dtype, " and ", in[i].dtype);
    if (!takes(f.kind, in[i].dtype))
      fail(ErrorKind::type, f.name, ": ",
           f.kind == FnKind::real    ? "floating operands are"
           : f.kind == FnKind::logic ? "bool operands are"
                                     : "numbers are",
           " needed, received ", in[i].dtype);
  }
  return {Spec{fn_result(fn, in), std::move(shape), sizes(in)}};
}

// Sizes stay known through + - * // of small integer tensors.
std::optional<std::vector<Dim>> Elementwise::sizes(const Inputs& in) const {
  if (in.size() != 2 || !in[0].value || !in[1].value) return {};
  const auto &a = *in[0].value, &b = *in[1].value;
  if (a.size() != b.size() && a.size() != 1 && b.size() != 1) return {};
  std::vector<Dim> out;
  for (size_t i = 0; i < std::max(a.size(), b.size()); ++i) {
    const Dim &x = a[a.size() == 1 ? 0 : i], &y = b[b.size() == 1 ? 0 : i];
    if (fn == fn_add)
      out.push_back(x + y);
    else if (fn == fn_subtract)
      out.push_back(x - y);
    else if (fn == fn_multiply)
      out.push_back(x * y);
    else if (fn == fn_floor_divide && !y.is(0))
      out.push_back(floordiv(x, y));
    else if (fn == fn_maximum)
      out.push_back(max(x, y));
    else if (fn == fn_minimum)
      out.push_back(min(x, y));
    else
      return {};
  }
  return out;
}

Nodes Elementwise::gradient(const Node& y, const Nodes& dys, const Needs& needs) const {
  Nodes dxs = fn_gradient(fn, y->inputs, y, dys[0]);
  for (size_t i = 0; i < dxs.size(); ++i)
    dxs[i] =
        needs[i] && dxs[i] ? sum_to(broadcast_to(dxs[i], y.shape()), y.input(static_cast<int>(i)).shape()) : Node();
  return dxs;
}

std::vector<const OpInfo*> elementwise_op_infos() {
  static const std::vector<OpInfo> infos = [] {
    std::vector<OpInfo> list;
    for (int fn = 0; fn < fn_count(); ++fn)
      list.push_back({kFns[fn].name, [fn](const ParamList& params) -> OpPtr {
                        if (!params.empty())
                          fail(ErrorKind::type, kFns[fn].name, ": unknown parameter, received '", params[0].first, "'");
                        return std::make_shared<OpModel<Elementwise>>(Elementwise{fn});
                      }});
    return list;
  }();
  std::vector<const OpInfo*> out;
  for (const OpInfo& i : infos) out.push_back(&i);
  return out;
}

const OpInfo* elementwise_op_infos_at(int fn) {
  static const auto list = elementwise_op_infos();
  return list[static_cast<size_t>(fn)];
}

// ---- cast and copy

MAAS_DEFINE_OP(cast, Cast)

// Inside a chain values are float32, so a cast to 16 bits must say that it rounds.
int Cast::elementwise_fn() const {
  return dtype == DType::b8     ? fn_to_bool
         : dtype == DType::bf16 ? fn_round_bf16
         : dtype == DType::f16  ? fn_round_f16
                                : fn_identity;
}
Specs Cast::infer(const Inputs& in) const {
  check(in.size() == 1, "cast: one operand is needed, received ", in.size());
  return {Spec{dtype, in[0].shape, is_integer(dtype) ? in[0].value : std::nullopt}};
}
Nodes Cast::gradient(const Node& y, const Nodes& dys, const Needs&) const {
  return {is_floating(dtype) ? maas::cast(dys[0], y.input(0).dtype()) : Node()};
}

MAAS_DEFINE_OP(copy, Copy)

int Copy::elementwise_fn() const { return fn_identity; }

}  // namespace maas
