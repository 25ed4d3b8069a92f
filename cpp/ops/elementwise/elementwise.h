#pragma once
#include <string>

#include "core/error.h"
#include "graph/chain_param.h"
#include "graph/op.h"
#include "ops/elementwise/chain_kernels.h"

namespace maas {

enum class FnKind : uint8_t { real, number, any, test, tests, logic, choose };
struct FnInfo {
  const char* name;
  int arity;
  FnKind kind;
};
// The lines of functions.inc.
const FnInfo& fn_info(int fn);
int fn_count();
int find_fn(const std::string& name);  // -1 if unknown
bool fn_in_f64(int fn);                // vectors of float64 know it: functions_f64.inc
DType fn_result(int fn, const Specs& in);
// ValueError unless the chain has this many inputs and kernels can walk it: text from outside says anything.
void check_chain(const Chain& chain, size_t inputs, bool may_be_empty);

// One elementwise function as a node. It never runs itself: the fusion pass turns it into a Chain.
struct Elementwise {
  int fn = 0;
  MAAS_PARAMS()
  const OpInfo& info() const;
  int elementwise_fn() const { return fn; }
  bool elementwise_in_f64() const { return fn_in_f64(fn); }
  Specs infer(const Inputs& in) const;
  Nodes gradient(const Node& y, const Nodes& dys, const Needs& needs) const;

 private:
  std::optional<std::vector<Dim>> sizes(const Inputs& in) const;
};
std::vector<const OpInfo*> elementwise_op_infos();
const OpInfo* elementwise_op_infos_at(int fn);

// y = x in another dtype. Floats become integers by truncation, anything becomes bool by != 0.
struct Cast {
  DType dtype = DType::f32;
  MAAS_PARAMS(dtype)
  int elementwise_fn() const;
  bool elementwise_in_f64() const { return fn_in_f64(elementwise_fn()); }
  Specs infer(const Inputs& in) const;
  Nodes gradient(const Node& y, const Nodes& dys, const Needs& needs) const;
};

// y = x, dense.
struct Copy {
  MAAS_PARAMS()
  int elementwise_fn() const;
  bool elementwise_in_f64() const { return fn_in_f64(elementwise_fn()); }
  Specs infer(const Inputs& in) const {
    check(in.size() == 1, "copy: one operand is needed, received ", in.size());
    return {Spec{in[0].dtype, in[0].shape, {}}};
  }
  Nodes gradient(const Node&, const Nodes& dys, const Needs&) const { return {dys[0]}; }
};

// Fused elementwise functions; made by passes only.
struct ChainOp {
  Chain steps;
  DType dtype = DType::f32;
  MAAS_PARAMS(steps, dtype)
  using Args = ChainArgs;
  static const KernelTable& kernels();
  Specs infer(const Inputs& in) const;
  InputLayout input_layout(int) const { return InputLayout::strided; }
  int in_place(int) const { return Op::any_input; }
  bool accepts(const KernelRow& row, const Specs& in, const Specs& out) const;
  void bind(const Bind& b, ChainArgs& args) const;
  int64_t units(const ChainArgs& a) const { return (a.size + ChainArgs::unit - 1) / ChainArgs::unit; }
  size_t scratch(const ChainArgs& a) const;
  double work(const ChainArgs& a) const;
};

}  // namespace maas
