#include <cstring>
#include <string>

<<<<<<< HEAD
#include "bindings/common.h"
=======
#include "bindings/serving.h"
>>>>>>> server
#include "core/version.h"

PYBIND11_MODULE(_core, m) {
  if (std::strcmp(maas::version(), MAAS_VERSION) != 0)
    throw pybind11::import_error(std::string("maas._core ") + MAAS_VERSION + " found libmaas " + maas::version());
  m.attr("__version__") = maas::version();
<<<<<<< HEAD
  maas::bindings::bind_errors(m);
  maas::bindings::bind_tensor(m);
  maas::bindings::bind_trace(m);
  maas::bindings::bind_ops(m);
  maas::bindings::bind_system(m);
=======
  bind_serving(m);
>>>>>>> server
}
