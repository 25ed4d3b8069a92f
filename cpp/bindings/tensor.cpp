// Tensor and Dim as Python sees them.
#include <algorithm>

#include "bindings/common.h"
#include "core/error.h"

namespace maas::bindings {
namespace {

const OpInfo& named(const char* name) {
  const OpInfo* info = find_op(name);
  if (!info) fail(ErrorKind::runtime, "op '", name, "' is missing");
  return *info;
}

// Operands we do not know (a KerasTensor) get their chance through NotImplemented.
bool known(const py::handle& o) {
  return py::isinstance<Tensor>(o) || py::isinstance<Dim>(o) || py::isinstance<Variable>(o) ||
         py::isinstance<py::array>(o) || PyFloat_Check(o.ptr()) || PyLong_Check(o.ptr()) ||
         py::isinstance<py::bool_>(o) || PyNumber_Check(o.ptr());
}

bool is_keras_tensor(const py::handle& o) { return py::hasattr(o, "_keras_history"); }

template <bool swapped>
auto binary_method(const char* op) {
  return [op](const py::object& self, const py::object& other) -> py::object {
    if (!known(other) || is_keras_tensor(other)) return py::reinterpret_borrow<py::object>(Py_NotImplemented);
    return swapped ? call_op(named(op), {other, self}, {}) : call_op(named(op), {self, other}, {});
  };
}

// Sizes with sizes give sizes; with tensors they are operands like numbers.
template <class F>
auto size_method(F f) {
  return [f](const Dim& a, const py::object& b) -> py::object {
    if (!py::isinstance<Dim>(b) && !PyIndex_Check(b.ptr()))
      return py::reinterpret_borrow<py::object>(Py_NotImplemented);
    if (py::isinstance<Tensor>(b)) return py::reinterpret_borrow<py::object>(Py_NotImplemented);
    return py::cast(f(a, to_dim(b)));
  };
}

void need_value(const Tensor& t) {
  if (!t.has_value())
    fail(ErrorKind::type,
         "a symbolic tensor has no value while it is traced: use maas.ops in place of NumPy, received one of shape ",
         to_string(t.shape()));
}

double scalar(const Tensor& t) {
  if (!t.has_value())
    fail(ErrorKind::type,
         "a symbolic tensor has no value while it is traced; use ops.cond for a branch, received shape ",
         to_string(t.shape()));
  check(t.array.size() == 1, "only a tensor of one element becomes a number, received shape ", to_string(t.shape()));
  return read_element(t.array, 0);
}

// Integers exactly: a double holds 53 bits.
int64_t integer(const Tensor& t) {
  const double value = scalar(t);
  const bool wide = t.dtype() == DType::i64 || t.dtype() == DType::u64;
  return wide ? *t.array.host().as<int64_t>() : static_cast<int64_t>(value);
}

py::object number(const Tensor& t) {
  if (t.dtype() == DType::b8) return py::bool_(scalar(t) != 0);
  if (t.dtype() == DType::u64) return py::int_(static_cast<uint64_t>(integer(t)));
  if (is_integer(t.dtype())) return py::int_(integer(t));
  return py::float_(scalar(t));
}

py::object ops_function(const char* name) { return py::module_::import("maas.ops").attr(name); }

std::string repr(const Tensor& t) {
  if (!t.has_value()) return text("<symbolic Tensor shape=", to_string(t.shape()), " dtype=", t.dtype(), ">");
  return text("<Tensor shape=", to_string(t.shape()), " dtype=", t.dtype(), ">\n") +
         py::str(to_numpy(t.array)).cast<std::string>();
}

}  // namespace

void bind_tensor(py::module_& m) {
  py::class_<Dim>(m, "Dim", "A size that is known when the model runs. Arithmetic gives sizes again.")
      .def("__add__", size_method([](const Dim& a, const Dim& b) { return a + b; }))
      .def("__radd__", size_method([](const Dim& a, const Dim& b) { return b + a; }))
      .def("__sub__", size_method([](const Dim& a, const Dim& b) { return a - b; }))
      .def("__rsub__", size_method([](const Dim& a, const Dim& b) { return b - a; }))
      .def("__mul__", size_method([](const Dim& a, const Dim& b) { return a * b; }))
      .def("__rmul__", size_method([](const Dim& a, const Dim& b) { return b * a; }))
      .def("__floordiv__", size_method([](const Dim& a, const Dim& b) { return floordiv(a, b); }))
      .def("__rfloordiv__", size_method([](const Dim& a, const Dim& b) { return floordiv(b, a); }))
      .def("__mod__", size_method([](const Dim& a, const Dim& b) { return a - floordiv(a, b) * b; }))
      .def("__rmod__", size_method([](const Dim& a, const Dim& b) { return b - floordiv(b, a) * a; }))
      .def("__neg__", [](const Dim& a) { return Dim(0) - a; })
      .def("__eq__",
           [](const Dim& a, const py::object& b) {
             return (py::isinstance<Dim>(b) || PyLong_Check(b.ptr())) && a == to_dim(b);
           })
      .def("__hash__", [](const Dim& a) { return std::hash<std::string>()(a.str()); })
      .def("min", [](const Dim& a, const py::object& b) { return min(a, to_dim(b)); })
      .def("max", [](const Dim& a, const py::object& b) { return max(a, to_dim(b)); })
      .def("__repr__", [](const Dim& a) { return a.str(); });

  py::class_<Tensor, std::shared_ptr<Tensor>> tensor(
      m, "Tensor", py::dynamic_attr(), "An array of the engine, or a value of the trace being recorded. Immutable.");
  tensor
      .def(py::init([](const py::object& value, const py::object& dtype) {
             return std::make_shared<Tensor>(to_array(
                 value, dtype.is_none() ? std::nullopt : std::optional(parse_dtype(dtype.cast<std::string>()))));
           }),
           py::arg("value"), py::arg("dtype") = py::none())
      .def_property_readonly("shape", [](const Tensor& t) { return shape_to_python(t.shape()); })
      .def_property_readonly("dims",
                             [](const Tensor& t) {
                               py::tuple out(t.shape().size());
                               const Shape shape = t.shape();
                               for (size_t i = 0; i < shape.size(); ++i)
                                 out[i] = shape[i].is_constant() ? py::object(py::int_(shape[i].constant()))
                                                                 : py::cast(shape[i]);
                               return out;
                             })
      .def_property_readonly("dtype", [](const Tensor& t) { return std::string(to_string(t.dtype())); })
      .def_property_readonly("device", [](const Tensor& t) { return to_string(t.array.device()); })
      .def_property_readonly("ndim", [](const Tensor& t) { return t.shape().size(); })
      .def_property_readonly("size",
                             [](const Tensor& t) -> py::object {
                               const Dim n = product(t.shape());
                               return n.is_constant() ? py::object(py::int_(n.constant())) : py::object(py::none());
                             })
      .def_property_readonly("is_symbolic",
                             [](const Tensor& t) { return t.symbolic() && (Trace::current() || !t.has_value()); })
      .def_property_readonly("has_value", &Tensor::has_value)
      .def_property_readonly("size_values",
                             [](const Tensor& t) -> py::object {
                               const bool derived = t.symbolic() && t.node.spec().value;
                               if (!derived && t.has_value()) {
                                 if (!is_integer(t.dtype()) || t.array.shape.size() > 1) return py::none();
                                 py::list out;
                                 for (int64_t i = 0; i < t.array.size(); ++i)
                                   out.append(py::int_(static_cast<int64_t>(read_element(t.array, i))));
                                 return out;
                               }
                               if (!derived) return py::none();
                               py::list out;
                               for (const Dim& d : *t.node.spec().value)
                                 out.append(d.is_constant() ? py::object(py::int_(d.constant())) : py::cast(d));
                               return out;
                             })
      .def("numpy",
           [](const Tensor& t) {
             need_value(t);
             return to_numpy(t.array);
           })
      .def(
          "__array__",
          [](const Tensor& t, const py::object& dtype, const py::object&) -> py::object {
            py::object a = to_numpy(to_array(py::cast(t)));
            return dtype.is_none() ? a : a.attr("astype")(dtype);
          },
          py::arg("dtype") = py::none(), py::arg("copy") = py::none())
      .def(
          "stored_bytes",
          [](const Tensor& t) {
            need_value(t);
            const Array a = t.array.host();
            return py::array_t<uint8_t>(static_cast<py::ssize_t>(a.bytes()), static_cast<const uint8_t*>(a.data()));
          },
          "A copy of the bytes, for files of dtypes that NumPy lacks; int4: two to a byte.")
      .def_static(
          "from_stored_bytes",
          [](const py::array_t<uint8_t, py::array::c_style | py::array::forcecast>& bytes,
             const std::vector<int64_t>& shape, const std::string& dtype) {
            for (int64_t n : shape) check(n >= 0, "a size must not be negative, received ", n);
            Array a(parse_dtype(dtype), shape);
            check(bytes.nbytes() == static_cast<py::ssize_t>(a.bytes()), "a tensor of ", a.dtype,
                  to_string(to_shape(shape)), " needs ", a.bytes(), " bytes, received ", bytes.nbytes());
            std::copy_n(bytes.data(), a.bytes(), static_cast<uint8_t*>(a.data()));
            return std::make_shared<Tensor>(std::move(a));
          },
          py::arg("bytes"), py::arg("shape"), py::arg("dtype"))
      .def("item", &number)
      .def("__len__",
           [](const Tensor& t) {
             const Shape s = t.shape();
             if (s.empty()) fail(ErrorKind::type, "a scalar tensor has no length, received shape ()");
             return s[0].constant();
           })
      .def("__bool__", [](const Tensor& t) { return scalar(t) != 0; })
      .def("__int__", &integer)
      .def("__index__",
           [](const Tensor& t) {
             if (is_floating(t.dtype()))
               fail(ErrorKind::type, "only an integer tensor is an index, received ", t.dtype());
             return integer(t);
           })
      .def("__float__", &scalar)
      .def("__getitem__",
           [](const py::object& self, const py::object& key) { return ops_function("get_item")(self, key); })
      .def("__iter__", [](const py::object& self) { return ops_function("unstack")(self).attr("__iter__")(); })
      .def("__matmul__", [](const py::object& a, const py::object& b) { return ops_function("matmul")(a, b); })
      .def("__rmatmul__", [](const py::object& a, const py::object& b) { return ops_function("matmul")(b, a); })
      .def("__neg__", [](const py::object& a) { return call_op(named("negative"), {a}, {}); })
      .def("__abs__", [](const py::object& a) { return call_op(named("absolute"), {a}, {}); })
      .def("__invert__", [](const py::object& a) { return call_op(named("logical_not"), {a}, {}); })
      .def("__hash__", [](const py::object& a) { return reinterpret_cast<intptr_t>(a.ptr()); })
      .def("__repr__", &repr);
  struct Method {
    const char *name, *reflected, *op;
  };
  for (const Method& method :
       {Method{"__add__", "__radd__", "add"}, Method{"__sub__", "__rsub__", "subtract"},
        Method{"__mul__", "__rmul__", "multiply"}, Method{"__truediv__", "__rtruediv__", "divide"},
        Method{"__floordiv__", "__rfloordiv__", "floor_divide"}, Method{"__mod__", "__rmod__", "mod"},
        Method{"__and__", "__rand__", "logical_and"}, Method{"__or__", "__ror__", "logical_or"},
        Method{"__pow__", "__rpow__", "power"}}) {
    tensor.def(method.name, binary_method<false>(method.op));
    tensor.def(method.reflected, binary_method<true>(method.op));
  }
  for (auto [name, op] : {std::pair{"__eq__", "equal"},
                          {"__ne__", "not_equal"},
                          {"__lt__", "less"},
                          {"__le__", "less_equal"},
                          {"__gt__", "greater"},
                          {"__ge__", "greater_equal"}})
    tensor.def(name, binary_method<false>(op));
  // NumPy leaves `array + tensor` to __radd__.
  tensor.attr("__array_priority__") = 1000;
}

}  // namespace maas::bindings
