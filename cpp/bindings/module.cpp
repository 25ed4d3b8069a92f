#include <pybind11/pybind11.h>

#include <cstring>
#include <string>

#include "bindings/serving.h"
#include "core/version.h"

PYBIND11_MODULE(_core, m) {
  if (std::strcmp(maas::version(), MAAS_VERSION) != 0)
    throw pybind11::import_error(std::string("maas._core ") + MAAS_VERSION + " found libmaas " + maas::version());
  m.attr("__version__") = maas::version();
  bind_serving(m);
}
