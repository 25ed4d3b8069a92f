#pragma once
#include <vector>

#include "core/dtype.h"

namespace maas {

// Where tensors of these dtypes meet with Python numbers beside them: an int asks for any number, a float for any
// floating dtype, the default one if there is none.
DType promote(const std::vector<DType>& dtypes, bool weak_int, bool weak_float);
// Keras's `floatx`, float32 unless set.
DType default_float();
void set_default_float(DType dtype);

}  // namespace maas
