// A Variable whose first value is an array that its maker has no more use for.
#pragma once

#include "core/variable.h"

namespace maas {

// Takes over the memory of `value`, which must be ours (Storage::allocate), if nobody else holds it and it lies where
// new Variables do; else copies it like Variable's constructor.
VariablePtr take_variable(Array value, const std::string& name, bool trainable);

}  // namespace maas
