#pragma once
#include <optional>

#include "core/dtype.h"

namespace maas {

// `promote` with Python numbers beside tensors that met at `common` (none: numbers alone): an int asks for any number,
// a float for any floating dtype, the default one if there is none.
DType promote_weak(std::optional<DType> common, bool weak_int, bool weak_float);
// Keras's `floatx`, float32 unless set.
DType default_float();
void set_default_float(DType dtype);

}  // namespace maas
