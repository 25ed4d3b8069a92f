// Every op of ops.inc as a Python function: tensors by position, parameters by name.
#include <algorithm>

#include "bindings/common.h"
#include "core/error.h"
#include "core/weak_types.h"
#include "ops/build.h"
#include "ops/elementwise/elementwise.h"
#include "runtime/eager.h"

namespace maas::bindings {
namespace {

ParamValue to_value(const std::string& op, const std::string& name, const py::handle& v) {
  if (py::isinstance<py::bool_>(v)) return v.cast<bool>();
  if (py::isinstance<Dim>(v)) return Shape{v.cast<Dim>()};
  if (py::isinstance<py::str>(v)) return v.cast<std::string>();
  if (py::isinstance<py::float_>(v)) return v.cast<double>();
  if (PyIndex_Check(v.ptr())) return py::int_(py::reinterpret_borrow<py::object>(v)).cast<int64_t>();
  if (py::isinstance<py::sequence>(v)) {
    if (py::len(v) && py::isinstance<Body>(v[py::int_(0)])) return v.cast<Bodies>();
    bool dims = false, floats = false;
    for (auto item : v) {
      dims = dims || py::isinstance<Dim>(item);
      floats = floats || py::isinstance<py::float_>(item);
    }
    if (dims) {
      Shape shape;
      for (auto item : v) shape.push_back(to_dim(item));
      return shape;
    }
    if (floats) return v.cast<std::vector<double>>();
    std::vector<int64_t> ints;
    for (auto item : v) ints.push_back(py::int_(py::reinterpret_borrow<py::object>(item)).cast<int64_t>());
    return ints;
  }
  if (PyFloat_Check(v.ptr()) || PyNumber_Check(v.ptr()))
    return py::float_(py::reinterpret_borrow<py::object>(v)).cast<double>();
  fail(ErrorKind::type, op, ": ", name, " has a type no parameter takes, received ", py::repr(v).cast<std::string>());
}

// A size as a scalar: the shape of a view says it when the program runs.
Node size_node(const Dim& size) {
  const Node view = broadcast_to(scalar_node(DType::i32, 0), {size});
  return reshape(op("shape_of", {view}), {});
}

std::vector<Array> run_eager(const OpPtr& op, const std::vector<Array>& inputs, uint64_t cut_seed = 0) {
  std::vector<Array> outputs = run_program(*eager_program(op, inputs), inputs, cut_seed);
  record_eager(op, inputs, outputs);
  return outputs;
}

void convert(Operand& o, DType dtype) {
  if (o.dtype() == dtype) return;
  if (o.node)
    o.node = cast(o.node, dtype);
  else
    o.array = run_eager(make_op("cast", {{"dtype", dtype}}), {o.array})[0];
}

Operand to_operand(const py::handle& value, Trace* trace) {
  Operand o;
  if (py::isinstance<Tensor>(value)) {
    const Tensor& t = value.cast<const Tensor&>();
    // What a trace with values made is an array once no trace is open.
    if (trace || !t.has_value()) o.node = t.node;
    o.array = t.array;
  } else if (py::isinstance<Variable>(value)) {
    auto v = value.cast<VariablePtr>();
    const DType as = autocast_dtype(*v);
    if (trace)
      o.node = cast(trace->read(v), as);
    else
      record_read(v, o.array = read_variable(*v));
    convert(o, as);
  } else if (py::isinstance<Dim>(value)) {
    o.node = size_node(value.cast<Dim>());
  } else if (py::isinstance<py::bool_>(value)) {
    o.weak = o.is_bool = true;
    o.value = py::reinterpret_borrow<py::object>(value);
  } else if (PyFloat_CheckExact(value.ptr()) || PyLong_CheckExact(value.ptr())) {
    o.weak = true;
    o.is_float = PyFloat_CheckExact(value.ptr());
    o.value = py::reinterpret_borrow<py::object>(value);
  } else if (py::hasattr(value, "__maas_variable__")) {
    return to_operand(value.attr("__maas_variable__"), trace);
  } else {
    o.array = to_array(value);
  }
  return o;
}

void resolve(Operand& o, DType dtype) {
  if (!o.weak) return;
  o.array = to_array(o.value, dtype);
  o.weak = false;
}

// Keras's rules: numbers are weak (a float beside an int tensor makes float32), tensors meet at the promoted dtype,
// floating functions turn integers into float32.
void promote_operands(const OpInfo& info, std::vector<Operand>& operands) {
  const int fn = find_fn(info.name);
  const bool elementwise = fn >= 0;
  const FnKind kind = elementwise ? fn_info(fn).kind : FnKind::number;
  const size_t first = elementwise && kind == FnKind::choose ? 1 : 0;
  std::vector<DType> given;
  bool weak_float = false, weak_int = false;
  for (size_t i = first; i < operands.size(); ++i) {
    const Operand& o = operands[i];
    if (o.weak) {
      weak_float = weak_float || o.is_float;
      weak_int = weak_int || !o.is_bool;
    } else if (elementwise || given.empty()) {
      given.push_back(o.dtype());
    }
  }
  DType common = promote(given, weak_int, weak_float);
  if (kind == FnKind::real && !is_floating(common)) common = default_float();
  if (kind == FnKind::logic) common = DType::b8;
  if (kind == FnKind::number && elementwise && common == DType::b8) common = DType::i32;
  if (first) {
    resolve(operands[0], DType::b8);
    if (operands[0].dtype() != DType::b8) convert(operands[0], DType::b8);
  }
  for (size_t i = first; i < operands.size(); ++i) {
    resolve(operands[i], common);
    if (elementwise) convert(operands[i], common);
  }
}

py::object finish(const OpPtr& op, std::vector<Operand>& operands, Trace* trace) {
  const bool symbolic =
      trace || std::any_of(operands.begin(), operands.end(), [](const Operand& o) { return bool(o.node); });
  const int visible = op->visible_outputs();
  std::vector<py::object> results;
  if (symbolic) {
    Nodes inputs;
    for (Operand& o : operands) inputs.push_back(o.node ? o.node : constant_node(o.array.host()));
    const Node result = apply(op, std::move(inputs));
    for (int i = 0; i < visible; ++i)
      results.push_back(py::cast(trace ? trace->tensor(result.output(i)) : Tensor(result.output(i))));
  } else {
    std::vector<Array> inputs;
    for (Operand& o : operands) inputs.push_back(o.array);
    for (Array& a : run_eager(op, inputs)) results.push_back(py::cast(Tensor(std::move(a))));
  }
  if (visible == 1) return results[0];
  py::tuple out(results.size());
  for (size_t i = 0; i < results.size(); ++i) out[i] = results[i];
  return out;
}

}  // namespace

py::object call_op(const OpInfo& info, const std::vector<py::object>& args, const ParamList& params) {
  Trace* trace = Trace::current();
  std::vector<Operand> operands;
  for (const py::object& a : args) operands.push_back(to_operand(a, trace));
  promote_operands(info, operands);
  return finish(info.create(params), operands, trace);
}

py::object call_op_python(const OpInfo& info, const py::args& args, const py::kwargs& kwargs) {
  ParamList params;
  for (const auto& [key, value] : kwargs) {
    const auto name = key.cast<std::string>();
    params.emplace_back(name, to_value(info.name, name, value));
  }
  std::vector<py::object> list;
  for (auto a : args) list.push_back(py::reinterpret_borrow<py::object>(a));
  return call_op(info, list, params);
}

void bind_ops(py::module_& m) {
  for (const OpInfo* info : all_ops())
    m.attr(info->name.c_str()) = py::cpp_function(
        [info](const py::args& args, const py::kwargs& kwargs) { return call_op_python(*info, args, kwargs); },
        py::name(info->name.c_str()));
  m.def("op_names", [] {
    std::vector<std::string> names;
    for (const OpInfo* info : all_ops()) names.push_back(info->name);
    return names;
  });
  // For tests: (op, kernel, the instruction sets it needs) of every row of every table of the CPU.
  m.def("kernel_rows", [] {
    std::vector<std::tuple<std::string, std::string, std::string>> rows;
    for (const OpInfo* info : all_ops())
      if (const KernelTable* table = info->create({})->kernels())
        for (const KernelRow& row : *table) rows.emplace_back(info->name, row.name, to_string(row.isa));
    return rows;
  });
  m.def(
      "result_type",
      [](const std::vector<std::string>& dtypes, bool weak_int, bool weak_float) {
        std::vector<DType> given;
        for (const std::string& name : dtypes) given.push_back(parse_dtype(name));
        return std::string(to_string(promote(given, weak_int, weak_float)));
      },
      py::arg("dtypes"), py::arg("weak_int") = false, py::arg("weak_float") = false);
  m.def("set_default_float", [](const std::string& dtype) { set_default_float(parse_dtype(dtype)); });
  // For tests: one op on arrays with the range of units cut at random.
  m.def(
      "run_cut",
      [](const std::string& name, const std::vector<py::object>& arrays, const py::dict& kwargs, uint64_t seed) {
        ParamList params;
        for (const auto& [key, value] : kwargs)
          params.emplace_back(key.cast<std::string>(), to_value(name, key.cast<std::string>(), value));
        std::vector<Array> inputs;
        for (const auto& a : arrays) inputs.push_back(to_array(a));
        std::vector<py::object> out;
        for (Array& a : run_eager(make_op(name, params), inputs, seed)) out.push_back(share_numpy(std::move(a)));
        return out;
      },
      py::arg("name"), py::arg("arrays"), py::arg("params") = py::dict(), py::arg("seed") = 1);
}

}  // namespace maas::bindings
