#pragma once
#include <cstdint>

namespace maas {

// An axis that infer has checked, from the front: what bind asks for.
inline int from_front(int64_t axis, int rank) { return static_cast<int>(axis < 0 ? axis + rank : axis); }

}  // namespace maas
