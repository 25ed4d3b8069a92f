#pragma once
#include <cstdint>

namespace maas {

// How many pieces of at most `most` make `whole`.
inline int64_t pieces(int64_t whole, int64_t most) { return (whole + most - 1) / most; }

}  // namespace maas
