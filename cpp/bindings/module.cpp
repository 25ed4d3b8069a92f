#include <cstring>
#include <string>

#include "bindings/common.h"
#include "core/version.h"
#if MAAS_SERVING
#include "bindings/bench.h"
#include "bindings/serving.h"
#endif

PYBIND11_MODULE(_core, m) {
  if (std::strcmp(maas::version(), MAAS_VERSION) != 0)
    throw pybind11::import_error(std::string("maas._core ") + MAAS_VERSION + " found libmaas " + maas::version());
  m.attr("__version__") = maas::version();
  maas::bindings::bind_errors(m);
  maas::bindings::bind_tensor(m);
  maas::bindings::bind_trace(m);
  maas::bindings::bind_control(m);
  maas::bindings::bind_tape(m);
  maas::bindings::bind_ops(m);
  maas::bindings::bind_system(m);
  maas::bindings::bind_device(m);
  maas::bindings::bind_fast_call(m);
  maas::bindings::bind_model_file(m);
#if MAAS_SERVING
  bind_serving(m);
  bind_bench(m);
#endif
}
