#include "bindings/common.h"
#include "core/error.h"

namespace maas::bindings {

void set_python_error(const Error& e) {
  switch (e.kind()) {
    case ErrorKind::value:
      PyErr_SetString(PyExc_ValueError, e.what());
      break;
    case ErrorKind::type:
      PyErr_SetString(PyExc_TypeError, e.what());
      break;
    case ErrorKind::index:
      PyErr_SetString(PyExc_IndexError, e.what());
      break;
    case ErrorKind::not_implemented:
      PyErr_SetString(PyExc_NotImplementedError, e.what());
      break;
    case ErrorKind::memory:
      PyErr_SetString(PyExc_MemoryError, e.what());
      break;
    case ErrorKind::runtime:
      PyErr_SetString(PyExc_RuntimeError, e.what());
      break;
    case ErrorKind::interrupted:
      // The handler of the signal has usually raised already; if not, this is what it would raise.
      if (!PyErr_Occurred()) PyErr_SetString(PyExc_KeyboardInterrupt, e.what());
      break;
  }
}

void bind_errors(py::module_&) {
  py::register_exception_translator([](std::exception_ptr p) {
    try {
      if (p) std::rethrow_exception(p);
    } catch (const Error& e) {
      set_python_error(e);
    }
  });
}

}  // namespace maas::bindings
