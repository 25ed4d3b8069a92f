#pragma once

#include <cstdint>
#include <utility>

#include "core/error.h"

namespace maas::serving {

// Throws Error(value) unless low <= value <= high.
template <class T>
void check_option(const char* name, T value, int64_t low, int64_t high) {
  if (std::cmp_less(value, low) || std::cmp_greater(value, high)) {
    fail(ErrorKind::value, name, " must be in [", low, ", ", high, "], received ", value);
  }
}

}  // namespace maas::serving
