// A request that cannot be answered, and what a client may see of an exception of a model.
#pragma once

#include <string>

#include "core/error.h"

namespace maas::serving {

[[noreturn]] inline void refuse(const std::string& text) { throw Error(ErrorKind::value, text); }

// Status and text for the exception being handled; never text of unknown origin, which goes to the log. Without memory
// for the text it is empty.
void describe_failure(const std::string& model, int& status, std::string& text) noexcept;

}  // namespace maas::serving
