// Models, model stores and image decoders that are Python objects. Each takes the GIL once a call.
#pragma once

#include <pybind11/pybind11.h>

#include <memory>

#include "serving/images.h"
#include "serving/model_store.h"

namespace maas::bindings {

void bind_python_servable(pybind11::module_& m);  // after the class Servable
// With index(), load(name, parameters) and unload(name, parameters).
std::shared_ptr<serving::ModelStore> python_store(pybind11::object object);
// (bytes, channels, height, width) -> (height, width, bytes), sizes -1 where they are free.
std::shared_ptr<serving::ImageDecoder> python_decoder(pybind11::function function);

}  // namespace maas::bindings
