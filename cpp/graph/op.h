#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/kernel.h"
#include "graph/bind.h"
#include "graph/chain.h"
#include "graph/node.h"
#include "graph/params.h"

namespace maas {

class Op;
// One line of ops.inc: name, and how to make the op from its named parameters.
struct OpInfo {
  std::string name;
  std::function<OpPtr(const ParamList&)> create;  // unknown parameter: TypeError
};

// How a kernel wants an input to lie in memory; anything else is copied by a step the planner inserts.
enum class InputLayout : uint8_t {
  dense,    // row-major, no gaps
  rows,     // last axis contiguous, outer strides free
  strided,  // any strides
  unused,   // only its shape or dtype matters
};

// How an op that holds sub-Graphs runs them, as data: the runtime follows it and knows no op by name.
// branch: inputs are the number of the body to run (or a bool), then what every body takes; outputs are the body's.
// loop: inputs are [count, a bound on the turns], carried values, slices (their first axis is time), and what is the
//   same in every turn. The body takes carried values, one step of each slice, and what is the same; it gives the next
//   carried values and one step of each stacked output. bodies[1], if there is one, takes carried values and what is
//   the same, and gives a bool: false ends the loop. Outputs: carried values, stacked outputs, the number of turns
//   (int32), and the carried values before every turn, stacked. Steps that are never reached are zeros.
struct Control {
  enum Kind : uint8_t { branch, loop } kind = branch;
  Bodies bodies;
  int carries = 0, slices = 0, stacked = 0;
  bool counted = false;  // input 0 is a bound on the turns
  bool reverse = false;  // turn t works on step turns - 1 - t
  Dim length = -1;       // a bound on the turns; -1: none
};

// Which inputs a gradient is wanted for.
using Needs = std::vector<bool>;

// An op of the graph, type-erased. Ops are structs; graph/op_model.h adapts them and gives every member below but infer
// and params a default. Immutable.
class Op {
 public:
  virtual ~Op() = default;
  virtual const OpInfo& info() const = 0;
  const std::string& name() const { return info().name; }
  virtual ParamList params() const = 0;
  bool equals(const Op& other) const;
  std::string str() const;  // "softmax(axis=-1)"

  // ---- meaning
  virtual Specs infer(const Inputs& in) const = 0;
  // How many outputs users see; more are residuals for the gradient, dropped when unread.
  virtual int visible_outputs() const = 0;
  // Gradients of the inputs, in public ops; an empty Node where there is none. `dys` has one entry per output, empty
  // where no gradient arrives.
  virtual Nodes gradient(const Node& y, const Nodes& dys, const Needs& needs) const = 0;
  virtual bool is_differentiable() const = 0;
  // The same in plainer ops: meaning, test oracle, and what runs where no kernel takes the op. Empty: there is none.
  virtual Nodes composition(const Nodes& inputs) const = 0;

  // ---- traits
  virtual int elementwise_fn() const = 0;  // line of functions.inc, or -1
  // Whether a CPU's chains of float64 compute it in vectors; one that does not would slow the others down.
  virtual bool elementwise_in_f64() const = 0;
  // An output that is the input seen with other sizes and strides. False if these cannot say it.
  virtual bool view(const Specs& in, const Spec& out, const Layout& input, Layout& output) const = 0;
  virtual bool is_view() const = 0;
  virtual InputLayout input_layout(int input) const = 0;
  // Output may take over the memory of this input: it reads each element before it writes that element. -1 if none.
  // An op that says so is cheap and cannot fail, so it may also run after the commit point.
  static constexpr int any_input = 1 << 20;  // elementwise: any input of the same shape and dtype
  virtual int in_place(int output) const = 0;
  // A version of this op that applies `chain` to its result before it is stored. Chain input 0 is the result itself,
  // the others are appended to the op's inputs. Null if it cannot. `result` is the result's spec.
  virtual OpPtr with_epilogue(const Chain& chain, const Specs& in, const Specs& extra, const Spec& result) const = 0;
  // Rewrites this node into ops that have kernels (packing weights, splitting phases); empty: keep it.
  virtual Nodes lower(const Node& y) const = 0;

  // Set for ops that hold sub-Graphs; they have no kernels.
  virtual std::optional<Control> control() const = 0;

  // ---- kernels
  virtual const KernelTable* kernels() const = 0;
  virtual bool accepts(const KernelRow& row, const Specs& in, const Specs& out) const = 0;
  virtual double cost(const KernelRow& row, const Specs& in, const Specs& out) const = 0;
  virtual size_t args_size() const = 0;
  virtual void construct_args(void* args) const = 0;
  virtual void destroy_args(void* args) const = 0;
  virtual void bind(const Bind& b, const KernelRow& row, void* args) const = 0;
  virtual int64_t phases(const void* args) const = 0;
  virtual int64_t units(const void* args, int64_t phase) const = 0;
  virtual size_t scratch(const void* args) const = 0;  // bytes per worker
  virtual double work(const void* args) const = 0;     // nanoseconds on one thread; negative: from the bytes moved
  virtual double flops(const void* args) const = 0;    // multiplications and additions, for profiles; negative: few
  virtual std::vector<Dim> workspaces(const Specs& in, const Specs& out) const = 0;  // bytes, live during the step only
};

// The row with the least cost of those that the target (core/device.h) has and that accept; null if there is none.
struct Choice {
  const KernelRow* row = nullptr;
  double cost = 0;
};
Choice choose_row(const Op& op, const Specs& in, const Specs& out);

// The registry: every op of ops.inc, and groups of ops generated from a table.
const OpInfo* find_op(const std::string& name);
const std::vector<const OpInfo*>& all_ops();
OpPtr make_op(const std::string& name, const ParamList& params);
// By name: how gradients, compositions and bindings build nodes.
Node op(const std::string& name, Nodes inputs, const ParamList& params = {});

}  // namespace maas
