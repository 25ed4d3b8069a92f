#pragma once
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/error.h"
#include "graph/graph.h"
#include "graph/op.h"
#include "graph/passes/images.h"
#include "runtime/program.h"

namespace maas::bindings {
namespace py = pybind11;

// What Python holds: a concrete array, or a node of the trace that is being recorded; both where the trace runs what it
// records.
struct Tensor {
  Array array;
  Node node;

  explicit Tensor(Array a) : array(std::move(a)) {}
  explicit Tensor(Node n) : node(std::move(n)) {}
  Tensor(Node n, Array a) : array(std::move(a)), node(std::move(n)) {}
  bool has_value() const { return !node || array; }
  bool symbolic() const { return static_cast<bool>(node); }
  DType dtype() const { return symbolic() ? node.dtype() : array.dtype; }
  Shape shape() const { return symbolic() ? node.shape() : to_shape(array.shape); }
};

// A recording: what was read, written and given. One per thread at a time; a stack allows nesting.
class Trace {
 public:
  // `body`: of a sub-Graph. State it reads becomes an input of its own, and what is older than it comes from outside.
  // `values`: every op also runs when it is recorded, so that Python can look at results.
  explicit Trace(bool body = false, bool values = false) : body_(body), values_on_(values), start_(next_node_id()) {}
  Tensor input(const py::object& shape, const std::string& dtype, const std::string& name);
  Node read(const VariablePtr& variable);
  void write(const VariablePtr& variable, Node value);
  // What a gradient for a tensor or variable is taken for: of a variable the value before this trace assigned to it,
  // which stands for all later ones.
  static Node source(const py::object& target);
  Graph graph(const Nodes& outputs) const;
  bool is_body() const { return body_; }
  bool has_values() const { return values_on_; }
  Tensor input_value(Array value, const std::string& name);
  // The node as Python sees it: with its value if the trace has values.
  Tensor tensor(const Node& node);
  Array evaluate(const Node& node);
  // Gives variables the values that the trace wrote.
  void commit();
  int64_t start() const { return start_; }
  // What a body reads and writes of state: the variable, the input that stands for it, and the value it is given.
  struct State {
    VariablePtr variable;
    Node input, value;
  };
  std::vector<State>& state() { return body_state_; }
  // Until `end_overlay` the variables read as these values, and nothing that is written counts. Gives their last
  // values.
  void overlay(const std::vector<VariablePtr>& variables, const Nodes& values);
  Nodes end_overlay(const std::vector<VariablePtr>& variables);
  // Between the two, ops run eagerly: what is made then is no part of any trace.
  static void pause();
  static void resume();
  static Trace* current();
  // Values as gradients want them: with families' ops for what the trace spells out. Before a gradient is taken, so
  // that it is that of the op; the program then reads the new nodes in place of the old ones.
  static void recognize(Nodes& values);
  void enter();
  void exit();

  Nodes inputs;

 private:
  bool body_, values_on_;
  int64_t start_;
  std::unordered_map<const NodeData*, std::pair<Node, std::vector<Array>>> values_;
  std::vector<State> body_state_;
  passes::Images images_;
  std::vector<std::pair<std::string, Dim>> symbols_;
  static Node fitting(const VariablePtr& variable, Node value);
  void put(const VariablePtr& variable, const Node& value);

  std::vector<std::map<VariablePtr, Node>> saved_first_;
  std::map<VariablePtr, Node> first_;                  // what a variable that was written held before
  std::vector<std::pair<VariablePtr, Node>> state_;    // the leaf or the newest value
  std::vector<std::pair<VariablePtr, Node>> written_;  // in order of first write
  std::vector<std::pair<decltype(state_), decltype(written_)>> saved_;
};

Array to_array(const py::handle& value, std::optional<DType> dtype = {});  // copies, but for arrays on a GPU
Array import_dlpack(const py::object& value);  // shares the memory of another library's array
bool is_gpu_array(const py::handle& value);    // of another library, in memory of a GPU
py::array to_numpy(const Array& array);        // copies
py::array share_numpy(Array array);            // the NumPy array owns the buffer
// A view of NumPy memory for the length of a call; copies only if it must (dtype, order).
Array borrow(const py::handle& value, DType dtype, const char* what);
// The array's memory without a copy if it is aligned, dense and of exactly this dtype; false otherwise.
bool view_exact(const py::array& array, DType dtype, Array& out);
// A tensor, variable, array or number as a node of the current trace.
Node to_node(const py::handle& value);
py::object shape_to_python(const Shape& shape);
Dim to_dim(const py::handle& value);

// Any operand an op takes: Tensor, Variable, array, number. `like` is the dtype numbers take.
struct Operand {
  Node node;
  Array array;
  bool weak = false;  // a Python number
  bool is_float = false, is_bool = false;
  py::object value;
  DType dtype() const { return node ? node.dtype() : array.dtype; }
};
py::object call_op_python(const OpInfo& info, const py::args& args, const py::kwargs& kwargs);
py::object call_op(const OpInfo& info, const std::vector<py::object>& args, const ParamList& params);

// Runs a program with the GIL released when it is long, and Ctrl-C noticed.
std::vector<Array> run_program(Program& program, const std::vector<Array>& inputs, uint64_t cut_seed = 0);
Poll signal_poll();
// What a read of the variable gives: inside a layer call the layer's compute dtype, for variables that take part.
DType autocast_dtype(const Variable& variable);
// State with the GIL released: a run that holds it may need the GIL to look at signals.
Array read_variable(const Variable& variable);
void write_variable(Variable& variable, const Array& value);

// Tapes of this thread are told what ran eagerly, and which value of a variable was read.
bool is_recording();
void record_eager(const OpPtr& op, const std::vector<Array>& in, const std::vector<Array>& out);
void record_read(const VariablePtr& variable, const Array& value);

void set_python_error(const Error& e);
void bind_errors(py::module_& m);
void bind_tensor(py::module_& m);
void bind_ops(py::module_& m);
void bind_trace(py::module_& m);
void bind_control(py::module_& m);
Node to_node(const py::handle& value);
void bind_tape(py::module_& m);
void bind_system(py::module_& m);
void bind_device(py::module_& m);
void bind_fast_call(py::module_& m);
void bind_model_file(py::module_& m);

}  // namespace maas::bindings
