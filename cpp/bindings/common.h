#pragma once
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/error.h"
#include "graph/graph.h"
#include "graph/op.h"
#include "runtime/program.h"

namespace maas::bindings {
namespace py = pybind11;

// What Python holds: a concrete array, or a node of the trace that is being recorded.
struct Tensor {
  Array array;
  Node node;

  explicit Tensor(Array a) : array(std::move(a)) {}
  explicit Tensor(Node n) : node(std::move(n)) {}
  bool symbolic() const { return static_cast<bool>(node); }
  DType dtype() const { return symbolic() ? node.dtype() : array.dtype; }
  Shape shape() const { return symbolic() ? node.shape() : to_shape(array.shape); }
};

// A recording: what was read, written and given. One per thread at a time; a stack allows nesting.
class Trace {
 public:
  Tensor input(const py::object& shape, const std::string& dtype, const std::string& name);
  Node read(const VariablePtr& variable);
  void write(const VariablePtr& variable, Node value);
  Graph graph(const Nodes& outputs) const;
  static Trace* current();
  void enter();
  void exit();

  Nodes inputs;

 private:
  std::vector<std::pair<std::string, Dim>> symbols_;
  std::vector<std::pair<VariablePtr, Node>> state_;    // the leaf or the newest value
  std::vector<std::pair<VariablePtr, Node>> written_;  // in order of first write
};

Array to_array(const py::handle& value, std::optional<DType> dtype = {});  // copies
py::array to_numpy(const Array& array);                                    // copies
py::array share_numpy(Array array);                                        // the NumPy array owns the buffer
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
// State with the GIL released: a run that holds it may need the GIL to look at signals.
// What a read of the variable gives: inside a layer call the layer's compute dtype, for variables that take part.
DType autocast_dtype(const Variable& variable);
Array read_variable(const Variable& variable);
void write_variable(Variable& variable, const Array& value);

void set_python_error(const Error& e);
void bind_errors(py::module_& m);
void bind_tensor(py::module_& m);
void bind_ops(py::module_& m);
void bind_trace(py::module_& m);
void bind_system(py::module_& m);
void bind_fast_call(py::module_& m);
void bind_model_file(py::module_& m);

}  // namespace maas::bindings
