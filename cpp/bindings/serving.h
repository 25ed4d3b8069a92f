#pragma once

#include <pybind11/pybind11.h>

void bind_serving(pybind11::module_& m);
