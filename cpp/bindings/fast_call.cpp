// The base type of Model: a call on one float array goes straight to the compiled program, without a Python frame.
#include <atomic>

#include "bindings/common.h"
#include "core/error.h"

namespace maas::bindings {
namespace {

// Raised by every change that may make a trace stale (attribute writes on layers). Guarded by the GIL.
int64_t trace_epoch = 0;
// Calls of layers on this thread's stack: inside one, `training` and masks come from outside, so no short cut is taken.
thread_local int call_depth = 0;

struct FastState {
  std::shared_ptr<Program> program;
  DType dtype;
  std::vector<int64_t> shape;  // -1: any
  int64_t epoch;
};

struct FastCallObject {
  PyObject_HEAD FastState* state;
};

// The result if everything is as it was when the state was set, else null without an exception.
PyObject* short_cut(FastState& s, PyObject* x) {
  if (s.epoch != trace_epoch || call_depth || Trace::current() || !py::detail::npy_api::get().PyArray_Check_(x))
    return nullptr;
  const auto array = py::reinterpret_borrow<py::array>(x);
  if (static_cast<size_t>(array.ndim()) != s.shape.size() || !(array.flags() & py::array::c_style)) return nullptr;
  for (size_t i = 0; i < s.shape.size(); ++i)
    if (s.shape[i] >= 0 && s.shape[i] != array.shape(static_cast<py::ssize_t>(i))) return nullptr;
  std::vector<Array> inputs(1);
  if (!view_exact(array, s.dtype, inputs[0])) return nullptr;
  const std::shared_ptr<Program> keep = s.program;
  return py::cast(Tensor(std::move(run_program(*keep, inputs)[0]))).release().ptr();
}

PyObject* fast_call(PyObject* self, PyObject* args, PyObject* kwargs) {
  FastState* state = reinterpret_cast<FastCallObject*>(self)->state;
  if (state && PyTuple_GET_SIZE(args) == 1 && (!kwargs || !PyDict_GET_SIZE(kwargs))) {
    try {
      if (PyObject* y = short_cut(*state, PyTuple_GET_ITEM(args, 0))) return y;
    } catch (py::error_already_set& e) {
      e.restore();
      return nullptr;
    } catch (const Error& e) {
      set_python_error(e);
      return nullptr;
    } catch (const std::exception& e) {
      PyErr_SetString(PyExc_RuntimeError, e.what());
      return nullptr;
    }
  }
  PyObject* slow = PyObject_GetAttrString(self, "_call_slowly");
  if (!slow) return nullptr;
  PyObject* y = PyObject_Call(slow, args, kwargs);
  Py_DECREF(slow);
  return y;
}

void dealloc(PyObject* self) {
  delete reinterpret_cast<FastCallObject*>(self)->state;
  Py_TYPE(self)->tp_free(self);
}

PyObject* set_fast(PyObject* self, PyObject* args) {
  PyObject *program, *shape;
  const char* dtype;
  if (!PyArg_ParseTuple(args, "OsO", &program, &dtype, &shape)) return nullptr;
  auto& slot = reinterpret_cast<FastCallObject*>(self)->state;
  try {
    auto fresh = std::make_unique<FastState>();
    fresh->program = py::handle(program).cast<std::shared_ptr<Program>>();
    fresh->dtype = parse_dtype(dtype);
    for (auto d : py::handle(shape)) fresh->shape.push_back(d.is_none() ? -1 : d.cast<int64_t>());
    fresh->epoch = trace_epoch;
    delete slot;
    slot = fresh.release();
  } catch (const std::exception& e) {
    PyErr_SetString(PyExc_TypeError, e.what());
    return nullptr;
  }
  Py_RETURN_NONE;
}

PyMethodDef methods[] = {{"_set_fast_call", set_fast, METH_VARARGS,
                          "program, dtype, shape: calls on one such array run the program at once."},
                         {nullptr, nullptr, 0, nullptr}};

PyTypeObject type = {PyVarObject_HEAD_INIT(nullptr, 0)};

}  // namespace

void bind_fast_call(py::module_& m) {
  type.tp_name = "maas._core.FastCall";
  type.tp_basicsize = sizeof(FastCallObject);
  type.tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE;
  type.tp_doc = "Base of models: calls on arrays skip Python where they can.";
  type.tp_new = PyBaseObject_Type.tp_new;
  type.tp_call = fast_call;
  type.tp_dealloc = dealloc;
  type.tp_methods = methods;
  if (PyType_Ready(&type) < 0) throw py::error_already_set();
  // Only the call is ours: making an object goes on to the next class in the order of inheritance.
  if (PyDict_DelItemString(type.tp_dict, "__new__") < 0) PyErr_Clear();
  PyType_Modified(&type);
  m.attr("FastCall") = py::reinterpret_borrow<py::object>(reinterpret_cast<PyObject*>(&type));
  m.def("touch_traces", [] { ++trace_epoch; }, "Traces made before this are checked again before they run.");
  m.def("trace_epoch", [] { return trace_epoch; });
  m.def("enter_call", [] { ++call_depth; });
  m.def("leave_call", [] { --call_depth; });
}

}  // namespace maas::bindings
