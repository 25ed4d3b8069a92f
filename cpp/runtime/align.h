// Where the parts of an arena begin: on cache lines.
#pragma once

#include <cstddef>

namespace maas {

inline constexpr size_t kAlign = 64;
inline size_t align(size_t n) { return (n + kAlign - 1) / kAlign * kAlign; }

}  // namespace maas
