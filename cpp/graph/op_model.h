#pragma once
#include <algorithm>
#include <memory>
#include <utility>

#include "core/error.h"
#include "graph/op.h"

namespace maas {

// MAAS_DEFINE_OP(softmax, Softmax) in the op's .cpp makes the function that its line in ops.inc names.
#define MAAS_DEFINE_OP(op_name, Type)                           \
  const OpInfo& op_name##_op_info() {                           \
    static const OpInfo info{#op_name, &OpModel<Type>::create}; \
    return info;                                                \
  }                                                             \
  template <>                                                   \
  const OpInfo& op_info<Type>() {                               \
    return op_name##_op_info();                                 \
  }

template <class T>
const OpInfo& op_info();

// Adapts a plain op struct to Op. A struct has MAAS_PARAMS(...) and infer; all else is optional:
//   Nodes gradient(y, dys, needs); Nodes composition(inputs); int visible_outputs(); int elementwise_fn();
//   bool view(in, out, input, output); InputLayout input_layout(i); int in_place(output); OpPtr with_epilogue(...);
//   Nodes lower(y); using Args; static KernelTable kernels(); bool accepts(row, in, out); double cost(row, in, out);
//   void bind(b, args) or bind(b, row, args); units(args) or units(args, phase); phases(args); scratch(args);
//   work(args); flops(args); workspaces(in, out); Control control() for ops that hold sub-Graphs.
template <class T>
class OpModel final : public Op {
 public:
  explicit OpModel(T op) : op_(std::move(op)) {}
  const T& get() const { return op_; }

  static OpPtr create(const ParamList& params) {
    T op;
    for (const auto& [name, value] : params) {
      bool known = false;
      op.visit_params([&](const char* field, auto& member) {
        if (name != field) return;
        from_param({op_info<T>().name.c_str(), field}, value, member);
        known = true;
      });
      if (!known) fail(ErrorKind::type, op_info<T>().name, ": unknown parameter, received '", name, "'");
    }
    return std::make_shared<OpModel<T>>(std::move(op));
  }

  const OpInfo& info() const override {
    if constexpr (requires { op_.info(); })
      return op_.info();
    else
      return op_info<T>();
  }
  ParamList params() const override {
    ParamList list;
    op_.visit_params([&](const char* field, const auto& member) { list.emplace_back(field, to_param(member)); });
    return list;
  }

  Specs infer(const Inputs& in) const override { return op_.infer(in); }
  int visible_outputs() const override {
    if constexpr (requires { op_.visible_outputs(); })
      return op_.visible_outputs();
    else
      return 1;
  }
  bool is_differentiable() const override {
    return requires(const T& t, const Node& y, const Nodes& d, const Needs& n) { t.gradient(y, d, n); };
  }
  Nodes gradient(const Node& y, const Nodes& dys, const Needs& needs) const override {
    if constexpr (requires { op_.gradient(y, dys, needs); })
      return op_.gradient(y, dys, needs);
    else
      fail(ErrorKind::not_implemented, info().name, " has no gradient, received a request for one");
  }
  Nodes composition(const Nodes& inputs) const override {
    if constexpr (requires { op_.composition(inputs); })
      return op_.composition(inputs);
    else
      return {};
  }

  int elementwise_fn() const override {
    if constexpr (requires { op_.elementwise_fn(); })
      return op_.elementwise_fn();
    else
      return -1;
  }
  bool elementwise_in_f64() const override {
    if constexpr (requires { op_.elementwise_in_f64(); })
      return op_.elementwise_in_f64();
    else
      return false;
  }
  static constexpr bool has_view =
      requires(const T& t, const Specs& s, const Spec& o, const Layout& l, Layout& m) { t.view(s, o, l, m); };
  bool is_view() const override { return has_view; }
  bool view(const Specs& in, const Spec& out, const Layout& input, Layout& output) const override {
    if constexpr (has_view)
      return op_.view(in, out, input, output);
    else
      return false;
  }
  InputLayout input_layout(int input) const override {
    if constexpr (requires { op_.input_layout(input); })
      return op_.input_layout(input);
    else
      return InputLayout::dense;
  }
  int in_place(int output) const override {
    if constexpr (requires { op_.in_place(output); })
      return op_.in_place(output);
    else
      return -1;
  }
  OpPtr with_epilogue(const Chain& chain, const Specs& in, const Specs& extra, const Spec& result) const override {
    if constexpr (requires { op_.with_epilogue(chain, in, extra, result); })
      return op_.with_epilogue(chain, in, extra, result);
    else
      return nullptr;
  }
  Nodes lower(const Node& y) const override {
    if constexpr (requires { op_.lower(y); })
      return op_.lower(y);
    else
      return {};
  }

  std::optional<Control> control() const override {
    if constexpr (requires { op_.control(); })
      return op_.control();
    else
      return {};
  }

  static constexpr bool has_kernels = requires { T::kernels(); };
  const KernelTable* kernels() const override {
    if constexpr (has_kernels)
      return &T::kernels();
    else
      return nullptr;
  }
  bool accepts(const KernelRow& row, const Specs& in, const Specs& out) const override {
    if constexpr (requires { op_.accepts(row, in, out); })
      return op_.accepts(row, in, out);
    else
      return row.dtype == (in.empty() ? out : in)[0].dtype;
  }
  double cost(const KernelRow& row, const Specs& in, const Specs& out) const override {
    if constexpr (requires { op_.cost(row, in, out); })
      return op_.cost(row, in, out);
    else
      return default_cost(row.isa);
  }
  size_t args_size() const override {
    if constexpr (has_kernels)
      return sizeof(typename T::Args);
    else
      return 0;
  }
  void construct_args(void* args) const override {
    if constexpr (has_kernels) new (args) typename T::Args();
  }
  void destroy_args(void* args) const override {
    if constexpr (has_kernels) std::destroy_at(static_cast<typename T::Args*>(args));
  }
  void bind(const Bind& b, const KernelRow& row, void* p) const override {
    if constexpr (has_kernels) {
      auto& args = *static_cast<typename T::Args*>(p);
      if constexpr (requires { op_.bind(b, row, args); })
        op_.bind(b, row, args);
      else
        op_.bind(b, args);
    }
  }
  int64_t phases(const void* p) const override {
    if constexpr (has_kernels) {
      const auto& args = *static_cast<const typename T::Args*>(p);
      if constexpr (requires { op_.phases(args); }) return op_.phases(args);
    }
    return 1;
  }
  int64_t units(const void* p, int64_t phase) const override {
    if constexpr (has_kernels) {
      const auto& args = *static_cast<const typename T::Args*>(p);
      if constexpr (requires { op_.units(args, phase); })
        return op_.units(args, phase);
      else
        return op_.units(args);
    }
    return 0;
  }
  size_t scratch(const void* p) const override {
    if constexpr (has_kernels) {
      const auto& args = *static_cast<const typename T::Args*>(p);
      if constexpr (requires { op_.scratch(args); }) return op_.scratch(args);
    }
    return 0;
  }
  double work(const void* p) const override {
    if constexpr (has_kernels) {
      const auto& args = *static_cast<const typename T::Args*>(p);
      if constexpr (requires { op_.work(args); }) return op_.work(args);
    }
    return -1;
  }
  double flops(const void* p) const override {
    if constexpr (has_kernels) {
      const auto& args = *static_cast<const typename T::Args*>(p);
      if constexpr (requires { op_.flops(args); }) return op_.flops(args);
    }
    return -1;
  }
  std::vector<Dim> workspaces(const Specs& in, const Specs& out) const override {
    if constexpr (requires { op_.workspaces(in, out); })
      return op_.workspaces(in, out);
    else
      return {};
  }

 private:
  T op_;
};

template <class T>
Node apply(T op, Nodes inputs) {
  return apply(std::static_pointer_cast<const Op>(std::make_shared<OpModel<T>>(std::move(op))), std::move(inputs));
}

}  // namespace maas
