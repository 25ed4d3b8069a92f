#pragma once
#include <cstdint>

namespace maas {

// What a kernel that allocates reports as the position where it got no memory; the value is how many bytes it wanted,
// 0 if it cannot tell. The executor turns it into Error(memory).
constexpr int64_t kOutOfMemory = -2;

}  // namespace maas
